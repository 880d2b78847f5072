/**
 * The placeholders of `run`: what the program needs to know of the front, in its variables and arguments.
 */
import { CliError } from '../errors.ts'
import { shellQuote } from '../shell.ts'

/** What the program signs in with. */
export interface FrontAccess {
  /** The origin of the front. */
  readonly url: string
  /** The same without `http://`. */
  readonly host: string
  readonly handle: string
  readonly did: string
  /** Secret, of this run only. */
  readonly password: string
}

const NAMES = ['url', 'host', 'handle', 'did', 'password'] as const satisfies (keyof FrontAccess)[]
type Name = (typeof NAMES)[number]
/** A word in double or in single braces. After a dollar sign, it is a variable of a shell. */
const BRACES = /\$\{+\w+\}+|\{\{(\w+)\}\}|\{(\w+)\}/g
/** Of this length, a word with one other letter is hardly meant as it is. */
const LONG = 6

/** What others call these values. */
const MEANT: Readonly<Record<string, Name>> = {
  account: 'handle',
  app_password: 'password',
  base_url: 'url',
  identifier: 'handle',
  login: 'handle',
  origin: 'url',
  pass: 'password',
  passwd: 'password',
  pds: 'url',
  server: 'url',
  service: 'url',
  uri: 'url',
  user: 'handle',
  username: 'handle',
}

/**
 * Fills in the known placeholders and nothing else, so that JSON and other braces stay as they are. `{{did}}` becomes
 * the text `{did}`, and so do words that would be rejected as misspelt ones.
 */
export function fillIn(template: string, access: FrontAccess): string {
  return template.replace(BRACES, (written, text: string | undefined, word = '') => {
    if (text !== undefined) return isName(text) || misspelt(text) !== undefined ? `{${text}}` : written
    return isName(word) ? access[word] : written
  })
}

function isName(word: string): word is Name {
  return (NAMES as readonly string[]).includes(word)
}

/** The name that is meant by one with a slip in it, such as `URL` or `passwrod`. */
function misspelt(word: string): Name | undefined {
  const lower = word.toLowerCase()
  return isName(word) ? undefined : NAMES.find((name) => name === lower || isSlip(lower, name))
}

/** Two letters are swapped, or one letter of a long name is missing, wrong or too many. A longer word is another word. */
function isSlip(word: string, name: string): boolean {
  const least = Math.min(word.length, name.length)
  let start = 0
  while (start < least && word[start] === name[start]) start += 1
  let end = 0
  while (end < least - start && word.at(-1 - end) === name.at(-1 - end)) end += 1
  const given = word.slice(start, word.length - end)
  const meant = name.slice(start, name.length - end)
  if (given.length === 2 && meant.length === 2) return given[0] === meant[1] && given[1] === meant[0]
  return name.length >= LONG && start < name.length && given.length <= 1 && meant.length <= 1
}

/** Name and template of a variable. */
export type VariableTemplate = readonly [name: string, template: string]

/** @throws {OAuthError} `USAGE` */
export function parseVariable(argument: string): VariableTemplate {
  const [, name, template] = /^([^=]*)=([\s\S]*)$/.exec(argument) ?? []
  if (name === undefined || template === undefined) {
    const isName = /^[A-Za-z_]\w*$/.test(argument)
    throw new CliError('USAGE', `--env ${JSON.stringify(argument)} has no value: write it as NAME=VALUE`, {
      hint: `write what the variable contains, as in: --env ${shellQuote(`${isName ? argument : 'BSKY_HOST'}={url}`)}`,
    })
  }
  if (!/^[A-Za-z_]\w*$/.test(name)) {
    const close = name.replace(/^\s*(?:export|set)\s+/, '').replace(/\W+/g, '_')
    const meant = /^[A-Za-z_]\w*$/.test(close) ? close : 'BSKY_HOST'
    throw new CliError('USAGE', `${JSON.stringify(name)} is not the name of a variable`, {
      hint: `use letters, digits and _, as in: --env ${shellQuote(`${meant}=${template}`)}`,
    })
  }
  checkPlaceholders(name, template)
  return [name, template]
}

/** A slip would reach the program as text, which would only say that the sign-in failed. */
function checkPlaceholders(name: string, template: string): void {
  const outside = `to pass this text, set ${name} before the command, without --env`
  const known = `the placeholders are ${listed(NAMES)}`
  const reject = (written: string, hint: string) => {
    throw new CliError('USAGE', `unknown placeholder "${written}" in --env ${name}`, { hint })
  }
  for (const [written, , word = ''] of template.matchAll(BRACES)) {
    const lower = word.toLowerCase()
    const meant = misspelt(word) ?? (Object.hasOwn(MEANT, lower) ? MEANT[lower] : undefined)
    if (meant !== undefined) reject(written, `write it as {${meant}}; ${known}`)
    const inShell = NAMES.find((each) => written === `\${${each}}`)
    if (inShell !== undefined) reject(written, `write it as {${inShell}}; ${outside}`)
  }
  const whole = /^\{([\w-]+)\}$/.exec(template)?.[1]
  if (whole !== undefined && !isName(whole)) reject(template, `${known}; ${outside}`)
}

function listed(names: readonly Name[]): string {
  return names.map((name) => `{${name}}`).join(' ')
}

/**
 * The arguments of other processes can be read by all users of a machine. Braces are frequent in arguments: of the unknown
 * words in them, only slips are rejected.
 *
 * @throws {OAuthError} `USAGE` the password is in one, or a misspelt placeholder
 */
export function checkArguments(words: readonly string[]): void {
  const written = words.flatMap((word) => [...word.matchAll(BRACES)].flatMap(([, , name]) => name ?? []))
  const slip = written.find((name) => misspelt(name) !== undefined)
  if (slip !== undefined) {
    const others = NAMES.filter((name) => name !== 'password')
    const meant = misspelt(slip) === 'password' ? `pass {password} with --env` : `write it as {${misspelt(slip)}}`
    throw new CliError('USAGE', `unknown placeholder "{${slip}}" in the arguments`, {
      hint: `${meant}, or as {{${slip}}} for this text; the placeholders are ${listed(others)}`,
    })
  }
  if (!written.includes('password')) return
  throw new CliError('USAGE', 'other users of this machine can see the arguments: {password} cannot be used in them', {
    hint: `pass it in a variable that the program reads, as in: --env 'BSKY_PASSWORD={password}'`,
  })
}
