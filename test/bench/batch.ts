/**
 * `npm run bench`: what `call --batch` costs beside a client that does nothing but send, and a program beside it that `run`
 * signs in, all against the same real PDS, and how much memory many lines take.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { batch } from '../../src/call/batch.ts'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import { nodeRuntime } from '../../src/node/runtime.ts'
import type { XrpcRequest } from '../../src/protocol/xrpc/request.ts'
import { openSession } from '../../src/session/open.ts'
import { createHome } from '../world/cli.ts'
import { signIn } from '../world/person.ts'
import { startWorld } from '../world/start.ts'
import { connectWorld } from '../world/world.ts'
import { startFrontClient } from './front.ts'
import { measureMemory } from './memory.ts'
import { createPlainClient, type Post } from './plain.ts'

const RECORDS = 2400
const ROUNDS = 24
const CONCURRENCY = 8
const WARM_UP = 200
/** Of the processor time of a request to that of the plain client. */
const CPU_LIMIT = 1.25

interface Client {
  readonly name: string
  send(posts: readonly Post[]): Promise<number>
  seconds: number
  /** Milliseconds. */
  cpu: number
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
  const { plcUrl, handleResolverUrl, pdsUrl } = started.addresses
  const world = nodeRuntime({ dev: true, plcUrl, handleResolver: handleResolverUrl, home: home.state })
  /** An account each: a repository grows slower with its size. */
  const logIn = async () => {
    const account = await connectWorld(started.addresses).createAccount()
    const { authorizationUrl } = await init(account.handle, { scope: 'atproto transition:generic' }, world)
    const callback = await signIn(authorizationUrl.href, account, { consent: true })
    return (await complete(callback, world)).credentials
  }
  const session = await openSession(await logIn(), world)
  // As `call --batch` sends them.
  const sending = {
    did: session.did,
    record: () => session.record(),
    currentHandle: () => session.currentHandle(),
    call: (request: XrpcRequest) => session.send(request),
  }
  const plain = await createPlainClient(await logIn(), pdsUrl, CONCURRENCY)
  const program = await startFrontClient(await logIn(), home, started.addresses, CONCURRENCY)

  const ours = async (posts: readonly Post[]) => {
    let created = 0
    for await (const { status } of batch(asLines(posts), sending, { concurrency: CONCURRENCY }, world)) {
      if (status === 200) created += 1
    }
    return created
  }
  const clients: Client[] = [
    { name: 'call --batch', send: ours, seconds: 0, cpu: 0 },
    { name: 'plain undici', send: plain.send, seconds: 0, cpu: 0 },
    { name: 'run', send: program.send, seconds: 0, cpu: 0 },
  ]
  for (const { send } of clients) await send(postsOf(WARM_UP))
  const frontBefore = await program.frontCpu()
  // In turns: whatever else the machine does meets all.
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const client of turned(clients, round)) {
      const posts = postsOf(RECORDS / ROUNDS)
      const [began, used] = [performance.now(), process.cpuUsage()]
      const created = await client.send(posts)
      client.seconds += (performance.now() - began) / 1000
      const { user, system } = process.cpuUsage(used)
      client.cpu += (user + system) / 1000
      if (created !== posts.length) throw new Error(`${client.name}: ${created} of ${posts.length} records`)
    }
  }
  const frontAfter = await program.frontCpu()
  await plain.close()
  await program.close()
  say(
    `${RECORDS} createRecord at concurrency ${CONCURRENCY}, by one process on one PDS (for run, the front is another):`,
  )
  const [our, their, fronts] = clients.map(({ seconds }) => RECORDS / seconds)
  for (const { name, seconds, cpu } of clients) {
    const each = (cpu / RECORDS).toFixed(2)
    say(`  ${name.padEnd(12)}  ${(RECORDS / seconds).toFixed(1)} a second, ${each} ms of this process for each`)
  }
  say(`  call --batch, of plain undici  ${((our! / their!) * 100).toFixed(1)} % (wanted: at least 90 %)`)
  const [{ cpu: ourCpu }, { cpu: theirCpu }] = clients as [Client, Client]
  const ratio = ourCpu / theirCpu
  say(`  processor time, of plain undici ${ratio.toFixed(2)} (wanted: at most ${CPU_LIMIT})`)
  if (ratio > CPU_LIMIT) process.exitCode = 1
  if (frontBefore !== undefined && frontAfter !== undefined) {
    // Together they are the processors' part of a request; the PDS has a process of its own.
    say(`  processor time of the front    ${((frontAfter - frontBefore) / RECORDS).toFixed(2)} ms for each`)
  }
  say(`  run, of call --batch           ${((fronts! / our!) * 100).toFixed(1)} % (wanted: at least 90 %)`)
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

async function* asLines(posts: readonly Post[]): AsyncGenerator<string> {
  for (const record of posts) {
    const input = { repo: '{did}', collection: record.$type, record }
    yield JSON.stringify({ nsid: 'com.atproto.repo.createRecord', input })
  }
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
