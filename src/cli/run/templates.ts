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
/** A placeholder, or in double braces the text of one. */
const PLACEHOLDER = new RegExp(`\\{\\{(?:${NAMES.join('|')})\\}\\}|\\{(${NAMES.join('|')})\\}`, 'g')

/** What others call these values. */
const MEANT: Readonly<Record<string, (typeof NAMES)[number]>> = {
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
 * the text `{did}`.
 */
export function fillIn(template: string, access: FrontAccess): string {
  return template.replace(PLACEHOLDER, (written, name?: keyof FrontAccess) =>
    name === undefined ? written.slice(1, -1) : access[name],
  )
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
  for (const [written, word = ''] of template.matchAll(/(?<!\{)\{(\w+)\}(?!\})/g)) {
    const lower = word.toLowerCase()
    const meant = NAMES.find((known) => known === lower) ?? (Object.hasOwn(MEANT, lower) ? MEANT[lower] : undefined)
    if (meant === undefined || meant === word) continue
    throw new CliError('USAGE', `unknown placeholder "${written}" in --env ${name}`, {
      hint: `write it as {${meant}}; the placeholders are ${NAMES.map((known) => `{${known}}`).join(' ')}`,
    })
  }
}

/**
 * The arguments of other processes can be read by all users of a machine.
 *
 * @throws {OAuthError} `USAGE` the password is in one
 */
export function checkArguments(words: readonly string[]): void {
  const hasPassword = words.some((word) => [...word.matchAll(PLACEHOLDER)].some(([, name]) => name === 'password'))
  if (!hasPassword) return
  throw new CliError('USAGE', 'other users of this machine can see the arguments: {password} cannot be used in them', {
    hint: `pass it in a variable that the program reads, as in: --env 'BSKY_PASSWORD={password}'`,
  })
}
