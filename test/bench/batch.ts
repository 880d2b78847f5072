/**
 * `npm run bench`: what `call --batch` costs beside a client that does nothing but send, and a program beside it that `run`
 * signs in, all against the same real PDS, and how much memory many lines take. The first two are processes, as users have
 * them: the built CLI, and Node with a script.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bundle } from '../../src/credentials/write.ts'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import { nodeRuntime } from '../../src/node/runtime.ts'
import { type CliProcess, createHome, spawnCli, spawnNode, TYPED } from '../world/cli.ts'
import { signIn } from '../world/person.ts'
import { startWorld } from '../world/start.ts'
import { connectWorld } from '../world/world.ts'
import { type Post, startFrontClient } from './front.ts'
import { lineClient } from './line-client.ts'
import { measureMemory } from './memory.ts'

const RECORDS = 2400
const ROUNDS = 24
/** Runs with processes of their own: the same program may take a fifth more the next time it is started. */
const RUNS = 3
const CONCURRENCY = 8
const WARM_UP = 200
/** Of the processor time of a request to that of the plain client. */
const CPU_LIMIT = 1.25
/** Milliseconds for all rounds of a run. */
const LIMIT = 600_000

interface Client {
  readonly name: string
  /** @returns how many were created */
  send(posts: readonly Post[]): Promise<number>
  /** Of its process, in milliseconds. */
  cpu(): Promise<number | undefined>
  close(): Promise<void>
}

interface Measured {
  /** Requests a second. */
  readonly rate: number
  /** Milliseconds of processor time for each request; not a number where it cannot be read. */
  readonly cpu: number
}

const home = await createHome()
const started = await startWorld()
try {
  await compareRates()
} finally {
  await started.stop()
}
try {
  await compareMemory()
} finally {
  await home.remove()
}

async function compareRates(): Promise<void> {
  const world = started.addresses
  const { plcUrl, handleResolverUrl } = world
  const ports = nodeRuntime({ dev: true, plcUrl, handleResolver: handleResolverUrl, home: home.state })
  /** An account each: a repository grows slower with its size. */
  const logIn = async () => {
    const account = await connectWorld(world).createAccount()
    const { authorizationUrl } = await init(account.handle, { scope: 'atproto transition:generic' }, ports)
    const callback = await signIn(authorizationUrl.href, account, { consent: true })
    return (await complete(callback, ports)).credentials
  }
  const options = { home, world, stdin: TYPED, limit: LIMIT }
  const ofLines = (name: string, child: CliProcess): Client => {
    const { send, cpu, close } = lineClient(child)
    return { name, send: (posts) => send(posts.map(asLine)), cpu, close }
  }
  const startOurs = async () => {
    const env = { ATPROTO_OAUTH_SESSION: bundle(await logIn()) }
    const args = ['call', '--batch', '-', '--concurrency', `${CONCURRENCY}`]
    return ofLines('call --batch', spawnCli(args, { ...options, env }))
  }
  const startPlain = async () => {
    const credentials = JSON.stringify({ ...(await logIn()), server: world.pdsUrl })
    const script = fileURLToPath(new URL('plain.mjs', import.meta.url))
    const env = { CREDENTIALS: credentials, CONCURRENCY: `${CONCURRENCY}` }
    return ofLines('plain undici', spawnNode([script], { ...options, env }))
  }
  say(
    `${RECORDS} createRecord at concurrency ${CONCURRENCY} on one PDS, after ${WARM_UP}; processor time of a request:`,
  )
  const runs: Measured[][] = []
  for (let run = 0; run < RUNS; run += 1) runs.push(await measure([await startOurs(), await startPlain()]))
  const [ours, plain] = [0, 1].map((index) => mean(runs.map((run) => run[index]!)))
  const front = await startFrontClient(await logIn(), home, world, CONCURRENCY)
  const { send, frontCpu: cpu, close } = front
  const [beside, fronts] = await measure([await startOurs(), { name: 'run (its own)', send, cpu, close }])
  const ratio = ours!.cpu / plain!.cpu
  say(`  call --batch, of plain undici  ${((ours!.rate / plain!.rate) * 100).toFixed(1)} % (wanted: at least 90 %)`)
  say(`  processor time, of plain undici ${ratio.toFixed(2)} (wanted: at most ${CPU_LIMIT})`)
  say(`  run, of call --batch           ${((fronts!.rate / beside!.rate) * 100).toFixed(1)} % (wanted: at least 90 %)`)
  // Not a number where processor time cannot be read.
  if (!(ratio <= CPU_LIMIT)) process.exitCode = 1
}

/** In turns: whatever else the machine does meets all. */
async function measure(clients: readonly Client[]): Promise<Measured[]> {
  const seconds = clients.map(() => 0)
  try {
    for (const { send } of clients) await send(postsOf(WARM_UP))
    const before = await Promise.all(clients.map(({ cpu }) => cpu()))
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const index of turned([...clients.keys()], round)) {
        const { name, send } = clients[index]!
        const posts = postsOf(RECORDS / ROUNDS)
        const began = performance.now()
        const created = await send(posts)
        seconds[index]! += (performance.now() - began) / 1000
        if (created !== posts.length) throw new Error(`${name}: ${created} of ${posts.length} records`)
      }
    }
    const after = await Promise.all(clients.map(({ cpu }) => cpu()))
    return clients.map(({ name }, index) => {
      const rate = RECORDS / seconds[index]!
      const cpu = (Number(after[index]) - Number(before[index])) / RECORDS
      say(`  ${name.padEnd(13)}  ${rate.toFixed(1)} a second, ${cpu.toFixed(2)} ms`)
      return { rate, cpu }
    })
  } finally {
    await Promise.all(clients.map((client) => client.close()))
  }
}

function mean(runs: readonly Measured[]): Measured {
  const of = (member: keyof Measured) => runs.reduce((sum, run) => sum + run[member], 0) / runs.length
  return { rate: of('rate'), cpu: of('cpu') }
}

/** Each is the first as often as the others. */
function turned<Item>(items: readonly Item[], round: number): Item[] {
  const at = round % items.length
  const order = [...items.slice(at), ...items.slice(0, at)]
  return Math.floor(round / items.length) % 2 === 0 ? order : order.reverse()
}

async function compareMemory(): Promise<void> {
  say('\nMemory of `call --batch FILE -o FILE`, at its largest, against a server of one line:')
  const file = join(home.path, 'requests.jsonl')
  for (const lines of [1000, 20_000]) {
    const request = { nsid: 'com.example.create', method: 'POST', input: { record: { text: 'x'.repeat(300) } } }
    await writeFile(file, `${JSON.stringify(request)}\n`.repeat(lines))
    const { resident, heap, seconds } = await measureMemory(file, lines, home)
    const rate = (lines / seconds).toFixed(0)
    say(`  ${String(lines).padStart(6)} lines  ${resident} MiB resident, ${heap} MiB of heap in use, ${rate} a second`)
  }
}

function postsOf(count: number): Post[] {
  return Array.from({ length: count }, (_, index) => ({
    $type: 'app.bsky.feed.post',
    text: `post ${index}`,
    createdAt: new Date().toISOString(),
  }))
}

function asLine(record: Post): string {
  const input = { repo: '{did}', collection: record.$type, record }
  return JSON.stringify({ nsid: 'com.atproto.repo.createRecord', input })
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
