/**
 * Colours, for a person at a terminal.
 *
 * Not `util.styleText`: which streams and variables it looks at differs between Node 20, 22 and 24, and it reads
 * `process.env`.
 */
import type { Environment } from '../credentials/variables.ts'

const CODES = { red: 31, green: 32, yellow: 33, cyan: 36 } as const

export type Colour = keyof typeof CODES

/** Only for text that was sanitized before: sanitizing removes the colour, and a server must not choose one. */
export type Paint = (colour: Colour, text: string) => string

export function painter(isColoured: boolean): Paint {
  return isColoured ? (colour, text) => `\u001b[${CODES[colour]}m${text}\u001b[39m` : (_, text) => text
}

/**
 * Whether a stream gets colours: NO_COLOR is stronger than FORCE_COLOR, as in commander, and both count only if they
 * are not empty.
 *
 * @see https://no-color.org and https://force-color.org
 */
export function hasColours({ isTTY }: { readonly isTTY?: boolean | undefined }, environment: Environment): boolean {
  const { NO_COLOR, FORCE_COLOR, TERM } = environment
  if (NO_COLOR) return false
  if (FORCE_COLOR) return !['0', 'false'].includes(FORCE_COLOR.toLowerCase())
  return isTTY === true && TERM !== 'dumb'
}
