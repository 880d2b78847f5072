/**
 * Reads responses: bounded JSON, OAuth error bodies (RFC 6749 §5.2), challenges (RFC 9110 §11.6.1).
 */

import { type ErrorCode, OAuthError } from '../../errors.ts'
import type { HttpHeaders, HttpResponse } from '../../ports.ts'
import { clockTime, isObject, parseJson, relativeTime, sanitize } from '../../text.ts'
import { readText } from './bounded-body.ts'

export type JsonObject = Readonly<Record<string, unknown>>

/** Bytes. Metadata, DID documents and token responses are a few kB; anything larger is an attack or a mistake. */
export const JSON_LARGEST = 512 * 1024

export function parseJsonObject(text: string | undefined): JsonObject | undefined {
  if (text === undefined) return undefined
  try {
    const value = parseJson(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** A value from a server's JSON, for messages. It may be nested too deeply for `JSON.stringify`. */
export function shown(value: unknown): string {
  if (value === undefined) return 'missing'
  try {
    return JSON.stringify(value).slice(0, 200)
  } catch {
    return 'nested too deep'
  }
}

/** The media type alone, in lower case. */
export function mediaType(headers: HttpHeaders): string {
  return (headers.get('content-type') ?? '').split(';')[0]!.trim().toLowerCase()
}

export interface Expectation {
  /** The subject of error messages. */
  readonly what: string
  readonly code: ErrorCode
  readonly mediaTypes?: readonly string[]
  readonly largest?: number
}

/** The JSON object of a successful response, or an error that says what was returned instead. */
export async function readJsonObject(response: HttpResponse, expectation: Expectation): Promise<JsonObject> {
  const { what, code, mediaTypes = ['application/json'], largest = JSON_LARGEST } = expectation
  const type = mediaType(response.headers)
  if (!mediaTypes.includes(type)) {
    await response.body?.cancel()
    throw new OAuthError(
      code,
      `${what} has ${type ? `the media type ${type}` : 'no media type'} instead of ${mediaTypes.join(' or ')}`,
    )
  }
  const document = parseJsonObject(await readText(response, largest))
  if (!document) throw new OAuthError(code, `${what} is not a JSON object of at most ${largest / 1024} KiB`)
  return document
}

/** An OAuth error body (RFC 6749 §5.2) or an XRPC one, whose `message` is `description` here. */
export interface ServerError {
  readonly status: number
  readonly error: string | undefined
  readonly description: string | undefined
}

/** @param sent the rejected form: if the error repeats its secrets, they are masked */
export async function readServerError(response: HttpResponse, sent?: URLSearchParams): Promise<ServerError> {
  const secrets = SECRET_FIELDS.map((field) => sent?.get(field))
  const body = parseJsonObject(withoutSecrets((await readText(response, JSON_LARGEST)) ?? '', secrets))
  return serverError(response.status, body)
}

const SECRET_FIELDS = ['code', 'code_verifier', 'refresh_token', 'client_assertion']
/** Shorter values are not secrets, and may be part of any word. */
const SECRET_SHORTEST = 8

/** Replaces each secret in `text` by an ellipsis: a server may repeat them in its error message. */
export function withoutSecrets(text: string, secrets: readonly (string | null | undefined)[]): string {
  const long = secrets.filter((secret): secret is string => (secret?.length ?? 0) >= SECRET_SHORTEST)
  return long
    .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)])
    .reduce((safe, spelling) => safe.replaceAll(spelling, '…'), text)
}

export function serverError(status: number, body: JsonObject | undefined): ServerError {
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? sanitize(value) : undefined)
  return { status, error: text(body?.error), description: text(body?.error_description) ?? text(body?.message) }
}

/** `400 invalid_grant "Refresh token replayed"`, for messages. */
export function describe({ status, error, description }: ServerError): string {
  return [status, error, description && `"${description.replaceAll('"', "'")}"`].filter(Boolean).join(' ')
}

/** Seconds; a time far beyond it would be no date. */
const RETRY_LONGEST = 100 * 365 * 24 * 3600

/**
 * When a rate limit ends, in milliseconds since the epoch: `Retry-After` (RFC 9110 §10.2.3), else `ratelimit-reset`.
 * At most 100 years from now.
 */
export function retryAt(headers: HttpHeaders, now: number): number | undefined {
  const latest = now + RETRY_LONGEST * 1000
  const after = headers.get('retry-after')
  if (after !== null) {
    if (/^\d+$/.test(after)) return now + Math.min(Number(after), RETRY_LONGEST) * 1000
    const date = Date.parse(after)
    if (!Number.isNaN(date)) return Math.min(date, latest)
  }
  const reset = headers.get('ratelimit-reset')
  return reset !== null && /^\d+$/.test(reset) ? Math.min(Number(reset) * 1000, latest) : undefined
}

/** The error for a 429. */
export function rateLimited(who: string, headers: HttpHeaders, now: number): OAuthError {
  const until = retryAt(headers, now)
  const when = until === undefined ? '' : ` until ${clockTime(until, now)} (${relativeTime(until, now)})`
  return new OAuthError('RATE_LIMITED', `rate limit of ${who} exceeded${when}`)
}
