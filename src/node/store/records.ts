/**
 * What was stored, read back with care: a file may be cut, edited or from another version.
 */
import { createHash } from 'node:crypto'
import * as v from '@badrap/valita'
import { type Fault, firstFault } from '../../credentials/fault.ts'
import { fromStored, storedName, toStored } from '../../credentials/stored.ts'
import { OAuthError } from '../../errors.ts'
import {
  type Nonces,
  type PendingRecord,
  type PrivateJwk,
  pendingRecordSchema,
  type SessionRecord,
  sessionRecordSchema,
} from '../../model.ts'
import { parseJson } from '../../text.ts'

const objectSchema = v.record(v.unknown())
const versionedSchema = v.object({ version: v.literal(1) }).rest(v.unknown())
/** What a newer version has added stays, and is written again with the rest. */
const KEEP_UNKNOWN = { mode: 'passthrough' } as const

/** @throws {OAuthError} `STORE_INVALID`; the message names the file and the member, and quotes no value */
export function parsePending(text: string, path: string): PendingRecord {
  const content = withNames(parse(text, path))
  const record = pendingRecordSchema.try(content, KEEP_UNKNOWN)
  if (record.ok) return record.value
  throw invalid(path, firstFault(record, content))
}

function withNames(content: Record<string, unknown>): Record<string, unknown> {
  const credentials = objectSchema.try(content.credentials)
  if (content.status !== 'received' || !credentials.ok) return content
  return { ...content, credentials: fromStored(credentials.value) }
}

/** A login as {@link parsePending} reads it. */
export function storedLogin(record: PendingRecord): object {
  return record.status === 'received' ? { ...record, credentials: toStored(record.credentials) } : record
}

/** With a checksum of what belongs together: a slip while editing by hand would cost the session. */
export function sealed(record: SessionRecord): object {
  return { ...record, seal: sealOf(record) }
}

function sealOf({ thumbprint, did, clientId, pds, refreshToken }: SessionRecord): string {
  const bound = JSON.stringify([thumbprint, did, clientId, pds, refreshToken])
  return createHash('sha256').update(bound).digest('base64url')
}

/** @throws {OAuthError} `STORE_INVALID`, as {@link parsePending} */
export function parseSession(text: string, path: string, thumbprint: string): SessionRecord {
  const { seal, ...content } = parse(text, path)
  const record = sessionRecordSchema.try(content, KEEP_UNKNOWN)
  if (!record.ok) throw invalid(path, firstFault(record, content))
  const session = record.value
  if (seal !== undefined && seal !== sealOf(session)) throw invalid(path)
  // The name is the key's thumbprint: a file that was copied over another would pair a token with a foreign key.
  if (session.thumbprint !== thumbprint || thumbprintOf(session.dpopPrivateJwk) !== thumbprint) throw invalid(path)
  return session
}

/** RFC 7638 §3. */
function thumbprintOf({ x, y }: PrivateJwk): string {
  const jwk = JSON.stringify({ crv: 'P-256', kty: 'EC', x, y })
  return createHash('sha256').update(jwk).digest('base64url')
}

/** Nonces only save a round trip: an unreadable file counts as empty. */
export function parseNonces(text: string | undefined): Nonces {
  const file = objectSchema.try(parseText(text ?? ''))
  const entries = Object.entries(file.ok ? file.value : {})
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => typeof entry[1] === 'string'))
}

function parse(text: string, path: string): Record<string, unknown> {
  const content = parseText(text)
  const record = versionedSchema.try(content)
  if (record.ok) return record.value
  throw invalid(path, firstFault(record, content))
}

/** `undefined` for what is no JSON: the parser's own message could quote the secrets in the file. */
function parseText(text: string): unknown {
  try {
    return parseJson(text.replace(/^\ufeff/, ''))
  } catch {
    return undefined
  }
}

function invalid(path: string, fault?: Fault): OAuthError {
  const why = fault && fault.path.length > 0 ? `: ${fault.path.map(storedName).join('.')} ${fault.what}` : ''
  return new OAuthError('STORE_INVALID', `${path} is damaged, was edited, or is from another version${why}`)
}
