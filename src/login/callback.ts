/**
 * The callback URL that a person pastes after signing in: parsed leniently, then validated strictly.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9207.html#section-2.4 RFC 9207 §2.4}, RFC 6749 §4.1.2
 */
import { loginFacts, OAuthError } from '../errors.ts'
import type { Callback, PendingAuthorization } from '../model.ts'
import { asUrl } from '../protocol/identity/syntax.ts'
import { sanitize } from '../text.ts'

const LONGEST = 64 * 1024
/** The parameters of an authorization response; each may come once (RFC 6749 §3.1). */
const PROTOCOL = ['state', 'iss', 'code', 'error', 'error_description', 'response', 'access_token', 'id_token']
/** Our states are base64url. Nothing else is looked up or becomes part of a file name. */
const STATE = /^[A-Za-z0-9_-]{16,128}$/

/** The parts of a paste, not yet validated. */
export interface PastedCallback {
  /** The URL without query and fragment; absent if only parameters were pasted. */
  readonly base?: string | undefined
  readonly parameters: URLSearchParams
  /** Absent only from a denial: some servers send none with it. */
  readonly state: string | undefined
}

/**
 * Accepts a whole URL, or only its query or fragment, and undoes what terminals, chats and shells add: line breaks,
 * quotes, `&amp;`, backslashes before `?`, `=` and `&`.
 *
 * @throws {OAuthError} `CALLBACK_UNREADABLE`, `CALLBACK_INCOMPLETE`, `CALLBACK_REFUSED`
 */
export function parseCallback(paste: string): PastedCallback {
  if (paste.length > LONGEST) throw unreadable('the pasted text is too long for a callback URL')
  const text = tidy(urlIn(paste))
  if (text === '') throw unreadable('nothing was pasted')
  const { base, query, fragment } = split(text)
  const inQuery = protocolKeys(query)
  const inFragment = protocolKeys(fragment)
  if (inQuery.length > 0 && inFragment.length > 0) {
    throw new OAuthError('CALLBACK_REFUSED', 'the callback URL has parameters in both its query and its fragment')
  }
  const parameters = inFragment.length > 0 ? fragment : query
  const keys = protocolKeys(parameters)
  if (keys.length === 0) throw unreadable(whatItIs(text, base))
  const doubled = keys.find((key, index) => keys.indexOf(key) !== index)
  if (doubled) throw new OAuthError('CALLBACK_REFUSED', `repeated parameter "${doubled}" in the callback URL`)
  const isDenial = parameters.get('error') && !parameters.has('code')
  const state = parameters.get('state') ?? (isDenial ? undefined : '')
  checkComplete(parameters, state)
  if (state !== undefined && !STATE.test(state)) {
    throw new OAuthError(
      'CALLBACK_STATE_UNKNOWN',
      'the state in the callback URL matches no login that was started here',
    )
  }
  return { base, parameters, state }
}

/** The code is read only after the issuer was checked, and never from an error response. */
export type ValidatedCallback = Callback | { readonly denied: OAuthError }

/**
 * Checks that a callback belongs to the pending request.
 *
 * @returns the code, or the error that the server sent with this callback
 * @throws {OAuthError} `CALLBACK_REFUSED`: the callback belongs to another request; this one stays open
 */
export function validateCallback(pasted: PastedCallback, pending: PendingAuthorization): ValidatedCallback {
  const { base, parameters } = pasted
  if (base !== undefined && base !== asUrl(pending.redirectUri.replace(/\?.*$/, ''))?.href) {
    throw new OAuthError(
      'CALLBACK_REFUSED',
      `the callback URL is at ${base}, but this login was started with the redirect URI ${pending.redirectUri}`,
    )
  }
  const iss = parameters.get('iss')
  if (iss !== pending.issuer) {
    const from = iss === null || iss === '' ? 'has no iss' : `is from ${iss}`
    throw new OAuthError(
      'CALLBACK_REFUSED',
      `the callback URL ${from}, but this login was started at ${pending.issuer}`,
    )
  }
  if (parameters.get('error')) return { denied: denial(parameters, pending) }
  const front = ['response', 'access_token', 'id_token'].find((key) => parameters.has(key))
  if (front) throw new OAuthError('CALLBACK_REFUSED', `unexpected parameter "${front}" in the callback URL`)
  const code = parameters.get('code')
  if (!code) throw new OAuthError('CALLBACK_REFUSED', 'the callback URL has no code')
  return { code } as Callback
}

const DENIALS: ReadonlyMap<string, string> = new Map([
  ['access_denied', 'the sign-in was denied or has expired'],
  ['invalid_scope', 'the server rejected the requested scope'],
  ['login_required', 'the sign-in in the browser was not completed'],
  ['consent_required', 'consent was required and not given'],
  ['interaction_required', 'the server requires an interaction in the browser'],
  ['account_selection_required', 'no account was selected in the browser'],
  ['server_error', 'the authorization server failed'],
  ['temporarily_unavailable', 'the authorization server is temporarily unavailable'],
])

function denial(parameters: URLSearchParams, pending: PendingAuthorization): OAuthError {
  const error = parameters.get('error') ?? ''
  const description = parameters.get('error_description')
  const said = [sanitize(error), description && `"${sanitize(description)}"`].filter(Boolean).join(' ')
  const why = DENIALS.get(error) ?? 'the authorization server returned an error'
  return new OAuthError('AUTHORIZATION_DENIED', `${why}: ${pending.issuer} returned ${said}`, {
    facts: loginFacts(pending),
  })
}

/**
 * Without the words before and behind a URL, as in a chat. A line break is where a terminal or mail program has wrapped
 * the URL; other words are not part of it.
 */
function urlIn(paste: string): string {
  const start = paste.search(/https?:\/\//i)
  if (start < 0) return paste
  const before = paste.slice(0, start)
  const [first = '', ...others] = (/\s/.test(before) && !before.includes('=') ? paste.slice(start) : paste)
    .trim()
    .split(/[\r\n]+/)
  const taken = [wordOf(first)]
  if (taken[0] !== first.trim()) return taken[0]!
  for (const line of others) {
    const word = wordOf(line)
    const isWords = word !== line.trim()
    // A line as long as the first was wrapped, and the URL goes on.
    const isWrapped = taken.length > 1 && taken.at(-1)!.length === taken[0]!.length
    if (isWords && !isWrapped && isWhole(taken.join(''))) break
    taken.push(word)
    if (isWords) break
  }
  return taken.join('\n')
}

function wordOf(line: string): string {
  return line.trim().split(/[ \t\u00a0]/, 1)[0]!
}

function isWhole(text: string): boolean {
  return ['state', 'iss', 'code'].every((name) => RegExp(`[?&#;]${name}\\\\?=`).test(text))
}

function tidy(paste: string): string {
  const lines = paste.split(/[\r\n]+/).map((line) => line.trim())
  // People paste twice when the first paste seems to have no effect.
  const again = lines.filter((line, index) => line !== '' && lines.indexOf(line) < index && /^https?:/i.test(line))
  return (again.length > 0 ? lines.filter((line, index) => lines.indexOf(line) === index).join('') : paste)
    .replace(/\u001b\[20[01]~/g, '') // bracketed-paste sequences of the terminal
    .replace(/[\s\u0000-\u001f\u200b-\u200f\u2060\ufeff]+/g, '')
    .replace(/^[<"'`([“”„‘’‚«»]+/, '')
    .replace(/(?<![>"'`)\],;“”‘’«»])[>"'`)\],;“”‘’«»]+$/, '') // the lookbehind keeps the match linear
    .replace(/&(?:amp|#38|#x26);/gi, '&')
    .replace(/\\([?&=#%])/g, '$1')
}

function split(text: string): { base?: string; query: URLSearchParams; fragment: URLSearchParams } {
  const none = new URLSearchParams()
  const hash = text.indexOf('#')
  const before = hash < 0 ? text : text.slice(0, hash)
  const fragment = hash < 0 ? none : new URLSearchParams(text.slice(hash + 1))
  const mark = before.indexOf('?')
  const head = mark < 0 ? before : before.slice(0, mark)
  if (/^[a-z][a-z0-9+.-]*:/i.test(head)) {
    const url = asUrl(head)
    if (!url) throw unreadable('the pasted URL is invalid')
    return { base: url.href, query: mark < 0 ? none : new URLSearchParams(before.slice(mark + 1)), fragment }
  }
  // Only the parameters, with or without the leading `?` or `#`.
  return { query: new URLSearchParams(mark < 0 ? before : before.slice(mark + 1)), fragment }
}

function protocolKeys(parameters: URLSearchParams): string[] {
  return [...parameters.keys()].filter((key) => PROTOCOL.includes(key))
}

function checkComplete(parameters: URLSearchParams, state: string | undefined): void {
  const missing = [
    ...(state === '' ? ['state'] : []),
    ...(parameters.get('iss') ? [] : ['iss']),
    ...(['code', 'error', 'response', 'access_token'].some((key) => parameters.get(key)) ? [] : ['code']),
  ]
  if (missing.length === 0) return
  throw new OAuthError(
    'CALLBACK_INCOMPLETE',
    `the callback URL is cut off: ${missing.join(' and ')} ${missing.length > 1 ? 'are' : 'is'} missing`,
  )
}

function whatItIs(text: string, base: string | undefined): string {
  if (/^(?:cod-|code[-_])?[0-9a-f]{32,}$/i.test(text)) return 'this is only the code; the whole callback URL is needed'
  if (text.includes('request_uri'))
    return 'this is the sign-in URL; the callback URL is shown by the browser after the sign-in'
  return base === undefined ? 'this is not a callback URL' : 'this is not a callback URL: it has no code'
}

function unreadable(message: string): OAuthError {
  return new OAuthError('CALLBACK_UNREADABLE', message)
}
