/** Schedules for the model of the vault: random ones by their seed, and all with one fault. */
import type {
  EngineFault,
  Loss,
  MachinePlan,
  Mishap,
  Operation,
  OperationKind,
  Outcome,
  Plan,
  ServerFault,
} from './vault-model.ts'
import { createRandom } from './vault-model.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
/** When the access token of the first login has expired. */
export const BEGIN = 2 * HOUR
/** When it still works. */
export const EARLY = 20 * MINUTE

export const ENGINE_FAULTS = [
  'unreachable',
  'lost-before',
  'lost-after',
  'late',
  'slow',
  'lose-write',
] as const satisfies readonly EngineFault[]
export const SERVER_FAULTS = [
  'lost-before',
  'lost-after',
  'slow',
  'unreachable',
  'refused',
] as const satisfies readonly ServerFault[]
const MISHAPS = ['crash', 'reboot', 'suspend', 'suspend', 'nap', 'set-clock'] as const

/** A schedule with any number of faults. */
export function randomPlan(seed: number): Plan {
  const random = createRandom(seed ^ 0x5eed)
  const between = (least: number, most: number) => least + random() * (most - least)
  const below = (most: number) => Math.floor(random() * most)
  const chance = (share: number) => random() < share
  const pick = <T>(values: readonly T[]): T => values[below(values.length)]!

  const hasWrongClocks = chance(0.2)
  const machines: MachinePlan[] = Array.from({ length: 2 + below(3) }, () => ({
    durable: chance(0.6),
    ...(chance(0.04) && { full: true }),
    ...(hasWrongClocks && chance(0.5) && { wall: between(-3 * HOUR, 3 * HOUR) }),
  }))
  const spread = pick([2 * SECOND, 20 * SECOND, 5 * MINUTE, 30 * MINUTE])
  const kinds: readonly OperationKind[] = ['call', 'call', 'call', 'refresh', 'refresh', 'revoke', 'login', 'import']
  const isPlain = chance(0.5)
  const operations: Operation[] = []
  for (let round = 0; round < 1 + below(3); round++) {
    const begin = BEGIN + round * pick([5 * MINUTE, 57 * MINUTE, HOUR])
    for (let count = 1 + below(4); count > 0; count--) {
      const kind = isPlain ? pick(['call', 'refresh'] as const) : pick(kinds)
      operations.push({ at: begin + between(0, spread), machine: below(machines.length), kind })
    }
  }
  const last = Math.max(...operations.map(({ at }) => at))
  const mishaps: Mishap[] = []
  if (chance(0.6)) {
    for (let count = 1 + below(3); count > 0; count--) {
      const kind = pick(MISHAPS)
      const milliseconds =
        kind === 'suspend' || kind === 'nap' ? between(SECOND, pick([MINUTE, 20 * MINUTE, HOUR])) : between(-HOUR, HOUR)
      mishaps.push({ step: 1 + below(operations.length * 45), kind, milliseconds })
    }
  }
  const losses: Loss[] = []
  if (chance(0.25)) {
    const kind = pick(['lose-last', 'restore', 'delete', 'copy-memory'] as const)
    losses.push({ at: between(BEGIN, last + 2 * MINUTE), kind, count: 1 + below(kind === 'copy-memory' ? 2 : 3) })
  }
  const partitions = chance(0.2)
    ? [{ from: BEGIN + between(0, spread), until: BEGIN + between(0, 40 * MINUTE), machine: below(machines.length) }]
    : []
  return {
    seed,
    machines,
    operations,
    together: chance(0.6),
    nonces: chance(0.4),
    revokesByNewest: chance(0.4),
    mishaps,
    losses,
    partitions,
    engineFaultRate: chance(0.5) ? pick([0.02, 0.1, 0.3]) : 0,
    serverFaultRate: chance(0.4) ? pick([0.05, 0.2]) : 0,
    slowEngine: chance(0.2),
    quietAt: last + 50 * MINUTE,
  }
}

/** Two machines and one refresh, or what `kinds` has in its place. */
export function smallPlan(
  kinds: readonly OperationKind[],
  { begin = BEGIN, ...changes }: Partial<Plan> & { readonly begin?: number } = {},
): Plan {
  const machines = changes.machines ?? [{ durable: true }, { durable: false }]
  return {
    seed: 1,
    machines,
    operations: kinds.map((kind, index) => ({ at: begin + index * 900, machine: index % machines.length, kind })),
    together: true,
    quietAt: begin + 50 * MINUTE,
    ...changes,
  }
}

/** Every fault at every point of a schedule, each with a name. */
export function singleFaults({ steps, engineRequests, tokenRequests }: Outcome): [string, Partial<Plan>][] {
  const faults: [string, Partial<Plan>][] = []
  for (let step = 1; step <= steps; step++) {
    const mishap = (kind: Mishap['kind'], milliseconds?: number) => {
      const name = `step ${step} ${kind} ${milliseconds ?? ''}`
      faults.push([name, { mishaps: [{ step, kind, ...(milliseconds !== undefined && { milliseconds }) }] }])
    }
    mishap('crash')
    mishap('reboot')
    for (const milliseconds of [10 * SECOND, 4 * MINUTE, 20 * MINUTE]) mishap('suspend', milliseconds)
    mishap('nap', 20 * MINUTE)
    mishap('set-clock', -HOUR)
  }
  for (let request = 1; request <= engineRequests; request++) {
    for (const fault of ENGINE_FAULTS) {
      faults.push([`request ${request} ${fault}`, { engineFaults: new Map([[request, fault]]) }])
    }
  }
  for (let request = 1; request <= tokenRequests; request++) {
    for (const fault of SERVER_FAULTS) {
      faults.push([`token ${request} ${fault}`, { serverFaults: new Map([[request, fault]]) }])
    }
  }
  return faults
}

export function both(one: Partial<Plan>, other: Partial<Plan>): Partial<Plan> {
  return {
    mishaps: [...(one.mishaps ?? []), ...(other.mishaps ?? [])],
    engineFaults: new Map([...(one.engineFaults ?? []), ...(other.engineFaults ?? [])]),
    serverFaults: new Map([...(one.serverFaults ?? []), ...(other.serverFaults ?? [])]),
  }
}

/** The key is replaced, and finished early or late; a second machine gets the new one in the meantime, or never. */
export function rekeyPlan(
  {
    finish,
    take,
    kinds,
  }: { readonly finish: number; readonly take?: number; readonly kinds: readonly OperationKind[] },
  { begin = BEGIN, ...changes }: Partial<Plan> & { readonly begin?: number } = {},
): Plan {
  const plan = smallPlan(kinds, { begin: begin + 1500, ...changes })
  const key: Operation[] = [
    { at: begin, machine: 0, kind: 'rekey' },
    ...(take === undefined ? [] : [{ at: begin + take, machine: 1, kind: 'take-key' } as const]),
    { at: begin + finish, machine: 0, kind: 'finish' },
  ]
  return { ...plan, operations: [...key, ...plan.operations] }
}

/** The vault moves; the second machine gets the address in the meantime, afterwards, or never. */
export function movePlan(
  { take, kinds, rekey }: { readonly take?: number; readonly kinds: readonly OperationKind[]; readonly rekey?: number },
  { begin = BEGIN, ...changes }: Partial<Plan> & { readonly begin?: number } = {},
): Plan {
  const plan = smallPlan(kinds, { begin, ...changes })
  const move: Operation[] = [
    { at: begin + 1500, machine: 0, kind: 'move' },
    ...(take === undefined ? [] : [{ at: begin + take, machine: 1, kind: 'take-address' } as const]),
    ...(rekey === undefined ? [] : [{ at: begin + rekey, machine: 0, kind: 'rekey' } as const]),
  ]
  return { ...plan, operations: [...plan.operations, ...move] }
}

/** A random schedule on machines that have room, and a time in it at which one of them begins something. */
function randomMoment(seed: number, salt: number) {
  const random = createRandom(seed ^ salt)
  const plan = randomPlan(seed)
  const times = plan.operations.map(({ at }) => at)
  const [first, last] = [Math.min(...times), Math.max(...times) + MINUTE]
  const at = (from: number) => from + random() * (last - from)
  const machines = plan.machines.map(({ full, ...machine }) => machine)
  const machine = Math.floor(random() * machines.length)
  const begin = at(first - 2 * SECOND)
  return { random, plan, machines, machine, at, begin }
}

/** The key is lost, another vault is made, and some machines get its key; the others go on with the old one. */
export function randomReplacePlan(seed: number): Plan {
  const { random, plan, machines, machine, at, begin } = randomMoment(seed, 0x7e91)
  const operations: Operation[] = [
    // Nothing in the new vault would tell that an imported copy is an old one.
    ...plan.operations.filter(({ kind }) => kind !== 'import'),
    { at: begin, machine, kind: 'replace' },
    { at: at(begin), machine, kind: 'login' },
    ...machines.flatMap((_, index): Operation[] =>
      random() < 0.5 ? [{ at: at(begin), machine: index, kind: 'take-key' }] : [],
    ),
  ]
  return { ...plan, machines, operations, losses: [] }
}

/** Two machines move it at the same time, beside two that use it. */
export function racingMovePlan(seed: number): Plan {
  const random = createRandom(seed ^ 0x4ace)
  const machines = Array.from({ length: 4 }, (_, index) => ({ durable: index % 2 === 0 }))
  const at = () => BEGIN + random() * 5 * SECOND
  return {
    ...smallPlan([], { machines, seed, slowEngine: random() < 0.5 }),
    operations: [
      { at: at(), machine: 0, kind: 'move' },
      { at: at(), machine: 1, kind: 'move' },
      { at: at(), machine: 2, kind: 'refresh' },
      { at: at(), machine: 3, kind: 'refresh' },
      { at: at(), machine: 2, kind: 'refresh' },
    ],
    engineFaultRate: 0.1,
    quietAt: BEGIN + 50 * MINUTE,
  }
}

/** One of two machines that move it sleeps in the middle of that, while the other one finishes, and others go on there. */
export function sleepingMovePlan(seed: number): Plan {
  const random = createRandom(seed ^ 0x51ee)
  const machines = Array.from({ length: 4 }, (_, index) => ({ durable: index < 2 }))
  const minutes = (count: number) => BEGIN + count * MINUTE
  return {
    ...smallPlan([], { machines, seed, together: random() < 0.5 }),
    operations: [
      { at: BEGIN, machine: 0, kind: 'move' },
      { at: minutes(1), machine: 1, kind: 'move' },
      { at: minutes(2), machine: 2, kind: 'take-address' },
      { at: minutes(3), machine: 2, kind: 'refresh' },
      { at: minutes(30), machine: 3, kind: 'take-address' },
      { at: minutes(31), machine: 3, kind: 'refresh' },
    ],
    mishaps: [{ step: 1 + Math.floor(random() * 40), kind: 'suspend', milliseconds: 20 * MINUTE }],
    quietAt: minutes(90),
  }
}

/** A machine loses the old place while it refreshes, and finds it left. Later it gets the new address. */
export function owingMovePlan(seed: number): Plan {
  const random = createRandom(seed ^ 0x0e3d)
  const machines = [{ durable: true }, { durable: true }]
  const from = BEGIN + (1 + random() * 3) * SECOND
  return {
    ...smallPlan([], { machines, seed, together: random() < 0.5 }),
    operations: [
      { at: BEGIN, machine: 1, kind: 'refresh' },
      { at: BEGIN + 3 * SECOND, machine: 0, kind: 'move' },
      { at: BEGIN + 30 * MINUTE, machine: 1, kind: 'call' },
      { at: BEGIN + 40 * MINUTE, machine: 1, kind: 'take-address' },
      { at: BEGIN + 41 * MINUTE, machine: 1, kind: 'call' },
    ],
    partitions: [{ from, until: from + 20 * MINUTE, machine: 1 }],
    quietAt: BEGIN + 50 * MINUTE,
  }
}

/** A schedule with any number of faults but those that lose changes, and the vault moves, once or from two machines. */
export function randomMovePlan(seed: number): Plan {
  const random = createRandom(seed ^ 0x30fe)
  const plan = randomPlan(seed)
  const times = plan.operations.map(({ at }) => at)
  const [first, last] = [Math.min(...times), Math.max(...times) + MINUTE]
  const at = (from: number) => from + random() * (last - from)
  const machines = plan.machines.map(({ full, ...machine }) => machine)
  const anyMachine = () => Math.floor(random() * machines.length)
  const begin = at(first - 2 * SECOND)
  const operations: Operation[] = [...plan.operations, { at: begin, machine: anyMachine(), kind: 'move' }]
  if (random() < 0.4) operations.push({ at: at(begin), machine: anyMachine(), kind: 'move' })
  if (random() < 0.3) {
    const machine = anyMachine()
    const added = at(first)
    operations.push({ at: added, machine, kind: 'rekey' }, { at: at(added), machine, kind: 'finish' })
  }
  for (const index of machines.keys()) {
    if (random() < 0.7) operations.push({ at: at(begin), machine: index, kind: 'take-address' })
  }
  return { ...plan, machines, operations, losses: [] }
}

/** A schedule with any number of faults but those that lose changes, and the key is replaced in the middle. */
export function randomRekeyPlan(seed: number): Plan {
  const { random, plan, machines, machine, at, begin } = randomMoment(seed, 0x4e4b)
  const finish = at(begin)
  const operations: Operation[] = [
    ...plan.operations,
    { at: begin, machine, kind: 'rekey' },
    { at: finish, machine, kind: 'take-key' },
    { at: finish + SECOND, machine, kind: 'finish' },
    ...machines.flatMap((_, index): Operation[] =>
      random() < 0.7 ? [{ at: at(begin), machine: index, kind: 'take-key' }] : [],
    ),
  ]
  return { ...plan, machines, operations, losses: [] }
}
