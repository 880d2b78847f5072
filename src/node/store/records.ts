/**
 * Parses and validates stored records: a file may be truncated, edited or from another version.
 */
import { hash } from 'node:crypto'
import * as v from '@badrap/valita'
import { type Fault, firstFault } from '../../credentials/fault.ts'
import { fromStored, storedName, toStored } from '../../credentials/stored.ts'
import { OAuthError } from '../../errors.ts'
import {
  type Nonces,
  type PendingRecord,
  type PrivateJwk,
  pendingRecordSchema,
  type RevokedSession,
  revokedSessionSchema,
  type SessionRecord,
  sessionRecordSchema,
} from '../../model.ts'
import { parseJson } from '../../text.ts'

type RecordKind = 'sessions' | 'pending'

const objectSchema = v.record(v.unknown())
const versionedSchema = v.object({ version: v.literal(1) }).rest(v.unknown())
/** Members of a newer version are kept and written again. */
const KEEP_UNKNOWN = { mode: 'passthrough' } as const

/** @throws {OAuthError} `STORE_INVALID`; the message names the file and the member, and quotes no value */
export function parsePending(text: string, path: string): PendingRecord {
  const content = withNames(parse(text, path, 'pending'))
  const record = pendingRecordSchema.try(content, KEEP_UNKNOWN)
  if (record.ok) return record.value
  throw damaged('pending', path, firstFault(record, content))
}

function withNames(content: Record<string, unknown>): Record<string, unknown> {
  const credentials = objectSchema.try(content.credentials)
  if (content.status !== 'received' || !credentials.ok) return content
  return { ...content, credentials: fromStored(credentials.value) }
}

/** The stored form of a login, which {@link parsePending} reads. */
export function storedLogin(record: PendingRecord): object {
  return record.status === 'received' ? { ...record, credentials: toStored(record.credentials) } : record
}

/** Adds a checksum of the members that belong together: a typing error in an edited file could end the session. */
export function sealed(record: SessionRecord): object {
  return { ...record, seal: sealOf(record) }
}

function sealOf({ thumbprint, did, clientId, pds, refreshToken }: SessionRecord): string {
  const bound = JSON.stringify([thumbprint, did, clientId, pds, refreshToken])
  return hash('sha256', bound, 'base64url')
}

/** @throws {OAuthError} `STORE_INVALID`, as {@link parsePending} */
export function parseSession(text: string, path: string, thumbprint: string): SessionRecord {
  const { seal, ...content } = parse(text, path, 'sessions')
  const invalid = (fault?: Fault) => damaged('sessions', path, fault)
  const record = sessionRecordSchema.try(content, KEEP_UNKNOWN)
  if (!record.ok) throw invalid(firstFault(record, content))
  const session = record.value
  if (seal !== undefined && seal !== sealOf(session)) throw invalid()
  // The file name is the thumbprint of the key: a file copied over another one would combine a token with a foreign
  // key.
  if (session.thumbprint !== thumbprint || thumbprintOf(session.dpopPrivateJwk) !== thumbprint) throw invalid()
  return session
}

/** RFC 7638 §3. */
function thumbprintOf({ crv, kty, x, y }: PrivateJwk): string {
  const jwk = JSON.stringify({ crv, kty, x, y })
  return hash('sha256', jwk, 'base64url')
}

/** `undefined` for an unreadable file: that a session was revoked can be found out from the server as well. */
export function parseRevoked(text: string | undefined): RevokedSession | undefined {
  const record = revokedSessionSchema.try(parseText(text ?? ''), KEEP_UNKNOWN)
  return record.ok ? record.value : undefined
}

/** An unreadable file counts as empty, because nonces only save a round trip. */
export function parseNonces(text: string | undefined): Nonces {
  const file = objectSchema.try(parseText(text ?? ''))
  const entries = Object.entries(file.ok ? file.value : {})
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}

function parse(text: string, path: string, kind: RecordKind): Record<string, unknown> {
  const content = parseText(text)
  const record = versionedSchema.try(content)
  if (record.ok) return record.value
  throw damaged(kind, path, firstFault(record, content))
}

/** `undefined` if the text is not JSON: the message of the parser could quote secrets. */
function parseText(text: string): unknown {
  try {
    return parseJson(text.replace(/^\ufeff/, ''))
  } catch {
    return undefined
  }
}

function damaged(kind: RecordKind, path: string, fault?: Fault): OAuthError {
  const why = fault && fault.path.length > 0 ? `: ${fault.path.map(storedName).join('.')} ${fault.what}` : ''
  return new OAuthError('STORE_INVALID', `${path} is damaged, was edited, or is from another version${why}`, {
    facts: { reason: 'record-damaged', path, kind },
  })
}
