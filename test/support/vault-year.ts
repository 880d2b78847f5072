/** A year of a vault that five machines share, with all that befalls them, and the vault. */
import type { Counts, Loss, MachinePlan, Operation, OperationKind, Outcome, Plan } from './vault-model.ts'
import { createRandom } from './vault-model.ts'
import { BEGIN } from './vault-plans.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const YEAR = 365 * DAY

/** A laptop, a server, and runners of a CI service, which begin with an empty disk each time. */
const MACHINES: readonly MachinePlan[] = [
  { durable: true },
  { durable: true },
  { durable: false },
  { durable: false },
  { durable: false },
]

/**
 * At random moments some of the machines use the session, within seconds or minutes. What can go wrong does so at any
 * time, and more often while it is used. In spring the key is replaced,
 * and in autumn the vault moves.
 *
 * @param moments how many; a real engine takes a real fraction of a second for each
 */
export function yearPlan(seed: number, moments = 150): Plan {
  const random = createRandom(seed ^ 0x7ea2)
  // Fewer moments have fewer of the faults that last.
  const many = (usual: number) => Math.max(1, Math.round((usual * moments) / 150))
  const between = (least: number, most: number) => least + random() * (most - least)
  const below = (most: number) => Math.floor(random() * most)
  const pick = <T>(values: readonly T[]): T => values[below(values.length)]!
  const times = Array.from({ length: moments }, () => between(BEGIN, YEAR)).sort((one, other) => one - other)
  const operations: Operation[] = []
  for (const time of times) {
    const spread = pick([2 * SECOND, 20 * SECOND, 5 * MINUTE, 30 * MINUTE])
    for (let count = 1 + below(5); count > 0; count--) {
      const kind = random() < 0.8 ? 'call' : 'refresh'
      operations.push({ at: time + between(0, spread), machine: below(MACHINES.length), kind })
    }
  }
  /** While the session is in use. */
  const busy = (first = 0, last = 1) =>
    times[Math.floor(between(first, last) * times.length)]! + between(0, 20 * SECOND)
  const onSomeMachine = (at: number, kind: OperationKind): Operation => ({ at, machine: below(2), kind })

  const rekey = busy(0.3, 0.4)
  const finish = busy(0.42, 0.5)
  operations.push({ at: rekey, machine: 0, kind: 'rekey' }, { at: finish, machine: 0, kind: 'finish' })
  // What a crash has left is finished the next day.
  operations.push({ at: finish + DAY, machine: 0, kind: 'finish' })
  // Some get the new key too late: until then they can do nothing.
  for (const [machine] of MACHINES.entries()) {
    operations.push({ at: between(rekey + MINUTE, finish + 3 * DAY), machine, kind: 'take-key' })
  }
  for (const kind of ['login', 'login', 'revoke'] as const) operations.push(onSomeMachine(busy(), kind))

  const move = busy(0.6, 0.7)
  operations.push({ at: move, machine: 0, kind: 'move' }, { at: move + DAY, machine: 0, kind: 'move' })
  for (const [machine] of MACHINES.entries()) {
    operations.push({ at: between(move + MINUTE, move + 3 * DAY), machine, kind: 'take-address' })
  }
  /** Who has only the new address cannot tell a vault that has lost it from another one. */
  const unlessMoving = (loss: Loss) => (loss.at < move - HOUR || loss.at > move + 4 * DAY ? [loss] : [])

  const losses: Loss[] = []
  for (const kind of ['lose-last', 'lose-last', 'restore', 'delete', 'copy-memory'] as const) {
    losses.push({ at: busy(), kind, count: kind === 'copy-memory' ? 1 : 1 + below(4) })
  }
  for (let count = many(10); count > 0; count--) losses.push({ at: busy(), kind: 'disturb' })

  /** They begin shortly before or while the session is used. */
  const outage = (longest: number) => {
    const from = busy() - between(0, pick([10 * SECOND, 10 * MINUTE]))
    return { from, until: from + between(MINUTE, longest) }
  }
  const partitions = Array.from({ length: many(2) }, () => outage(HOUR)).flatMap((each) =>
    MACHINES.map((_, machine) => ({ ...each, machine })),
  )
  for (let count = many(6); count > 0; count--)
    partitions.push({ ...outage(6 * HOUR), machine: below(MACHINES.length) })

  // Two weeks would be over between two moments, if they are few.
  const isConfidential = random() < 0.5 || moments < 100
  return {
    seed,
    machines: MACHINES,
    operations,
    together: random() < 0.5,
    nonces: true,
    revokesByNewest: random() < 0.5,
    slowEngine: random() < 0.2,
    // As the official server has them.
    sessionLifetime: isConfidential ? 2 * YEAR : 14 * DAY,
    refreshLifetime: isConfidential ? 90 * DAY : 14 * DAY,
    person: below(2),
    losses: losses.flatMap(unlessMoving),
    partitions,
    serverOutages: Array.from({ length: many(3) }, () => outage(HOUR)),
    // Acknowledged, and lost at once.
    engineFaults: new Map([1, 2, 3].map(() => [1 + below(moments * 12), 'lose-write'])),
    engineFaultRate: 0.02,
    serverFaultRate: 0.02,
    mishapRate: 0.001,
    quietAt: YEAR + HOUR,
  }
}

/** What led to the first violation. */
export function whatLedTo({ trace }: Outcome): string {
  const index = trace.findIndex((line) => line.includes(' VIOLATION: '))
  return trace.slice(Math.max(0, index - 80), index + 1).join('\n')
}

/** What became of many years. */
export function addUp(outcomes: readonly Outcome[]): Counts {
  const [first, ...rest] = outcomes.map(({ counts }) => structuredClone(counts))
  const total = first!
  for (const counts of rest) {
    for (const name of ['requests', 'answered', 'died', 'refreshes', 'resends', 'signIns'] as const)
      total[name] += counts[name]
    for (const name of ['ended', 'failed'] as const) {
      for (const [key, count] of Object.entries(counts[name])) total[name][key] = (total[name][key] ?? 0) + count
    }
  }
  return total
}
