/**
 * Text from outside: decoded, parsed, quoted, and made safe for a terminal and for a CI log: no control
 * characters (so no ANSI sequences), no bidirectional overrides, no invisible
 * joiners, and no line that begins with `::`, which a CI runner would obey.
 */

/** Most text. What looks for other characters takes a millisecond to prepare, so it is prepared at its first use. */
const PLAIN = /^[ -~]*$/
const LONGEST = 500
/** Maximum nesting depth: more than any real document has, and safe for the recursion of `JSON.stringify`. */
const DEEPEST = 1000

/**
 * Makes text one line of at most `longest` characters, without anything that a terminal or a CI runner would act on.
 */
export function sanitize(text: string, longest: number = LONGEST): string {
  const start = text.slice(0, longest * 8) // limits the work, not the result
  const seen = PLAIN.test(start) ? start : withoutUnseen(start)
  const line = seen.replace(/^\s*:{2,}/, ':').trim()
  const characters = [...line]
  return characters.length > longest ? `${characters.slice(0, longest).join('')}…` : line
}

function withoutUnseen(text: string): string {
  return text
    .replace(ansi(), '')
    .replace(/[\r\n\u0085\u2028\u2029]+/g, ' ')
    .replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu, '')
}

/** ESC sequences are removed first and completely, so that their parameters do not remain as text. */
function ansi(): RegExp {
  return new RegExp(
    [
      '\\u001b\\[[0-?]*[ -/]*[@-~]', // CSI
      '\\u001b[\\]PX^_][^\\u0007\\u001b]*(?:\\u0007|\\u001b\\\\)?', // OSC, DCS, SOS, PM, APC
      '\\u001b[ -/]*[0-~]', // two-character sequences
    ].join('|'),
    'g',
  )
}

/** As {@link sanitize}, but keeping the lines of a longer text. */
export function sanitizeLines(text: string): string {
  return text
    .split(/\r\n|[\r\n]/)
    .map((line) => {
      const indent = /^ */.exec(line)?.[0] ?? ''
      const clean = sanitize(line, 100_000)
      return clean === '' ? '' : indent + clean
    })
    .join('\n')
}

/** JSON on one line. Characters that {@link sanitize} would remove are escaped. */
export function toSafeJson(value: unknown): string {
  const escaped = (character: string) =>
    Array.from({ length: character.length }, (_, index) => character.charCodeAt(index))
      .map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`)
      .join('')
  const text = JSON.stringify(value)
  return PLAIN.test(text) ? text : text.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/gu, escaped)
}

/** Quotes any text for a POSIX shell, with single quotes. */
export function singleQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

let strict: TextDecoder | undefined

/**
 * The text, or `undefined` if the bytes are not UTF-8. A leading byte order mark is removed, unless `keepsMark` is set.
 *
 * @see https://encoding.spec.whatwg.org/#interface-textdecoder
 */
export function decodeUtf8(bytes: Uint8Array, { keepsMark = false } = {}): string | undefined {
  strict ??= new TextDecoder('utf-8', { fatal: true })
  const decoder = keepsMark ? new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }) : strict
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

/** Whether a value is a JSON object: neither a list nor `null`. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Parses JSON that can be written again.
 *
 * @throws {SyntaxError} not JSON, or nested too deeply
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text)
  if (text.length <= 2 * DEEPEST) return value // each level has two brackets
  let level = [value]
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > DEEPEST) throw new SyntaxError('nested too deep')
    level = level.flatMap((each) => (typeof each === 'object' && each !== null ? Object.values(each) : []))
  }
  return value
}

const UNITS = [
  ['day', 24 * 3600, 2],
  ['hour', 3600, 1],
  ['minute', 60, 1],
  ['second', 1, 0],
] as const

/** `14:05:03 UTC`, or with the date and without seconds if it is not within a day of `now`. */
export function clockTime(time: number, now: number): string {
  const [date = '', clock = ''] = new Date(time).toISOString().split('T')
  return Math.abs(time - now) < 24 * 3600 * 1000 ? `${clock.slice(0, 8)} UTC` : `${date} ${clock.slice(0, 5)} UTC`
}

/**
 * `in 59 minutes`, `2 days ago`: in the largest unit that fits, rounded down. Both arguments are milliseconds since the
 * epoch.
 */
export function relativeTime(time: number, now: number): string {
  const seconds = Math.trunc((time - now) / 1000)
  const [unit, length] = UNITS.find(([, size, least]) => Math.abs(seconds) >= size * least) ?? UNITS[3]
  const count = Math.trunc(seconds / length)
  if (count === 0) return time > now ? 'now' : 'just now'
  return new Intl.RelativeTimeFormat('en').format(count, unit)
}

/** Whether one character was inserted, deleted, replaced, or exchanged with the next. */
export function isOneSlip(one: string, other: string): boolean {
  const [short, long] = one.length < other.length ? [one, other] : [other, one]
  const surplus = long.length - short.length
  if (surplus > 1) return false
  let at = 0
  while (at < short.length && short[at] === long[at]) at += 1
  if (surplus === 1) return short.slice(at) === long.slice(at + 1)
  if (short.slice(at + 1) === long.slice(at + 1)) return true
  const isExchanged = short[at] === long[at + 1] && short[at + 1] === long[at]
  return isExchanged && short.slice(at + 2) === long.slice(at + 2)
}
