/**
 * `npm run bench -- distance`: what commands cost when the servers are far away, beside two OAuth clients for Node. Each of
 * our commands is a process of its own. The others do all of it in one process, and keep their connections.
 *
 * Round trips are what a command takes longer at a distance, divided by that: (time at 200 ms - time at 0) / 200 ms. The
 * relay also counts them (`Traffic`), of which the least is right, on a busy machine too. It is the larger one by a
 * fraction: what the processor does while data is under way costs time at 0 only. Where they differ by more, limits are
 * for the count.
 * DNS responds at once in that, as a resolver nearby does; another run has it as far away as the servers, for the count.
 *
 * `--ours` leaves out the other clients, `--rounds=1` measures once instead of taking medians, `--requests` lists what was
 * sent. Exits with 1 if a limit is missed.
 */
import { parseArgs } from 'node:util'
import { createHome } from '../world/cli.ts'
import { startWorld } from '../world/start.ts'
import { connectWorld } from '../world/world.ts'
import { type Client, type Done, installOthers, startOther, startOurs } from './distance-clients.ts'
import { STEPS, type Step, startFar, TOPOLOGIES, type Topology } from './far.ts'
import { median } from './processes.ts'
import type { Traffic } from './relay.ts'

/** MiB, of a warm `call`. */
const MEMORY_LIMIT = 60
/** Round trips by which a time may be wrong: timers are late by a millisecond or so, for each piece of data. */
const TOLERANCE = 0.25
/** Round trips between time and count, from which on the time means nothing. */
const DOUBT = 1

/** Milliseconds to the servers and to DNS, and how often each is measured. */
const NEAR = { name: '0', roundTrip: 0, dns: 0, rounds: 5 }
const FAR = { name: '200', roundTrip: 200, dns: 0, rounds: 2 }
const FAR_DNS = { name: 'far DNS', roundTrip: 100, dns: 100, rounds: 1 }
const BETWEEN = { name: '50', roundTrip: 50, dns: 0, rounds: 3 }
const SETTINGS = [NEAR, BETWEEN, FAR, FAR_DNS] as const
type Setting = (typeof SETTINGS)[number]

const NAMES = ['ours', 'official', 'atcute'] as const
type Name = (typeof NAMES)[number]

interface Measured extends Traffic {
  readonly milliseconds: number
}

interface Results {
  /** The median. */
  of(name: Name, setting: Setting, step: Step, value: (measured: Measured) => number): number
  /** The least that was counted in any of these. */
  roundTrips(name: Name, settings: readonly Setting[], step: Step): number
  requests(name: Name, step: Step): readonly string[]
  /** MiB. */
  readonly memory: number
}

const { values: flags } = parseArgs({
  options: { ours: { type: 'boolean' }, rounds: { type: 'string' }, requests: { type: 'boolean' } },
})
const names = flags.ours ? NAMES.slice(0, 1) : NAMES

const installed = flags.ours ? undefined : installOthers()
const began = performance.now()
const started = await startWorld()
const home = await createHome()
const missed: string[] = []
try {
  for (const topology of TOPOLOGIES) report(topology, await measure(topology))
} finally {
  await home.remove()
  await started.stop()
}
say(`\nIn ${((performance.now() - began) / 1000).toFixed(0)} s.`)
say(missed.length === 0 ? 'No limit is missed.' : `Limits missed:\n${missed.map((line) => `  ${line}`).join('\n')}`)
process.exit(missed.length === 0 ? 0 : 1)

async function measure(topology: Topology): Promise<Results> {
  const far = await startFar(connectWorld(started.addresses), topology)
  const measured = new Map<string, Measured[]>()
  const key = (name: Name, setting: Setting, step: Step) => `${name} ${setting.name} ${step}`
  let stores = 0
  const start = (name: Name): Client => {
    stores += 1
    return name === 'ours'
      ? startOurs(far, home, started.addresses, `${topology.domain}-${stores}`)
      : startOther(name, far, installed!)
  }

  /** All steps once. */
  const round = async (name: Name, setting: Setting) => {
    const timed = async (step: Step, work: () => Promise<Done>) => {
      far.relay.startTraffic(name !== 'ours' && !step.startsWith('init'))
      const start = performance.now()
      const { result, milliseconds = performance.now() - start } = await work()
      const at = key(name, setting, step)
      measured.set(at, [...(measured.get(at) ?? []), { milliseconds, ...far.relay.traffic() }])
      return result
    }
    far.setDistance(setting.roundTrip, setting.dns)
    far.setRecord(true)
    const client = start(name)
    const callback = await far.signIn(await timed('init, DNS', () => client.init(far.handles.own)))
    await timed('complete', () => client.complete(callback))
    await timed('call, first', client.call)
    await timed('call, warm', client.call)
    await timed('refresh', client.refresh)
    await client.end()
    far.setRecord(false)
    for (const [step, handle] of [
      ['init, well-known', far.handles.own],
      ['init, of server', far.handles.ofServer],
    ] as const) {
      if (isSkipped(name, step)) continue
      const another = start(name)
      await timed(step, () => another.init(handle))
      await another.end()
    }
  }

  for (const name of names) await round(name, NEAR)
  measured.clear()
  for (const setting of SETTINGS) {
    const rounds = flags.rounds === undefined ? setting.rounds : Number(flags.rounds)
    for (let count = 0; count < rounds; count += 1) {
      for (const name of names) await round(name, setting)
    }
  }
  far.setDistance(0)
  far.setRecord(true)
  const ours = startOurs(far, home, started.addresses, `${topology.domain}-memory`)
  await ours.complete(await far.signIn((await ours.init(far.handles.own)).result))
  await ours.call()
  const memory = await ours.memory()
  await far.close()
  return {
    of: (name, setting, step, value) => median((measured.get(key(name, setting, step)) ?? []).map(value)),
    roundTrips: (name, settings, step) =>
      Math.min(
        ...settings.flatMap((setting) => (measured.get(key(name, setting, step)) ?? []).map((each) => each.roundTrips)),
      ),
    requests: (name, step) => measured.get(key(name, FAR, step))?.at(-1)?.requests ?? [],
    memory,
  }
}

/** To the others all handles without a DNS record are the same. */
function isSkipped(name: Name, step: Step): boolean {
  return name !== 'ours' && step === 'init, of server'
}

function report({ title, limits }: Topology, { of, roundTrips, requests, memory }: Results): void {
  const time = (name: Name, setting: Setting, step: Step) => of(name, setting, step, (each) => each.milliseconds)
  const counted = (name: Name, step: Step) => roundTrips(name, [BETWEEN, FAR], step)
  const byTime = (name: Name, step: Step) => (time(name, FAR, step) - time(name, NEAR, step)) / FAR.roundTrip
  const requestsOf = (name: Name, step: Step) => of(name, FAR, step, (each) => each.requests.length)
  const connections = (name: Name, step: Step) => of(name, FAR, step, (each) => each.opened)
  const decisive = (step: Step) => {
    const [count, difference] = [counted('ours', step), byTime('ours', step)]
    return Math.abs(count - difference) > DOUBT ? count : Math.min(count, difference)
  }
  const judged = (what: string, value: number, limit: number | undefined, tolerance = 0) => {
    if (limit === undefined) return ''
    if (value <= limit + tolerance) return `${limit}`
    missed.push(`${title}: ${what}: ${Number(value.toFixed(1))}, limit ${limit}`)
    return `${limit} MISSED`
  }
  const others = names.slice(1)
  const cells = (step: Step, text: (name: Name) => string) =>
    names.map((name) => (isSkipped(name, step) ? '' : text(name)))

  say(`\n${title}: round trips, counted and (by the time at ${FAR.name} ms)\n`)
  table(
    ['', 'limit', ...names, ...names.map((name) => `${name}, far DNS`)],
    STEPS.map((step) => [
      step,
      judged(`${step}, round trips`, decisive(step), limits[step].roundTrips, TOLERANCE),
      ...cells(step, (name) => `${counted(name, step)} (${byTime(name, step).toFixed(1)})`),
      ...cells(step, (name) => `${roundTrips(name, [FAR_DNS], step)}`),
    ]),
  )
  say(`\n${title}: requests, connections, milliseconds at 0 / 50 / 200\n`)
  table(
    ['', 'limit', 'requests', ...others, 'connections', ...others, ...names.map((name) => `${name}, ms`)],
    STEPS.map((step) => [
      step,
      judged(`${step}, requests`, requestsOf('ours', step), limits[step].requests),
      ...cells(step, (name) => `${requestsOf(name, step)}`),
      ...cells(step, (name) => `${connections(name, step)}`),
      ...cells(step, (name) =>
        SETTINGS.slice(0, 3)
          .map((setting) => time(name, setting, step).toFixed(0))
          .join(' / '),
      ),
    ]),
  )
  say(`\nMemory of a warm call: ${memory} MiB (limit ${judged('call, warm, MiB', memory, MEMORY_LIMIT)})`)
  if (!flags.requests) return
  for (const name of names) {
    say(`\n${name}:`)
    for (const step of STEPS) say(`  ${step}: ${requests(name, step).join(', ')}`)
  }
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
