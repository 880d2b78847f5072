/**
 * `npm run bench -- distance`: what commands cost when the servers are far away, beside two OAuth clients for Node. Each of
 * our commands is a process of its own. The others do all of it in one process, and keep their connections.
 *
 * Round trips are what a command takes longer at a distance, divided by that: (time at 200 ms - time at 0) / 200 ms. The
 * relay also counts them (`Traffic`), which is right on a busy machine too. The count is the larger one by a fraction: what
 * the processor does while data is under way costs time at 0 only. Where they differ by more, limits are for the count.
 * DNS responds at once in that, as a resolver nearby does; another run has it as far away as the servers, for the count.
 *
 * `--ours` leaves out the other clients, `--rounds=1` measures once instead of taking medians, `--requests` lists what was
 * sent. Exits with 1 if a limit is missed.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { createHome, runCli } from '../world/cli.ts'
import { leadName } from '../world/names.ts'
import { signIn } from '../world/person.ts'
import { startWorld } from '../world/start.ts'
import { type Account, connectWorld } from '../world/world.ts'
import { startNameServer } from './name-server.ts'
import { median, REPORT_PEAK, reportedPeak } from './processes.ts'
import { distance, startRelay, type Traffic } from './relay.ts'

const SCOPE = 'atproto transition:generic'
const METHOD = 'com.atproto.server.getSession'
const PLC = 'plc.far.dev'
/** MiB, of a warm `call`. */
const MEMORY_LIMIT = 60
/** Round trips by which a time may be wrong: timers are late by a millisecond or so, for each piece of data. */
const TOLERANCE = 0.25
/** Round trips between time and count, from which on the time means nothing. */
const DOUBT = 1

/** Milliseconds, and how often each is measured. */
const SETTINGS = [
  { name: '0', roundTrip: 0, dns: 0, rounds: 5 },
  { name: '50', roundTrip: 50, dns: 0, rounds: 3 },
  { name: '200', roundTrip: 200, dns: 0, rounds: 2 },
  { name: 'far DNS', roundTrip: 100, dns: 100, rounds: 1 },
] as const
type Setting = (typeof SETTINGS)[number]['name']

const STEPS = {
  'init, DNS': 'a handle with a DNS record',
  'init, well-known': 'a handle with a document at its own domain',
  'init, of server': 'a handle below the name of its authorization server',
  complete: 'the code of a login',
  'call, first': 'the first of a session',
  'call, warm': 'the second',
  refresh: 'hours later, with no current nonce',
} as const
type Step = keyof typeof STEPS

interface Limits {
  readonly roundTrips?: number
  readonly requests?: number
}

interface Topology {
  readonly title: string
  readonly pds: string
  /** By default the PDS. */
  readonly entryway?: string
  /** A domain of an account's own, without a server of its own. */
  readonly domain: string
  readonly limits: Readonly<Partial<Record<Step, Limits>>>
}

const CALLS = { 'call, first': { roundTrips: 4 }, 'call, warm': { roundTrips: 3, requests: 1 } }
const TOPOLOGIES: readonly Topology[] = [
  {
    title: 'The PDS is its own authorization server',
    pds: 'pds.far.dev',
    domain: 'together.dev',
    limits: {
      'init, DNS': { roundTrips: 7, requests: 8 },
      'init, well-known': { roundTrips: 8, requests: 8 },
      'init, of server': { roundTrips: 8, requests: 8 },
      complete: { roundTrips: 5, requests: 6 },
      refresh: { roundTrips: 5, requests: 6 },
      ...CALLS,
    },
  },
  {
    title: 'The authorization server is apart from the PDS',
    pds: 'host.far.dev',
    entryway: 'entry.far.dev',
    domain: 'apart.dev',
    limits: {
      // A connection to one server more than together.
      'init, DNS': { roundTrips: 10, requests: 8 },
      'init, well-known': { roundTrips: 11, requests: 8 },
      'init, of server': { roundTrips: 8, requests: 8 },
      complete: { roundTrips: 5, requests: 7 },
      refresh: { roundTrips: 5, requests: 7 },
      ...CALLS,
    },
  },
]
const CLIENTS = ['ours', 'official', 'atcute'] as const
type Client = (typeof CLIENTS)[number]

/** To the others all handles without a DNS record are the same. */
const isSkipped = (client: Client, step: Step) => client !== 'ours' && step === 'init, of server'

interface Measured extends Traffic {
  readonly milliseconds: number
}

const { values: flags } = parseArgs({
  options: { ours: { type: 'boolean' }, rounds: { type: 'string' }, requests: { type: 'boolean' } },
})
const clients = flags.ours ? CLIENTS.slice(0, 1) : CLIENTS
const roundsOf = ({ rounds }: { rounds: number }) => (flags.rounds === undefined ? rounds : Number(flags.rounds))

const installed = flags.ours ? undefined : installClients()
const began = performance.now()
const started = await startWorld()
const world = connectWorld(started.addresses)
const home = await createHome()
const missed: string[] = []
try {
  for (const topology of TOPOLOGIES) await measure(topology)
} finally {
  await home.remove()
  await started.stop()
}
say(`In ${((performance.now() - began) / 1000).toFixed(0)} s.`)
say(missed.length === 0 ? 'No limit is missed.' : `Limits missed:\n${missed.map((line) => `  ${line}`).join('\n')}`)
process.exit(missed.length === 0 ? 0 : 1)

/** What the programs are, and the Node that they need. */
function installClients(): { readonly folder: string; readonly node: string } {
  const run = (script: string, ...args: string[]) =>
    execFileSync(fileURLToPath(new URL(script, import.meta.url)), args, { encoding: 'utf8' }).trim()
  return { folder: run('clients/install.sh'), node: join(run('../nodes/fetch.sh', '22'), 'bin', 'node') }
}

async function measure({ title, pds: pdsName, entryway, domain, limits }: Topology): Promise<void> {
  const server = entryway ?? pdsName
  const pds = await world.startPds({ hostname: pdsName, entryway, handleDomains: [`.${domain}`, `.${server}`] })
  const handles = { own: `alice.${domain}`, ofServer: `bob.${server}` }
  const account = await pds.createAccount({ handle: handles.own })
  await pds.createAccount({ handle: handles.ofServer })

  const port = portOf(pds.url)
  const targets = { [PLC]: portOf(world.plcUrl), ...Object.fromEntries([pdsName, server].map((name) => [name, port])) }
  const named = { ...targets, [handles.own]: port, [handles.ofServer]: port }
  const names = await startNameServer(Object.keys(named))
  const relay = await startRelay(named, names.port)
  leadName(server, { port: relay.port, ca: relay.ca }) // for the person's browser, which is in this process

  const measured = new Map<string, Measured[]>()
  const key = (client: Client, setting: Setting, step: Step) => `${client} ${setting} ${step}`
  const use = ({ roundTrip, dns }: { roundTrip: number; dns: number }) => {
    relay.setWay(distance(roundTrip))
    names.setWay(dns === 0 ? async () => {} : () => relay.queryOver(dns))
  }
  /** Their own time if they know it, or else that until their end. */
  const timed = async (at: string, work: () => Promise<{ result: string; milliseconds?: number }>, isFirst = false) => {
    relay.startTraffic(!(isFirst || at.startsWith('ours')))
    const start = performance.now()
    const { result, milliseconds = performance.now() - start } = await work()
    measured.set(at, [...(measured.get(at) ?? []), { milliseconds, ...relay.traffic() }])
    return result
  }

  let states = 0
  const startOurs = () => {
    states += 1
    const env: Record<string, string | undefined> = {
      ...relay.env,
      ATPROTO_OAUTH_DEV: undefined,
      ATPROTO_OAUTH_HANDLE_RESOLVER: undefined,
      ATPROTO_OAUTH_PLC_URL: `https://${PLC}`,
      ATPROTO_OAUTH_HOME: join(home.path, `${domain}-${states}`),
    }
    const run = async (
      args: readonly string[],
      { stdin, more = '' }: { readonly stdin?: string; readonly more?: string } = {},
    ) => {
      const options = {
        home,
        stdin,
        world: started.addresses,
        env: { ...env, NODE_OPTIONS: env['NODE_OPTIONS'] + more },
      }
      const { code, stdout, stderr } = await runCli(args, options)
      if (code !== 0) throw new Error(`${args.join(' ')}: exit code ${code}: ${stderr}`)
      return { result: stdout.trim(), stderr }
    }
    return {
      init: (handle: string) => run(['init', handle, '--scope', SCOPE]),
      complete: (callback: string) => run(['complete', '--save', 'store'], { stdin: callback }),
      call: () => run(['call', METHOD]),
      refresh: () => run(['refresh']),
      memory: async () => reportedPeak((await run(['call', METHOD], { more: ` ${REPORT_PEAK}` })).stderr),
      end: async () => undefined,
    }
  }
  const startOther = (program: string) => {
    const { node, folder } = installed!
    const child = spawn(node, [join(folder, `${program}.mjs`), `https://${PLC}`], {
      env: { PATH: process.env['PATH'], ...relay.env },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const ask = async (action: string, argument?: string) => {
      child.stdin.write(`${JSON.stringify({ action, argument })}\n`)
      const { value, done } = await lines.next()
      if (done) throw new Error(`${program}: ${action} failed`)
      return JSON.parse(value) as { result: string; milliseconds: number }
    }
    return {
      init: (handle: string) => ask('init', handle),
      complete: (callback: string) => ask('complete', callback),
      call: () => ask('call', `/xrpc/${METHOD}`),
      refresh: () => ask('refresh'),
      async end() {
        const ended = once(child, 'exit')
        child.kill()
        await ended
      },
    }
  }
  const start = (client: Client) => (client === 'ours' ? startOurs() : startOther(client))

  /** All steps once. */
  const round = async (client: Client, setting: (typeof SETTINGS)[number]) => {
    const at = (step: Step) => key(client, setting.name, step)
    names.setText(`_atproto.${handles.own}`, `did=${account.did}`)
    const program = start(client)
    use(setting)
    const url = await timed(at('init, DNS'), () => program.init(handles.own), true)
    use({ roundTrip: 0, dns: 0 })
    const callback = await signInAs(account, url)
    use(setting)
    await timed(at('complete'), () => program.complete(callback))
    await timed(at('call, first'), program.call)
    await timed(at('call, warm'), program.call)
    await timed(at('refresh'), program.refresh)
    await program.end()
    names.setText(`_atproto.${handles.own}`, undefined)
    const others = { 'init, well-known': handles.own, 'init, of server': handles.ofServer } as const
    for (const [step, handle] of Object.entries(others) as [Step, string][]) {
      if (isSkipped(client, step)) continue
      const another = start(client)
      await timed(at(step), () => another.init(handle), true)
      await another.end()
    }
  }

  const warmUp = SETTINGS[0]
  for (const client of clients) await round(client, warmUp)
  measured.clear()
  for (const setting of SETTINGS) {
    for (let count = 0; count < roundsOf(setting); count += 1) {
      for (const client of clients) await round(client, setting)
    }
  }
  use(warmUp)
  names.setText(`_atproto.${handles.own}`, `did=${account.did}`)
  const ours = startOurs()
  await ours.complete(await signInAs(account, (await ours.init(handles.own)).result))
  await ours.call()
  const memory = await ours.memory()
  await relay.close()
  await names.close()
  await pds.stop()

  const take = (client: Client, setting: Setting, step: Step, value: (each: Measured) => number) =>
    median((measured.get(key(client, setting, step)) ?? []).map(value))
  const time = (client: Client, setting: Setting, step: Step) =>
    take(client, setting, step, (each) => each.milliseconds)
  const roundTrips = (client: Client, setting: Setting, step: Step) => {
    const { roundTrip } = SETTINGS.find(({ name }) => name === setting)!
    return (time(client, setting, step) - time(client, '0', step)) / roundTrip
  }
  const counted = (client: Client, setting: Setting, step: Step) =>
    take(client, setting, step, (each) => each.roundTrips)
  const judged = (step: Step) => {
    const [count, byTime] = [counted('ours', '200', step), roundTrips('ours', '200', step)]
    return Math.abs(count - byTime) > DOUBT ? count : Math.min(count, byTime)
  }
  const judge = (what: string, value: number, limit: number | undefined, tolerance = 0) => {
    if (limit === undefined) return ''
    if (value <= limit + tolerance) return `${limit}`
    missed.push(`${title}: ${what}: ${Number(value.toFixed(1))}, limit ${limit}`)
    return `${limit} MISSED`
  }
  const steps = Object.keys(STEPS) as Step[]
  const others = clients.slice(1)
  const cells = (step: Step, text: (client: Client) => string) =>
    clients.map((client) => (isSkipped(client, step) ? '' : text(client)))

  say(`\n${title}: round trips, counted and (by the time at 200 ms)\n`)
  const far = clients.map((name) => `${name}, far DNS`)
  table(
    ['', 'limit', ...clients, ...far],
    steps.map((step) => {
      const limit = limits[step]?.roundTrips
      return [
        step,
        judge(`${step}, round trips`, judged(step), limit, TOLERANCE),
        ...cells(step, (client) => `${counted(client, '200', step)} (${roundTrips(client, '200', step).toFixed(1)})`),
        ...cells(step, (client) => `${counted(client, 'far DNS', step)}`),
      ]
    }),
  )
  say(`\n${title}: milliseconds at 0 / 50 / 200, requests, connections\n`)
  const requests = (client: Client, step: Step) => take(client, '200', step, (each) => each.requests.length)
  const connections = (client: Client, step: Step) => take(client, '200', step, (each) => each.opened)
  table(
    ['', ...clients.map((name) => `${name}, ms`), 'limit', 'requests', ...others, 'connections', ...others],
    steps.map((step) => [
      step,
      ...cells(step, (client) =>
        (['0', '50', '200'] as const).map((setting) => time(client, setting, step).toFixed(0)).join(' / '),
      ),
      judge(`${step}, requests`, requests('ours', step), limits[step]?.requests),
      ...cells(step, (client) => `${requests(client, step)}`),
      ...cells(step, (client) => `${connections(client, step)}`),
    ]),
  )
  if (flags.requests) {
    for (const client of clients) {
      say(`\n${client}:`)
      for (const step of steps)
        say(
          `  ${step}: ${measured
            .get(key(client, '200', step))!
            .at(-1)!
            .requests.join(', ')}`,
        )
    }
  }
  say(`\nMemory of a warm call: ${memory} MiB (limit ${judge('call, warm, MiB', memory, MEMORY_LIMIT)})\n`)
}

function signInAs(account: Account, authorizationUrl: string): Promise<string> {
  return signIn(authorizationUrl, account, { consent: true })
}

function portOf(url: string): number {
  return Number(new URL(url).port)
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const all = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]!.length), 3))
  const line = (row: readonly string[]) => `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`
  say([line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n'))
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
