/**
 * Parses identifiers into branded strings, without resolving them.
 *
 * @see https://atproto.com/specs/handle https://atproto.com/specs/did https://atproto.com/specs/nsid
 */
import { type ErrorFacts, OAuthError } from '../../errors.ts'
import type { Did, Handle, Nsid, Origin } from '../../model.ts'

const HANDLE = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$/
const HANDLE_LONGEST = 253
const DID = /^did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-]$/
const DID_LONGEST = 2048
const DID_PLC = /^did:plc:[a-z2-7]{24}$/
const NSID =
  /^[a-zA-Z](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)+\.[a-zA-Z][a-zA-Z0-9]{0,62}$/
const NSID_LONGEST = 317
/** Names that never belong to an account (handle specification, "Additional Non-Syntax Restrictions"). */
const RESERVED_TLDS = ['alt', 'arpa', 'example', 'internal', 'invalid', 'local', 'localhost', 'onion']
const DEV_TLDS = ['test']
/** Servers whose name is often given for that of an account, which is below it. */
const SERVERS = ['bsky.social']
const EMAIL = /^@?[\w.%+-]{1,64}@[\w.-]{1,253}$/

/** The handle in lower case. Checked before lower-casing: U+212A would become an ASCII `k`. */
export function asHandle(text: string): Handle | undefined {
  return text.length <= HANDLE_LONGEST && HANDLE.test(text) ? (text.toLowerCase() as Handle) : undefined
}

/** Whether the name is reserved; `.test` is allowed with `dev`. */
export function isReservedName(host: string, dev: boolean): boolean {
  const tld = host.slice(host.lastIndexOf('.') + 1)
  return RESERVED_TLDS.includes(tld) || (!dev && DEV_TLDS.includes(tld))
}

/** Whether the text has the generic syntax of a DID, of any method. */
export function isDid(text: string): boolean {
  return text.length <= DID_LONGEST && DID.test(text)
}

/** A DID of a method that atproto supports; `did:web` must be a host, or with `dev` localhost with a port. */
export function asDid(text: string, dev = false): Did | undefined {
  if (!isDid(text)) return undefined
  if (DID_PLC.test(text)) return text as Did
  if (!text.startsWith('did:web:')) return undefined
  return didWebHost(text, dev) === undefined ? undefined : (text as Did)
}

/** The `host[:port]` of a supported `did:web`. */
export function didWebHost(did: string, dev: boolean): string | undefined {
  const host = did.slice('did:web:'.length)
  if (dev && /^localhost(?:%3A\d{1,5})?$/.test(host)) {
    const local = host.replace('%3A', ':')
    return URL.canParse(`http://${local}`) ? local : undefined
  }
  const isName = asHandle(host) === host // handle syntax, and already in lower case
  return isName && !isReservedName(host, dev) ? host : undefined
}

export function asNsid(text: string): Nsid | undefined {
  return text.length <= NSID_LONGEST && NSID.test(text) ? (text as Nsid) : undefined
}

/** An origin in canonical form; `http:` only with `dev`. */
export function asOrigin(text: string, dev: boolean): Origin | undefined {
  const url = asUrl(text)
  if (!url || url.origin !== text) return undefined
  return isSecure(url, dev) ? (text as Origin) : undefined
}

/** An origin as copied from an address bar, where it has a trailing slash. */
export function asServer(text: string, dev: boolean): Origin | undefined {
  const url = asUrl(text)
  return url?.pathname === '/' && !/[?#@]/.test(text) ? asOrigin(url.origin, dev) : undefined
}

export function asUrl(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined
}

/** Whether a URL has `https:`, or with `dev` `http:`. */
export function isSecure(url: URL, dev: boolean): boolean {
  return url.protocol === 'https:' || (dev && url.protocol === 'http:')
}

export type Identifier =
  | { readonly kind: 'handle'; readonly handle: Handle }
  | { readonly kind: 'did'; readonly did: Did }
  | { readonly kind: 'server'; readonly origin: Origin }

/**
 * Parses user input as a handle, a DID or a server URL. A bare host name is a handle, never a server.
 *
 * @throws {OAuthError} `IDENTIFIER_INVALID`, `DID_METHOD_UNSUPPORTED`
 */
export function parseIdentifier(typed: string, dev: boolean): Identifier {
  const text = typed.replace(/^[\t\n\r ]+|(?<![\t\n\r ])[\t\n\r ]+$/g, '') // the lookbehind keeps the match linear
  const harmless = text.replace(/\/\/[^/?#]*@/, '//…@') // errors must not repeat a password
  const shown = JSON.stringify(harmless.length > 60 ? `${harmless.slice(0, 60)}…` : harmless)
  if (/^https?:\/\//i.test(text)) return { kind: 'server', origin: parseServer(text, shown, dev) }
  if (text.startsWith('did:')) {
    if (!isDid(text)) {
      throw new OAuthError('IDENTIFIER_INVALID', `${shown} is not a valid DID`, { facts: meantBy(text, dev) })
    }
    const did = asDid(text, dev)
    if (!did) {
      const message = `${shown} is not a did:plc or did:web that atproto accepts`
      throw new OAuthError('DID_METHOD_UNSUPPORTED', message, { facts: { did: text } })
    }
    return { kind: 'did', did }
  }
  if (text === '') throw new OAuthError('IDENTIFIER_INVALID', 'the handle is empty: was its variable not set?')
  const handle = asHandle(text.startsWith('@') ? text.slice(1) : text)
  if (!handle) {
    const isMail = EMAIL.test(text.replace(/^mailto:/i, ''))
    const what = isMail ? 'an e-mail address, not' : 'not'
    throw new OAuthError(
      'IDENTIFIER_INVALID',
      `${shown} is ${what} a handle, a DID or a server URL${peculiarity(text)}`,
      {
        facts: isMail ? { reason: 'identifier-email' } : meantBy(text, dev),
      },
    )
  }
  if (SERVERS.includes(handle)) {
    throw new OAuthError('IDENTIFIER_INVALID', `${handle} is a server, not an account`, {
      facts: { reason: 'identifier-meant', identifier: `https://${handle}` },
    })
  }
  if (isReservedName(handle, dev)) {
    throw new OAuthError(
      'IDENTIFIER_INVALID',
      `no account can have the handle ${handle}: its top-level domain is reserved`,
      {
        facts: handle.endsWith('.test') ? { reason: 'dev-mode-needed' } : {},
      },
    )
  }
  return { kind: 'handle', handle }
}

/**
 * The identifier in a text that contains one: the address of a profile or record, a name in quotes, or one with a slash
 * behind it. It is only suggested, because the text may mean something else.
 */
function meantBy(text: string, dev: boolean): ErrorFacts {
  if (VARIABLE.test(text)) return {}
  const typed = text
    .slice(0, DID_LONGEST)
    .normalize('NFKC')
    .replaceAll('\u3002', '.') // the full stop of Chinese and Japanese keyboards
    .replace(/[\p{Cc}\p{Cf}\s\\]/gu, '')
  const [, within] =
    /^\[([^\]]+)\]\(/.exec(typed) ??
    /^at:\/\/([^/?#]+)/i.exec(typed) ??
    /^[^?#]*?\/profile\/([^/?#]+)/i.exec(typed) ??
    []
  const name = trimmed((within ?? typed).replace(/%3A/gi, ':')).replace(/^[a-z_]+=/i, '')
  const did = name.replace(/[#/?].*$/, '').replace(/^did:[a-z]+:/i, (start) => start.toLowerCase())
  const isUserName = within === undefined && /^@?[a-z\d][a-z\d-]{1,16}[a-z\d]$/i.test(text)
  const identifier =
    asDid(did) ??
    asHandle(name) ??
    serverMeantBy(typed, dev) ??
    (isUserName ? `${name.toLowerCase()}.${SERVERS[0]}` : undefined)
  return identifier === undefined ? {} : { reason: 'identifier-meant', identifier }
}

/** The origin of a URL with a path or of another protocol, or of an address that has no scheme. */
function serverMeantBy(typed: string, dev: boolean): string | undefined {
  if (/^(?:localhost|[a-z\d.-]+\.[a-z]+(?=:)|(?:\d{1,3}\.){3}\d{1,3}|\[[a-f\d:]+\])(?::\d{1,5})?\/?$/i.test(typed)) {
    const scheme = dev && !/\.[a-z]+:/i.test(typed) ? 'http' : 'https'
    return asServer(`${scheme}://${typed.replace(/\/$/, '')}/`, dev)
  }
  const url = asUrl(typed)
  if (!url || url.username || url.password || url.hostname === '') return undefined
  if (/^https?:$/.test(url.protocol) && dev) return asOrigin(url.origin, dev)
  if (!asHandle(url.hostname)) return undefined
  if (url.protocol === 'https:') return url.origin
  return /^(?:ftp|wss?):$/.test(url.protocol) ? `https://${url.hostname}` : undefined
}

/** How shells, workflows and templates write a variable, which none of them has replaced by its value. */
const VARIABLE = /\$\{|\$\(|^\$\w|\{\{|^%\w+%$/

/** What is wrong with a text that may look valid in a message. */
function peculiarity(text: string): string {
  if (VARIABLE.test(text)) return ': it is the name of a variable, not its value'
  if (/[\p{Cc}\p{Cf}]/u.test(text)) return ': it contains invisible characters' // which `sanitize` removes
  return /[^\p{ASCII}]/u.test(text) && /\p{L}/u.test(text.replace(/\p{ASCII}/gu, ''))
    ? ': it contains letters other than a-z'
    : ''
}

/** Without quotes, brackets and punctuation around it. */
function trimmed(text: string): string {
  const [, inner = ''] = /^[^\p{L}\d]*(.*)$/su.exec(text) ?? []
  let end = inner.length
  while (end > 0 && !/[\p{L}\d]/u.test(inner[end - 1]!)) end -= 1
  return inner.slice(0, end)
}

function parseServer(text: string, shown: string, dev: boolean): Origin {
  const url = asUrl(text)
  const bare = url && url.pathname === '/' && !url.search && !url.hash && !url.username && !url.password
  if (!url || !bare) {
    throw new OAuthError('IDENTIFIER_INVALID', `${shown} is not a server URL: write only https:// and the host`, {
      facts: meantBy(text, dev),
    })
  }
  if (!isSecure(url, dev)) {
    throw new OAuthError('IDENTIFIER_INVALID', `${shown} is not https`, {
      facts: { reason: 'dev-mode-needed' },
    })
  }
  return url.origin as Origin
}
