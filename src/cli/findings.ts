/**
 * Prints findings, one per line with its fix below, and fails if one of them is broken.
 */
import type { Finding } from '../ports.ts'
import { sanitize, toSafeJson } from '../text.ts'
import type { Paint } from './colour.ts'
import { CliError, type Worded, worded } from './errors.ts'
import type { Output } from './output.ts'

/** @returns what was printed */
export async function printFindings(
  findings: AsyncIterable<Finding>,
  output: Output,
): Promise<readonly Worded<Finding>[]> {
  const seen: Worded<Finding>[] = []
  for await (const found of findings) {
    const finding = worded(found)
    seen.push(finding)
    await output.data(output.json ? `${toSafeJson(finding)}\n` : findingLines(finding, output.paint))
  }
  return seen
}

/** @throws {OAuthError} `DOCTOR_FOUND`, with the first fix as its hint */
export function concludeFindings(seen: readonly Worded<Finding>[], output: Output): void {
  const broken = seen.filter(({ verdict }) => verdict === 'broken')
  if (broken.length > 0) {
    const fix = broken.find((finding) => finding.fix !== undefined)?.fix?.split('\n')[0]
    throw new CliError('DOCTOR_FOUND', `broken: ${[...new Set(broken.map(({ topic }) => topic))].join(', ')}`, {
      hint: fix,
    })
  }
  const warnings = seen.filter(({ verdict }) => verdict === 'warning').length
  output.note(`No problems found.${warnings > 0 ? ` Warnings: ${warnings}.` : ''}`)
}

const SYMBOLS = { ok: 'ok', warning: '!!', broken: 'xx' } as const
const COLOURS = { ok: 'green', warning: 'yellow', broken: 'red' } as const
const TOPIC_WIDTH = 17

/** A finding, with its fix below it. */
export function findingLines({ topic, verdict, detail, fix, milliseconds }: Worded<Finding>, paint: Paint): string {
  const time = milliseconds > 0 ? ` (${Math.round(milliseconds)} ms)` : ''
  const [first, ...more] = fix?.split('\n') ?? []
  return [
    `${paint(COLOURS[verdict], SYMBOLS[verdict])}  ${topic.padEnd(TOPIC_WIDTH)}${sanitize(detail, 2000)}${time}`,
    ...(first === undefined ? [] : [`${' '.repeat(TOPIC_WIDTH + 4)}${paint('cyan', 'fix:')} ${sanitize(first, 2000)}`]),
    ...more.map((line) => `${' '.repeat(TOPIC_WIDTH + 6)}${indented(line)}`),
    '',
  ].join('\n')
}

/** `sanitize` removes the indentation, which the lines to copy need. */
function indented(line: string): string {
  return (/^ */.exec(line)?.[0] ?? '') + sanitize(line, 2000)
}
