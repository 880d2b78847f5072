/**
 * What the property tests share: hostile text, honest things spoiled, and the one property that all input has to
 * keep: it ends with a value or with an error of ours.
 */
import fc from 'fast-check'
import { hintOf } from '../../src/cli/errors.ts'
import { isOAuthError, USUAL_STATE } from '../../src/errors.ts'

/** Another one: `PROPERTY_SEED=7 npx vitest …`. A failure prints its seed and its path. */
const SEED = Number(process.env['PROPERTY_SEED'] ?? 20_260_102)
const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 200)

/** Checks `property`; of one that awaits the result has to be awaited. */
export function holds<T>(property: fc.IProperty<T>): void
export function holds<T>(property: fc.IAsyncProperty<T>): Promise<void>
export function holds<T>(property: fc.IRawProperty<T>): void | Promise<void> {
  return fc.assert(property as fc.IProperty<T>, { seed: SEED, numRuns: RUNS })
}

/** What a terminal, a shell, a file name, a URL, a regular expression or `toLowerCase` may trip over. */
const PIECES = [
  '\u212a', // Kelvin sign, k in lower case
  '\u0130', // İ, i and a combining dot in lower case
  '\u0000',
  '\ud800',
  '\udc00',
  '\u001b[31m',
  '\u001b]0;x\u0007',
  '\u009b',
  '\u202e',
  '\u200b',
  '\ufeff',
  '\u2028',
  '\r\n',
  '\n::error::x',
  '../../etc/passwd',
  '__proto__',
  'constructor',
  'did:plc:',
  'did:web:',
  'https://',
  'http://localhost',
  'javascript:',
  '%00',
  '%',
  '%E0%A4%A',
  ...':/@?#&=;,.\\"\'`$!()[]{}<>-_+ \t|*~^',
] as const

/** Any string that JavaScript can hold, lone surrogates included, with a liking for the pieces above. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
  fc
    .array(fc.oneof(fc.constantFrom(...PIECES), fc.string({ maxLength: 5 })), { maxLength: 12 })
    .map((parts) => parts.join('')),
  fc
    .tuple(fc.constantFrom(...PIECES, 'a', '0', 'a.', 'a-'), fc.integer({ min: 1, max: 3000 }))
    .map(([piece, times]) => piece.repeat(times)),
)

/** One of `honest` with something in it put in, taken out or replaced. */
export function spoiled(...honest: readonly string[]): fc.Arbitrary<string> {
  return fc
    .tuple(
      fc.constantFrom(...honest),
      fc.array(fc.tuple(fc.nat(), fc.nat(3), fc.oneof(fc.constantFrom(...PIECES), anyText)), {
        minLength: 1,
        maxLength: 3,
      }),
    )
    .map(([text, changes]) =>
      changes.reduce((before, [at, length, piece]) => {
        const start = at % (before.length + 1)
        return before.slice(0, start) + piece + before.slice(start + length)
      }, text),
    )
}

/** Deeper than JSON.stringify and String can follow. */
export const TOO_DEEP = 20_000

function nested(depth: number): unknown {
  const value: unknown = JSON.parse(nestedText(depth))
  return Object.defineProperty(value, fc.toStringMethod, { value: () => `nested ${depth} deep` })
}

export function nestedText(depth: number): string {
  return '['.repeat(depth) + ']'.repeat(depth)
}

/** Any JSON, with member names and values that code likes to meet least. */
export const anyJson: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    0,
    -1,
    1e308,
    '',
    [],
    {},
    [[]],
    [null],
    { toString: 1, valueOf: 1 },
    { length: 1, 0: 'x' },
  ),
  fc.dictionary(
    fc.constantFrom('toString', 'valueOf', 'toJSON', 'length', 'id', '__proto__', 'constructor', 'then'),
    fc.jsonValue({ maxDepth: 1 }),
  ),
  anyText,
  fc.constantFrom(10, TOO_DEEP).map(nested),
)

/** An honest document of which some members are replaced by anything, or gone. */
export function spoiledDocument(honest: Readonly<Record<string, unknown>>): fc.Arbitrary<Record<string, unknown>> {
  const value = fc.oneof({ weight: 4, arbitrary: anyJson }, { weight: 1, arbitrary: fc.constant(undefined) })
  return (
    fc
      .dictionary(fc.oneof(fc.constantFrom(...Object.keys(honest)), anyText), value, { minKeys: 1, maxKeys: 3 })
      // Through JSON, as it comes over the network: what is undefined goes.
      .map((changes) =>
        Object.fromEntries(Object.entries({ ...honest, ...changes }).filter(([, member]) => member !== undefined)),
      )
  )
}

/** Names and indices, outermost first. */
export type Path = readonly (string | number)[]

/** Every member of `value`, the members of members too. */
export function pathsIn(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path]
  const entries = Object.entries(value).map(([name, member]) => pathsIn(member, [...path, name]))
  return [path, ...entries.flat()]
}

export function valueAt(value: unknown, [name, ...rest]: Path): unknown {
  if (name === undefined) return value
  return typeof value === 'object' && value !== null ? valueAt(Reflect.get(value, name), rest) : undefined
}

export function replaced(value: unknown, [name, ...rest]: Path, next: unknown): unknown {
  if (name === undefined) return next
  if (typeof value !== 'object' || value === null) throw new TypeError(`there is no ${name}`)
  const changed = Array.isArray(value) ? [...value] : { ...value }
  Reflect.set(changed, name, replaced(Reflect.get(value, name), rest, next))
  return changed
}

/** What a type in a schema can tell apart. */
export function kindOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value
}

/** `honest` as JSON, with anything in the place of the member at `path`. */
export function changeOf(honest: unknown): fc.Arbitrary<{ path: Path; text: string }> {
  const path = fc.constantFrom(...pathsIn(honest).filter(({ length }) => length > 0))
  return fc.tuple(path, anyJson).chain(([at, value]) => {
    try {
      return fc.constant({ path: at, text: JSON.stringify(replaced(honest, at, value)) })
    } catch {
      return fc.constant({ path: at, text: JSON.stringify(replaced(honest, at, null)) }) // nested too deep to be written
    }
  })
}

/** What `run` ends with: a value, or an error of the catalogue whose text is safe to print. Anything else fails. */
export function answerOf<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch (error) {
    checkError(error)
    return undefined
  }
}

export async function asyncAnswerOf<T>(run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run()
  } catch (error) {
    checkError(error)
    return undefined
  }
}

export const UNSEEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/u

function checkError(error: unknown): void {
  if (!isOAuthError(error)) throw error
  if (!Object.hasOwn(USUAL_STATE, error.code)) throw new Error(`${error.code} is no code`)
  if (error.code === 'UNEXPECTED') throw error
  const text = error.message + hintOf(error)
  if (UNSEEN.test(text)) throw new Error(`the error has something unseen in it: ${JSON.stringify(text)}`)
}
