/**
 * Addresses of vaults on Redis and Valkey. User and password are taken out of them at once: what is stored, compared and
 * printed has neither.
 */
import { OAuthError } from '../../errors.ts'

export interface RedisAddress {
  readonly kind: 'redis'
  /** Without user and password. */
  readonly text: string
  readonly identity: string
  readonly host: string
  readonly port: number
  readonly isEncrypted: boolean
  readonly database: number
  /** Of the names of all our keys. */
  readonly prefix: string
  /** Secret: `USER:PASSWORD`, either of them empty, percent-encoded as in the address. */
  readonly login: string | undefined
}

export interface RedisLogin {
  readonly user?: string | undefined
  readonly password?: string | undefined
}

const DEFAULT_PREFIX = 'atproto-oauth:'
const DEFAULT_PORT = 6379

export function isRedisAddress(text: string): boolean {
  return /^rediss?:/.test(text)
}

/**
 * `redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE][?prefix=PREFIX]`, or `rediss://` for TLS.
 *
 * @throws {OAuthError} `USAGE`, without a part of the address that may be secret
 */
export function parseRedisAddress(text: string): RedisAddress {
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(text)) throw malformed('it contains a control character')
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^rediss?:\/\//.test(text)) throw malformed('it is not a URL')
  const host = url.hostname.toLowerCase()
  if (host === '') throw malformed('it names no host')
  if (!/^(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)$/.test(host)) throw malformed('its host is not a host name or IP address')
  if (url.hash !== '') throw malformed('it contains a "#"')
  const port = url.port === '' ? DEFAULT_PORT : Number(url.port)
  const [, digits] = /^\/?(\d{0,5})$/.exec(url.pathname) ?? []
  if (digits === undefined) throw malformed('its path is not a database number')
  const database = Number(digits)
  const prefix = prefixOf(url.searchParams)
  const login = url.username === '' && url.password === '' ? undefined : `${url.username}:${url.password}`
  if (login !== undefined) redisLogin(login)
  const parts = [
    `${url.protocol}//${host}`,
    port === DEFAULT_PORT ? '' : `:${port}`,
    database === 0 ? '' : `/${database}`,
    prefix === DEFAULT_PREFIX ? '' : `?prefix=${encodeURIComponent(prefix).replaceAll('%3A', ':')}`,
  ]
  const shown = parts.join('')
  return {
    kind: 'redis',
    text: shown,
    identity: shown,
    host: host.replace(/^\[|\]$/g, ''),
    port,
    isEncrypted: url.protocol === 'rediss:',
    database,
    prefix,
    login,
  }
}

/** @throws {OAuthError} `USAGE` it is not encoded correctly */
export function redisLogin(login: string): RedisLogin {
  const at = login.indexOf(':')
  try {
    const [user, password] = [login.slice(0, at), login.slice(at + 1)].map(decodeURIComponent)
    return { user: user || undefined, password: password || undefined }
  } catch {
    throw malformed('user or password is not percent-encoded')
  }
}

function prefixOf(parameters: URLSearchParams): string {
  const prefixes = parameters.getAll('prefix')
  if (prefixes.length > 1 || [...parameters.keys()].some((name) => name !== 'prefix')) {
    throw malformed('its query may contain only a prefix')
  }
  const prefix = prefixes[0] ?? DEFAULT_PREFIX
  if (!/^[\x21-\x7e]{1,200}$/.test(prefix))
    throw malformed('its prefix is not 1 to 200 ASCII characters without spaces')
  return prefix
}

/** Nothing is quoted: in an address that was not understood, the password may be anywhere. */
function malformed(why: string): OAuthError {
  return new OAuthError('USAGE', `invalid address of a vault on Redis: ${why}`, {
    session: 'none',
    facts: { reason: 'redis-address-malformed' },
  })
}
