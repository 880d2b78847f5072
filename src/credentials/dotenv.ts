/**
 * Edits a dotenv file in place. Comments, order, other variables, line endings and the quotes of each line are kept.
 */
import { OAuthError } from '../errors.ts'
import type { Entries } from './write.ts'
import { dotenvValue } from './write.ts'

/** A name at the beginning of a line, up to its `=`; the first line may begin with a byte order mark. */
const ASSIGNMENT = /^\ufeff?[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*/
type Quote = '"' | "'" | '`' | ''

interface Assignment {
  readonly name: string
  readonly quote: Quote
  readonly value: string
  /** The position of the value, including its quotes. */
  readonly start: number
  readonly end: number
}

/** The variables of a dotenv file, as common parsers read them; for a repeated name, the last value counts. */
export function parseDotenv(text: string): Record<string, string> {
  return Object.fromEntries(assignments(text).map(({ name, value }) => [name, value]))
}

/**
 * Replaces the values of the names in `entries`; missing names are added at the end.
 *
 * @throws {OAuthError} `SAVE_FAILED` an unclosed quote would include the following lines; or the text is not UTF-8
 *   (PowerShell's `>` writes UTF-16) and could not be preserved
 */
export function editDotenv(text: string, entries: Entries): string {
  if (/\ufffd/.test(text)) throw new OAuthError('SAVE_FAILED', 'the file is not UTF-8; it was not changed')
  const wanted = new Map(entries)
  const found = assignments(text).filter(({ name }) => wanted.has(name))
  let result = text
  for (const { name, quote, value, start, end } of found.reverse()) {
    const next = wanted.get(name)!
    if (value !== next) result = result.slice(0, start) + quoted(name, next, quote) + result.slice(end)
  }
  const present = new Set(found.map(({ name }) => name))
  const lineEnd = /\r\n/.test(text) ? '\r\n' : '\n'
  const added = entries
    .filter(([name]) => !present.has(name))
    .map(([name, value]) => `${name}=${dotenvValue(name, value)}${lineEnd}`)
  const separator = added.length === 0 || result === '' || result.endsWith('\n') ? '' : lineEnd
  result += separator + added.join('')
  const wrong = misread(result, { ...parseDotenv(text), ...Object.fromEntries(wanted) })
  if (wrong === undefined) return result
  throw new OAuthError('SAVE_FAILED', `the file has an unclosed quote, so ${wrong} would be misread`)
}

/** The first name whose value parsers would read differently. */
function misread(text: string, meant: Readonly<Record<string, string>>): string | undefined {
  const read = parseDotenv(text)
  return Object.keys({ ...meant, ...read }).find((name) => read[name] !== meant[name])
}

function quoted(name: string, value: string, quote: Quote): string {
  const fits = {
    "'": !value.includes("'"),
    '"': !/["\\$`!]/.test(value),
    '`': !value.includes('`'),
    '': /^[\w@%+=:,./-]+$/.test(value),
  }[quote]
  return fits ? quote + value + quote : dotenvValue(name, value)
}

function assignments(text: string): Assignment[] {
  const found: Assignment[] = []
  for (let at = 0; at < text.length; ) {
    const lineEnd = endOfLine(text, at)
    const match = ASSIGNMENT.exec(text.slice(at, lineEnd))
    if (!match) {
      at = lineEnd + 1
      continue
    }
    const start = at + match[0].length
    const assignment = { name: match[1]!, ...readValue(text, start, lineEnd) }
    found.push(assignment)
    at = endOfLine(text, assignment.end) + 1
  }
  return found
}

/** A quoted value may span several lines and contain text that looks like an assignment. */
function readValue(text: string, start: number, lineEnd: number): Omit<Assignment, 'name'> {
  const quote = text[start]
  if (quote === '"' || quote === "'" || quote === '`') {
    let close = text.indexOf(quote, start + 1)
    while (quote === '"' && close > 0 && text[close - 1] === '\\') close = text.indexOf(quote, close + 1)
    if (close > 0) return { quote, value: text.slice(start + 1, close), start, end: close + 1 }
  }
  const line = text.slice(start, lineEnd).replace(/\r$/, '')
  const value = line.replace(/[ \t]+#.*$/, '').trimEnd()
  return { quote: '', value, start, end: start + value.length }
}

function endOfLine(text: string, from: number): number {
  const at = text.indexOf('\n', from)
  return at < 0 ? text.length : at
}
