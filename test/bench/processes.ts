/**
 * Programs as processes, in turns with the least that does the same. Paired, because no two minutes of a machine are
 * alike: a ratio is the median over the pairs.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const PAIRS = 31

export interface Program {
  readonly name: string
  /** What Node is given. */
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export interface Ratio {
  /** Of the first's time to the second's. */
  readonly ratio: number
  /** Milliseconds, medians. */
  readonly first: number
  readonly second: number
  /** Of the processor time of both, which other programs on the machine change less. */
  readonly cpu: number
}

/** Both once for nothing, then in turns, each first as often as the other. */
export function compare(first: Program, second: Program, count = PAIRS): Ratio {
  run(first)
  run(second)
  const pairs = Array.from({ length: count }, (_, pair) => {
    if (pair % 2 === 0) return [run(first), run(second)] as const
    const late = run(second)
    return [run(first), late] as const
  })
  return {
    ratio: median(pairs.map(([ours, theirs]) => ours.took / theirs.took)),
    first: median(pairs.map(([ours]) => ours.took)),
    second: median(pairs.map(([, theirs]) => theirs.took)),
    // Of the sums: a tick is ten milliseconds.
    cpu: sum(pairs.map(([ours]) => ours.cpu)) / sum(pairs.map(([, theirs]) => theirs.cpu)),
  }
}

/** For Node, so that a process says how much memory it had. */
export const REPORT_PEAK = `--require=${fileURLToPath(new URL('report-peak.cjs', import.meta.url))}`

/** MiB resident, at its largest. */
export function peakMemory(program: Program): number {
  return reportedPeak(ended({ ...program, args: [REPORT_PEAK, ...program.args] }).stderr)
}

/** MiB, of a process that had `REPORT_PEAK`. */
export function reportedPeak(stderr: string): number {
  return Math.round(Number(/^PEAK (\d+)$/m.exec(stderr)![1]) / 1024)
}

/** @returns milliseconds */
function run(program: Program): { readonly took: number; readonly cpu: number } {
  const began = performance.now()
  const before = processorTime()
  ended(program)
  return { took: performance.now() - began, cpu: processorTime() - before }
}

/** Of all processes that this one has waited for, in ticks of the kernel's clock where it tells (Linux). */
function processorTime(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1)!.split(' ')
  return Number(fields[13]) + Number(fields[14])
}

function ended({ name, args, env = {} }: Program): { stderr: string } {
  // Nothing else of this environment: NODE_EXTRA_CA_CERTS alone doubles the start of Node 20.
  const { status, stderr } = spawnSync(process.execPath, args, {
    env: { PATH: process.env['PATH'], ...env },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (status !== 0) throw new Error(`${name}: exit code ${status}: ${stderr}`)
  return { stderr }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

export function median(values: readonly number[]): number {
  return values.toSorted((x, y) => x - y)[values.length >> 1]!
}
