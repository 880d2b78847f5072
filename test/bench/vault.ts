/**
 * `npm run bench`: commands on a session in the vault beside the same on one in the per-user store, near and far. The
 * commands run in turns, because no two minutes of a machine are alike; figures are medians.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { parse } from 'dotenv'
import { startGitServer, WRITER } from '../support/git-server.ts'
import { createHome, type Home, runCli } from '../world/cli.ts'
import { leadName } from '../world/names.ts'
import { signIn } from '../world/person.ts'
import { startWorld } from '../world/start.ts'
import { connectWorld } from '../world/world.ts'
import { distance, startRelay } from './relay.ts'

const ROUNDS = 11
/** Milliseconds. */
const ROUND_TRIPS = [0, 100] as const
const NAMES = { pds: 'pds.far.dev', plc: 'plc.far.dev', git: 'git.far.dev' } as const
const CALL = ['call', 'com.atproto.server.getSession'] as const
/** A git that counts how often it is started. */
const COUNTING = `#!/bin/sh
PATH=$ORIGINAL_PATH
echo "$*" >> "$COUNTED"
exec git "$@"
`

interface Command {
  readonly name: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** `undefined`: a new one each time. */
  readonly home: Home | undefined
  /** The command that it is compared with, and what is wanted. */
  readonly beside?: { readonly name: string; readonly wanted: string }
}

const started = await startWorld()
const world = connectWorld(started.addresses)
const [pds, git, stored, inVault] = await Promise.all([
  world.startPds({ hostname: NAMES.pds }),
  startGitServer(),
  createHome(),
  createHome(),
])
git.repository()
const portOf = (url: string) => Number(new URL(url).port)
const relay = await startRelay({
  [NAMES.pds]: portOf(pds.url),
  [NAMES.plc]: portOf(world.plcUrl),
  [NAMES.git]: portOf(git.origin),
})
const network = {
  ...relay.env,
  ...relay.gitEnv,
  ATPROTO_OAUTH_PLC_URL: `https://${NAMES.plc}`,
  ATPROTO_OAUTH_HANDLE_RESOLVER: `https://${NAMES.pds}`,
}
try {
  await measure()
} finally {
  await Promise.all([relay.close(), git.close(), stored.remove(), inVault.remove()])
  await pds.stop()
  await started.stop()
}

async function run(args: readonly string[], home: Home, env: Readonly<Record<string, string>> = {}, stdin?: string) {
  const { code, stdout, stderr } = await runCli(args, { home, stdin, world, env: { ...network, ...env } })
  if (code !== 0) throw new Error(`${args.join(' ')}: ${stderr}`)
  return stdout
}

async function measure(): Promise<void> {
  leadName(NAMES.pds, { port: relay.port, ca: relay.ca }) // for the person's browser, which is in this process
  const account = await pds.createAccount()
  const logIn = async (home: Home, target: string, env: Readonly<Record<string, string>> = {}) => {
    const url = await run(['init', account.handle], home, env)
    await run(['complete', '--save', target], home, env, await signIn(url.trim(), account, { consent: true }))
  }
  const token = { ATPROTO_OAUTH_VAULT_TOKEN: `${WRITER.user}:${WRITER.password}` }
  const address = `git:https://${NAMES.git}:${relay.port}/vault`
  const made = parse(await run(['vault', 'new', address, '--format', 'dotenv'], inVault, token))
  const vault = { ...token, ...made }
  await logIn(stored, 'store')
  await logIn(inVault, 'vault', vault)

  const commands: readonly Command[] = [
    { name: 'call, store', args: CALL, home: stored },
    {
      ...{ name: 'call, vault, cached', args: CALL, home: inVault, env: vault },
      beside: { name: 'call, store', wanted: 'at most 1.1, the same requests, no git' },
    },
    {
      ...{ name: 'call, vault, cold', args: CALL, home: undefined, env: vault },
      beside: { name: 'call, store', wanted: 'one read of the vault more' },
    },
    { name: 'refresh, store', args: ['refresh'], home: stored },
    {
      ...{ name: 'refresh, vault', args: ['refresh'], home: inVault, env: vault },
      beside: { name: 'refresh, store', wanted: 'a read, a claim and a change more' },
    },
  ]
  const times = new Map<string, number[]>()
  for (const command of commands) await timed(command) // for nothing
  for (const roundTrip of ROUND_TRIPS) {
    relay.setWay(distance(roundTrip))
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const command of round % 2 === 0 ? commands : commands.toReversed()) {
        const key = `${roundTrip} ${command.name}`
        times.set(key, [...(times.get(key) ?? []), await timed(command)])
      }
    }
  }
  relay.setWay(distance(0))
  const of = (roundTrip: number, name: string) => times.get(`${roundTrip} ${name}`)!

  say(`A session in the vault and one in the per-user store, the servers behind TLS; medians of ${ROUNDS} runs in turns:
                            ${ROUND_TRIPS.map((each) => `at ${each} ms`.padStart(10)).join('')}    git  requests`)
  for (const command of commands) {
    const { name, beside } = command
    const columns = ROUND_TRIPS.map((roundTrip) => `${median(of(roundTrip, name)).toFixed(0)} ms`.padStart(10))
    const { processes, requests } = await counted(command)
    say(`  ${name.padEnd(26)}${columns.join('')}${String(processes).padStart(7)}  ${requests}`)
    if (beside === undefined) continue
    const ratios = ROUND_TRIPS.map((roundTrip) => {
      const others = of(roundTrip, beside.name)
      return `${median(of(roundTrip, name).map((time, round) => time / others[round]!)).toFixed(2)}`.padStart(10)
    })
    say(`    ${`to ${beside.name}`.padEnd(24)}${ratios.join('')}         (wanted: ${beside.wanted})`)
  }
}

/** @returns milliseconds */
async function timed({ args, env, home }: Command): Promise<number> {
  const used = home ?? (await createHome())
  const began = performance.now()
  await run(args, used, env)
  const time = performance.now() - began
  if (home === undefined) await used.remove()
  return time
}

/** How many processes of git it starts itself, and what it asks of whom. */
async function counted({ args, env, home }: Command): Promise<{ processes: number; requests: string }> {
  const used = home ?? (await createHome())
  const [bin, log] = [join(used.path, 'bin'), join(used.path, 'started')]
  await mkdir(bin, { recursive: true })
  await writeFile(join(bin, 'git'), COUNTING, { mode: 0o755 })
  await writeFile(log, '')
  await world.clearRequests()
  git.requests.length = 0
  const path = process.env['PATH'] ?? ''
  const counting = { COUNTED: log, ORIGINAL_PATH: path, PATH: `${bin}${delimiter}${path}` }
  await run(args, used, { ...env, ...counting })
  const processes = (await readFile(log, 'utf8')).split('\n').length - 1
  const seen = await world.requests(({ userAgent }) => userAgent?.startsWith('atproto-oauth/') === true)
  const toPds = seen.filter(({ server }) => server === 'pds').length
  const requests = `pds ${toPds}, plc ${seen.length - toPds}, git ${git.requests.length}`
  await rm(bin, { recursive: true })
  if (home === undefined) await used.remove()
  return { processes, requests }
}

function median(values: readonly number[]): number {
  return values.toSorted((x, y) => x - y)[values.length >> 1]!
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
