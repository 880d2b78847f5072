/**
 * What was stored, read back with care: a file may be cut, edited or from another version.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { AuthError } from '../errors.ts'
import type { Nonces, PendingRecord, SessionRecord } from '../model.ts'

const PENDING = ['state', 'issuer', 'clientId', 'redirectUri', 'scope', 'codeVerifier'] as const
const SESSION = ['thumbprint', 'did', 'pds', 'scope'] as const

/** @throws {AuthError} `STORE_INVALID` */
export function parsePending(text: string, path: string): PendingRecord {
  const record = parse(text, path)
  const fields = record.status === 'pending' ? PENDING : (['state', 'codeHash', 'outcome'] as const)
  const known = record.status === 'pending' || record.status === 'spent'
  if (!known || !hasTexts(record, fields)) throw invalid(path)
  return record as unknown as PendingRecord
}

/** @throws {AuthError} `STORE_INVALID` */
export function parseSession(text: string, path: string, thumbprint: string): SessionRecord {
  const record = parse(text, path)
  const key = record.dpopPrivateJwk
  const hasKey = typeof key === 'object' && key !== null && hasTexts(key as Record<string, unknown>, ['x', 'y', 'd'])
  if (!hasTexts(record, SESSION) || !hasKey || !Array.isArray(record.spentTokens)) throw invalid(path)
  // The name is the key's thumbprint: a file that was copied over another would pair a token with a foreign key.
  const { x, y } = key as { x: string; y: string }
  const jwk = JSON.stringify({ crv: 'P-256', kty: 'EC', x, y }) // RFC 7638 §3
  const actual = createHash('sha256').update(jwk).digest('base64url')
  if (record.thumbprint !== thumbprint || actual !== thumbprint) throw invalid(path)
  return record as unknown as SessionRecord
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
    const record = JSON.parse(text) as Record<string, unknown> | null
    if (typeof record === 'object' && record?.version === 1) return record
  } catch {
    // Said below; the parser's own message could quote the secrets in the file.
  }
  throw invalid(path)
}

function hasTexts(record: Record<string, unknown>, fields: readonly string[]): boolean {
  return fields.every((field) => typeof record[field] === 'string')
}

function invalid(path: string): AuthError {
  return new AuthError('STORE_INVALID', `${path} is damaged, was edited, or is from another version`)
}
