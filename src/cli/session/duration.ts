import { CliError } from '../errors.ts'

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** `90s`, `30m`, `12h`, `3d` as seconds. */
export function durationOf(text: string): number | undefined {
  const [, amount, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  return unit === undefined ? undefined : Number(amount) * UNITS[unit]!
}

/**
 * A duration in seconds. A number alone is rejected, because it could be of any unit.
 *
 * @throws {OAuthError} `USAGE`
 */
export function parseSeconds(flag: string, text: string): number {
  const seconds = durationOf(text)
  if (seconds !== undefined) return seconds
  if (/^\d{1,6}$/.test(text)) {
    throw new CliError('USAGE', `${flag} ${text} has no unit`, {
      hint: `add s, m, h or d for seconds, minutes, hours or days, as in: ${flag} ${text}m`,
    })
  }
  throw new CliError('USAGE', `${flag} must be a duration such as 30m, 12h or 3d, not ${JSON.stringify(text)}`, {
    hint: `write a whole number and s, m, h or d, as in: ${flag} 30m`,
  })
}
