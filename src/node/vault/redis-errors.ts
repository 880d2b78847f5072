/**
 * What Redis and Valkey reply, as errors. The text of a reply is shown only where it is known to repeat no parameter:
 * that of an unknown command does, and the parameter may be the password.
 */
import { type ErrorCode, type ErrorFacts, OAuthError, type PlainReason } from '../../errors.ts'
import { sanitize } from '../../text.ts'
import { isUntrusted } from '../http/errors.ts'
import type { RedisAddress, RedisLogin } from './redis-address.ts'

interface Kind {
  readonly code: ErrorCode
  readonly message: (place: string) => string
  readonly reason?: Extract<ErrorFacts['reason'], `redis-${string}` | 'vault-foreign'>
}

const KINDS = {
  login: {
    code: 'VAULT_REFUSED',
    message: (place) => `${place} rejected the login: the user name or password is wrong or missing`,
    reason: 'redis-login-refused',
  },
  protected: {
    code: 'VAULT_REFUSED',
    message: (place) => `${place} is in protected mode: it accepts connections from its own machine only`,
    reason: 'redis-protected',
  },
  permission: {
    code: 'VAULT_REFUSED',
    message: (place) => `the user lacks permissions at ${place}`,
    reason: 'redis-permission-missing',
  },
  replica: {
    code: 'VAULT_REFUSED',
    message: (place) => `${place} is a replica, where nothing can be changed`,
    reason: 'redis-replica',
  },
  sentinel: {
    code: 'VAULT_REFUSED',
    message: (place) => `${place} is a Sentinel, which keeps no data`,
    reason: 'redis-replica',
  },
  cluster: {
    code: 'VAULT_REFUSED',
    message: (place) => `${place} is a node of a cluster that does not have the vault`,
    reason: 'redis-cluster-node',
  },
  database: {
    code: 'VAULT_REFUSED',
    message: (place) => `${place} has no such database`,
    reason: 'redis-database-unknown',
  },
  memory: {
    code: 'VAULT_REFUSED',
    message: (place) => `${place} rejects changes: its memory is full`,
    reason: 'redis-memory-full',
  },
  disk: {
    code: 'VAULT_REFUSED',
    message: (place) => `${place} rejects changes: it cannot write to its disk`,
    reason: 'redis-disk-failed',
  },
  replicas: {
    code: 'VAULT_REFUSED',
    message: (place) => `${place} rejects changes: it has fewer replicas than it is set to require`,
    reason: 'redis-replicas-missing',
  },
  foreign: {
    code: 'VAULT_INVALID',
    message: (place) => `what is stored under the prefix at ${place} is not a vault`,
    reason: 'vault-foreign',
  },
  unsupported: {
    code: 'VAULT_REFUSED',
    message: (place) => `${place} does not support the commands that a vault needs`,
    reason: 'redis-expected',
  },
  busy: { code: 'VAULT_UNREACHABLE', message: (place) => `${place} is not ready` },
} as const satisfies Record<string, Kind>

export type RejectionKind = keyof typeof KINDS

/** The code is the first word. An error in a script has the code of the command that failed in it. */
const CODES: readonly (readonly [RegExp, RejectionKind])[] = [
  [/^(?:NOAUTH|WRONGPASS)\b|invalid (?:username-)?password/i, 'login'],
  [/^DENIED\b/, 'protected'],
  [/^NOPERM\b|ACL failure|no permissions|can(?:'|no)t run this command|can't access at least one/i, 'permission'],
  [/^READONLY\b|-READONLY\b/, 'replica'],
  [/^(?:MOVED|ASK|CROSSSLOT)\b/, 'cluster'],
  [/DB index is out of range|invalid DB index|SELECT is not allowed/i, 'database'],
  [/^OOM\b|-OOM\b/, 'memory'],
  [/^MISCONF\b|-MISCONF\b/, 'disk'],
  [/^NOREPLICAS\b|-NOREPLICAS\b/, 'replicas'],
  [/^WRONGTYPE\b|-WRONGTYPE\b/, 'foreign'],
  [/^(?:LOADING|BUSY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN)\b|max number of clients/, 'busy'],
  [/^ERR unknown command/i, 'unsupported'],
]
/** Codes whose sentence repeats no parameter, and says more than ours. */
const QUOTED: readonly RejectionKind[] = ['cluster', 'busy', 'permission']
const LONGEST = 200

/** The server rejected a command, and did nothing. */
export class RedisRejection extends Error {
  readonly said: string
  readonly kind: RejectionKind | undefined
  readonly #command: string

  constructor(command: string, said: string, kind = CODES.find(([pattern]) => pattern.test(said))?.[1]) {
    super(`${command} was rejected`)
    this.#command = command
    this.said = said
    this.kind = kind
  }

  get isUnknownCommand(): boolean {
    return this.kind === 'unsupported'
  }

  get isUnknownScript(): boolean {
    return this.said.startsWith('NOSCRIPT')
  }

  as({ text }: RedisAddress, login: RedisLogin): OAuthError {
    const said = this.#shown(login)
    const quote = said === '' ? '' : `: ${said}`
    if (this.kind === undefined) return new OAuthError('VAULT_REFUSED', `${text}: ${this.message}${quote}`)
    const { code, message, reason }: Kind = KINDS[this.kind]
    const why = QUOTED.includes(this.kind) ? quote : ''
    return new OAuthError(code, message(text) + why, { facts: reason && { reason, address: text } })
  }

  #shown({ password }: RedisLogin): string {
    if (this.#command === 'AUTH' || this.isUnknownCommand) return ''
    return sanitize(password === undefined ? this.said : this.said.replaceAll(password, '[redacted]'), LONGEST)
  }
}

export function rejection(kind: RejectionKind): RedisRejection {
  return new RedisRejection('', '', kind)
}

/** Why there is no connection. Nothing was changed. */
export function connectionError(error: unknown, { text, isEncrypted }: RedisAddress): OAuthError {
  const { code, message } = error as NodeJS.ErrnoException
  const fail = (why: string, reason?: PlainReason) =>
    new OAuthError('VAULT_UNREACHABLE', `cannot reach ${text}: ${why}`, { facts: reason && { reason } })
  if (isUntrusted(code)) return fail(sanitize(message, LONGEST), 'certificate-untrusted')
  if (code?.startsWith('ERR_TLS_CERT') || code?.startsWith('CERT_')) return fail(sanitize(message, LONGEST))
  if (/RESP type|Protocol error/i.test(message)) return fail('it is not a Redis server', 'redis-expected')
  if (code?.startsWith('ERR_SSL') || code === 'EPROTO') return fail('it does not support TLS', 'redis-expected')
  if (code === 'ETIMEDOUT' || /timed out/i.test(message)) {
    return fail('no response in time', isEncrypted ? 'redis-expected' : undefined)
  }
  // A server that wants TLS hangs up on what is none.
  if (code === undefined || code === 'ECONNRESET') return fail('the connection was closed', 'redis-expected')
  return fail(sanitize(message, LONGEST))
}
