/**
 * Saved sessions: which kind of value a program has.
 */
import { isAtcuteSession } from '../credentials/atcute-session.ts'
import { parseVariables } from '../credentials/parse.ts'
import { readCredentials, readSaved } from '../credentials/read.ts'
import type { Environment } from '../credentials/variables.ts'
import { OAuthError } from '../errors.ts'
import type { Credentials } from '../model.ts'
import { isObject, parseJson } from '../text.ts'

/** The longest text without dots and colons that names a session is its thumbprint. */
const LONGEST_NAME = 43

export interface ParseOptions {
  /** Allows `http:` servers and `.test` handles. */
  readonly dev?: boolean | undefined
}

/**
 * Reads a saved session: the JSON of `session.export()`, any text of {@link formatCredentials} or of the commands, the
 * parsed JSON of either, or variables such as `process.env`. Sends nothing.
 *
 * @param saved untrusted
 * @throws {OAuthError} `CREDENTIALS_INVALID`, `CREDENTIALS_INCOMPLETE`; the message never quotes a value
 */
export function parseCredentials(saved: string | object, options: ParseOptions = {}): Credentials {
  const credentials = credentialsIn(saved, options)
  if (credentials) return credentials
  throw new OAuthError('CREDENTIALS_INVALID', 'there is no session in the saved value')
}

/** Whether a text is a saved session, and not an account: an error would quote that. */
export function isSavedText(text: string): boolean {
  return /[{\s=]/.test(text.trim()) || (text.length > LONGEST_NAME && !/[.:]/.test(text))
}

/** As {@link parseCredentials}; `undefined` if there are no credentials at all. */
export function credentialsIn(saved: string | object, { dev = false }: ParseOptions): Credentials | undefined {
  if (typeof saved === 'string') return fromText(saved, dev)
  return isObject(saved) ? fromObject(saved, dev) : undefined // parsed JSON may be anything
}

function fromText(text: string, dev: boolean): Credentials | undefined {
  const value = asJson(text)
  if (isObject(value) && isSaved(value)) return readSaved(value, dev)
  const variables = parseVariables(text)
  return variables && readCredentials(variables, dev)
}

function fromObject(value: object, dev: boolean): Credentials | undefined {
  const members = value as Readonly<Record<string, unknown>>
  if (isSaved(members)) return readSaved(members, dev)
  if (isAtcuteSession(value) || isObject(members['dpopJwk'])) {
    const message = 'the value is a session of another library: import it with importSession'
    throw new OAuthError('CREDENTIALS_INVALID', message)
  }
  return readCredentials(variablesIn(members), dev)
}

/** Whether the members are those of {@link Credentials}. */
function isSaved(members: Readonly<Record<string, unknown>>): boolean {
  return 'dpopPrivateJwk' in members && 'did' in members
}

function variablesIn(members: Readonly<Record<string, unknown>>): Environment {
  const texts = Object.entries(members).map(([name, value]) => {
    if (value === null || value === undefined) return [name, undefined]
    return [name, typeof value === 'string' ? value : JSON.stringify(value)]
  })
  return Object.fromEntries(texts)
}

function asJson(text: string): unknown {
  try {
    return parseJson(text.replace(/^\ufeff/, ''))
  } catch {
    return undefined // the message of the parser could quote a secret
  }
}
