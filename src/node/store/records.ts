/**
 * What was stored, read back with care: a file may be cut, edited or from another version.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { OAuthError } from '../../errors.ts'
import type { Nonces, PendingRecord, SessionRecord } from '../../model.ts'

type Kind = (value: unknown) => boolean

const isText: Kind = (value) => typeof value === 'string'
const isTime: Kind = (value) => typeof value === 'number' && Math.abs(value) <= 8.64e15 // what a Date can hold
const isOrigin: Kind = (value) =>
  isText(value) && URL.canParse(String(value)) && new URL(String(value)).origin === value
const isMember: Kind = (value) => /^[A-Za-z0-9_-]{43}$/.test(String(value)) // base64url of 32 bytes
const isKey = shape({
  kty: (value) => value === 'EC',
  crv: (value) => value === 'P-256',
  x: isMember,
  y: isMember,
  d: isMember,
})
const isTexts: Kind = (value) => Array.isArray(value) && value.every(isText)
const isTextMap: Kind = (value) => isObject(value) && Object.values(value).every(isText)
const isOutcome: Kind = (value) => ['sent', 'completed', 'refused', 'denied'].includes(String(value))
const maybe =
  (kind: Kind): Kind =>
  (value) =>
    value === undefined || kind(value)

const isClientKey = maybe(shape({ kid: isText, thumbprint: isMember }))

const isPending = shape({
  state: isText,
  issuer: isOrigin,
  clientId: isText,
  clientKey: isClientKey,
  redirectUri: isText,
  scope: isText,
  codeVerifier: isText,
  dpopPrivateJwk: isKey,
  did: maybe(isText),
  handle: maybe(isText),
  nonces: isTextMap,
  createdAt: isTime,
  requestExpiresAt: isTime,
  expiresAt: isTime,
})
const isSpent = shape({ state: isText, codeHash: isText, outcome: isOutcome, did: maybe(isText), at: isTime })
const isReceived = shape({
  state: isText,
  codeHash: isText,
  did: isText,
  handle: maybe(isText),
  requestedScope: isText,
  credentials: shape({ did: isText, dpopPrivateJwk: isKey, pdsIssuer: isOrigin, refreshToken: maybe(isText) }),
  at: isTime,
})
const isSession = shape({
  thumbprint: isMember,
  did: isText,
  handle: maybe(isText),
  pds: isOrigin,
  issuer: maybe(isOrigin),
  clientId: maybe(isText),
  clientKey: isClientKey,
  scope: isText,
  dpopPrivateJwk: isKey,
  accessToken: maybe(isText),
  accessTokenExpiresAt: maybe(isTime),
  refreshToken: maybe(isText),
  createdAt: maybe(isTime),
  rotatedAt: maybe(isTime),
  clockOffset: maybe(isTime),
  rotation: maybe(Number.isSafeInteger),
  spentTokens: isTexts,
  intent: maybe(shape({ tokenHash: isText, at: isTime })),
  bundled: maybe((value) => typeof value === 'boolean'),
  savedTo: maybe(isTexts),
  undelivered: maybe(isTexts),
  ended: maybe(shape({ at: isTime, reason: isText, handedOver: maybe(isText) })),
})

/** @throws {OAuthError} `STORE_INVALID` */
export function parsePending(text: string, path: string): PendingRecord {
  const record = parse(text, path)
  const kinds = { pending: isPending, received: isReceived, spent: isSpent }
  const isKind = Object.entries(kinds).find(([status]) => status === record.status)?.[1]
  if (isKind?.(record)) return record as unknown as PendingRecord
  throw invalid(path)
}

/** With a checksum of what belongs together: a slip while editing by hand would cost the session. */
export function sealed(record: SessionRecord): object {
  return { ...record, seal: sealOf(record) }
}

function sealOf({ thumbprint, did, clientId, pds, refreshToken }: SessionRecord): string {
  const bound = JSON.stringify([thumbprint, did, clientId, pds, refreshToken])
  return createHash('sha256').update(bound).digest('base64url')
}

/** @throws {OAuthError} `STORE_INVALID` */
export function parseSession(text: string, path: string, thumbprint: string): SessionRecord {
  const { seal, ...record } = parse(text, path)
  if (!isSession(record)) throw invalid(path)
  if (seal !== undefined && seal !== sealOf(record as unknown as SessionRecord)) throw invalid(path)
  const session = record as unknown as SessionRecord
  // The name is the key's thumbprint: a file that was copied over another would pair a token with a foreign key.
  const { x, y } = session.dpopPrivateJwk
  const jwk = JSON.stringify({ crv: 'P-256', kty: 'EC', x, y }) // RFC 7638 §3
  const actual = createHash('sha256').update(jwk).digest('base64url')
  if (session.thumbprint !== thumbprint || actual !== thumbprint) throw invalid(path)
  return session
}

/** Nonces are a convenience: what cannot be read is none. */
export function parseNonces(text: string | undefined): Nonces {
  try {
    const entries = Object.entries(JSON.parse(text ?? '{}') as Record<string, unknown>)
    return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
  } catch {
    return {}
  }
}

function parse(text: string, path: string): Record<string, unknown> {
  try {
    const record = JSON.parse(text.replace(/^\ufeff/, '')) as Record<string, unknown> | null
    if (typeof record === 'object' && record?.version === 1) return record
  } catch {
    // Said below; the parser's own message could quote the secrets in the file.
  }
  throw invalid(path)
}

/** A function, for the tables above are made of it before this line is reached. */
function shape(kinds: Readonly<Record<string, Kind>>): Kind {
  return (value) => isObject(value) && Object.entries(kinds).every(([name, kind]) => kind(value[name]))
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(path: string): OAuthError {
  return new OAuthError('STORE_INVALID', `${path} is damaged, was edited, or is from another version`)
}
