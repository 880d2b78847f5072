import { OAuthError } from '../../errors.ts'

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** `90s`, `30m`, `12h`, `3d` as seconds; a number alone is seconds. */
export function parseSeconds(flag: string, text: string): number {
  const [, amount, unit] = /^(\d{1,6})([smhd]?)$/.exec(text) ?? []
  if (amount !== undefined) return Number(amount) * UNITS[unit || 's']!
  throw new OAuthError('USAGE', `${flag} must be a duration such as 30m, 12h or 3d, not ${JSON.stringify(text)}`)
}
