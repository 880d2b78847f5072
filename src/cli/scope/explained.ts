/**
 * Prints what a permission allows, in a block of lines: for `scope explain` and `scope resolve`.
 */
import type { ExplainedPermission, ScopeFault } from '../../protocol/explain/explain.ts'
import { sanitize } from '../../text.ts'
import type { Paint } from '../colour.ts'

const WIDTH = 11
const COLOURS = { error: 'red', warning: 'yellow' } as const
/** Characters; enough for a permission with many methods. */
const LONGEST = 8000

export function describedPermission(
  { permission, allows, excludes, coveredBy, faults, corrected }: ExplainedPermission,
  paint: Paint,
): string[] {
  return [
    sanitize(permission, LONGEST),
    ...(allows === undefined ? [] : [row('allows', allows)]),
    ...(excludes === undefined ? [] : [row('limits', excludes)]),
    ...(coveredBy.length > 0 ? [row('covered by', coveredBy.join(' '))] : []),
    ...faults.map((fault) => faultRow(fault, paint)),
    ...(corrected === undefined ? [] : [row('write', corrected === '' ? 'nothing: omit it' : corrected)]),
  ]
}

export function faultRow({ level, message }: ScopeFault, paint: Paint): string {
  return row(level, message).replace(level, (word) => paint(COLOURS[level], word))
}

export function row(name: string, value: string): string {
  return `  ${name.padEnd(WIDTH)}${sanitize(value, LONGEST)}`
}
