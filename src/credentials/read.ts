/**
 * Credentials from environment variables, as `complete` printed them or as a secret
 * store changed them since. Nothing is guessed: a wrong value costs the session.
 *
 * @module
 */
import { base64url } from 'jose'
import { OAuthError } from '../errors.ts'
import type { ClientJwk, ClientKeyName, Credentials, Did, Origin, PrivateJwk } from '../model.ts'
import { asDid, asUrl, isSecure } from '../protocol/identity/syntax.ts'
import { asPrivateJwk } from '../protocol/oauth/dpop.ts'
import * as names from './variables.ts'
import { type Environment, variable } from './variables.ts'

/** VSCHAR, RFC 6749 appendix A.17. */
export const TOKEN = /^[\x20-\x7e]+$/
/** The last millisecond that a Date can hold. */
const LATEST = 8.64e15

/**
 * `ATPROTO_OAUTH_SESSION`, else the separate variables.
 *
 * @returns `undefined` if the environment holds no credentials at all
 * @throws {OAuthError} `CREDENTIALS_INCOMPLETE`, `CREDENTIALS_INVALID`; the message never quotes a value
 */
export function readCredentials(environment: Environment, dev: boolean): Credentials | undefined {
  const bundle = variable(environment, names.SESSION)
  if (bundle !== undefined) return readBundle(bundle, dev)

  const refreshToken = variable(environment, names.REFRESH_TOKEN)
  const accessToken = variable(environment, names.ACCESS_TOKEN)
  const jwk = variable(environment, names.DPOP_PRIVATE_JWK)
  // A client_id, an issuer or a DID alone are settings or leftovers, not a session.
  if (refreshToken === undefined && accessToken === undefined && jwk === undefined) return undefined

  const required: Record<string, string | undefined> = {
    [names.DPOP_PRIVATE_JWK]: jwk,
    [names.DID]: variable(environment, names.DID) ?? subjectOf(accessToken),
    ...(accessToken === undefined && { [names.REFRESH_TOKEN]: refreshToken }),
    ...((accessToken === undefined || refreshToken !== undefined) && {
      [names.PDS_ISSUER]: variable(environment, names.PDS_ISSUER),
      [names.CLIENT_ID]: variable(environment, names.CLIENT_ID),
    }),
  }
  const missing = Object.keys(required).filter((name) => required[name] === undefined)
  if (missing.length > 0) {
    const onlyClient = missing.length === 1 && missing[0] === names.CLIENT_ID
    throw new OAuthError('CREDENTIALS_INCOMPLETE', `the credentials are incomplete: ${missing.join(', ')} not set`, {
      hint: onlyClient
        ? 'set ATPROTO_OAUTH_CLIENT_ID to the exact client_id that the login was made with; a refresh under any other ends the session'
        : undefined,
    })
  }
  return checked(
    {
      did: required[names.DID],
      clientId: variable(environment, names.CLIENT_ID),
      dpopPrivateJwk: jwk,
      pdsIssuer: variable(environment, names.PDS_ISSUER),
      refreshToken,
      accessToken,
    },
    (field) => FIELD_NAMES[field] ?? field,
    dev,
  )
}

const FIELD_NAMES: Readonly<Record<string, string>> = {
  did: names.DID,
  clientId: names.CLIENT_ID,
  dpopPrivateJwk: names.DPOP_PRIVATE_JWK,
  pdsIssuer: names.PDS_ISSUER,
  refreshToken: names.REFRESH_TOKEN,
  accessToken: names.ACCESS_TOKEN,
}

function readBundle(bundle: string, dev: boolean): Credentials {
  const value = parseJson(decodeBase64url(bundle))
  if (typeof value !== 'object' || value === null || (value as { version?: unknown }).version !== 1) {
    throw new OAuthError(
      'CREDENTIALS_INVALID',
      `${names.SESSION} is not a bundle that this version made, or it was cut`,
    )
  }
  const credentials = checked(value as Record<string, unknown>, (field) => `${field} in ${names.SESSION}`, dev)
  const { refreshToken, accessToken, clientId, pdsIssuer } = credentials
  const complete = refreshToken === undefined ? accessToken : clientId && pdsIssuer
  if (complete !== undefined) return { ...credentials, bundled: true }
  throw new OAuthError('CREDENTIALS_INVALID', `${names.SESSION} lacks a part of the session`)
}

/** Checks every member; `name` says where a member came from. */
function checked(value: Record<string, unknown>, name: (field: string) => string, dev: boolean): Credentials {
  const invalid = (field: string, what: string): never => {
    throw new OAuthError('CREDENTIALS_INVALID', `${name(field)} ${what}`)
  }
  const text = (field: string): string | undefined => {
    const member = value[field]
    if (member === undefined) return undefined
    return typeof member === 'string' ? member : invalid(field, 'is not a text')
  }
  const token = (field: string): string | undefined => {
    const member = text(field)
    return member === undefined || TOKEN.test(member) ? member : invalid(field, 'holds characters that no token has')
  }
  const origin = (field: string): Origin | undefined => {
    const member = text(field)
    return member === undefined ? undefined : (asServer(member, dev) ?? invalid(field, 'is not an https origin'))
  }
  const time = (field: string): number | undefined => {
    const member = value[field]
    return typeof member === 'number' && Math.abs(member) <= LATEST ? member : undefined
  }
  const did: Did = asDid(text('did') ?? '', dev) ?? invalid('did', 'is not an atproto DID')
  const clientId = text('clientId')
  if (clientId !== undefined && !asUrl(clientId)) invalid('clientId', 'is not a URL')
  return {
    did,
    clientId,
    dpopPrivateJwk: parsePrivateJwk(value.dpopPrivateJwk) ?? invalid('dpopPrivateJwk', 'is not a private P-256 JWK'),
    pdsIssuer: origin('pdsIssuer'),
    refreshToken: token('refreshToken'),
    accessToken: token('accessToken'),
    accessTokenExpiresAt: time('accessTokenExpiresAt'),
    clientKey: asKeyName(value.clientKey),
    issuer: origin('issuer'),
    scope: text('scope'),
    thumbprint: text('thumbprint'),
    createdAt: time('createdAt'),
    rotatedAt: time('rotatedAt'),
    rotation: Number.isSafeInteger(value.rotation) ? Number(value.rotation) : undefined,
  }
}

/**
 * Whose a leased access token is, if nothing else says so and it is a JWT that does. What it is good for, the
 * server decides; here it only says where to look.
 */
function subjectOf(accessToken: string | undefined): string | undefined {
  const { sub } = claimsOf(accessToken)
  return typeof sub === 'string' ? sub : undefined
}

/** What a token says of itself, unverified; nothing if it is not a JWT. */
export function claimsOf(token: unknown): Readonly<Record<string, unknown>> {
  const payload = typeof token === 'string' ? parseJson(decodeBase64url(token.split('.')[1] ?? '')) : undefined
  return typeof payload === 'object' && payload !== null ? (payload as Record<string, unknown>) : {}
}

function parsePrivateJwk(value: unknown): PrivateJwk | undefined {
  if (typeof value !== 'string') return asPrivateJwk(value)
  return readings(value).map(asPrivateJwk).find(Boolean)
}

/** JSON, JSON whose quotes were escaped once more, or base64url or base64 of JSON. */
function readings(text: string): unknown[] {
  return [text, text.replaceAll('\\"', '"'), decodeBase64url(text)].map(parseJson)
}

/**
 * The key of a confidential client, as `ATPROTO_OAUTH_CLIENT_JWK` has it.
 *
 * @throws {OAuthError} `CLIENT_INVALID`; the message never quotes the value
 */
export function readClientJwk(environment: Environment): ClientJwk | undefined {
  const text = variable(environment, names.CLIENT_JWK)
  if (text === undefined) return undefined
  const hint = `set ${names.CLIENT_JWK} to the private JWK of your client, with the kid under which it is published`
  const value = readings(text).find((reading) => asPrivateJwk(reading))
  const jwk = asPrivateJwk(value)
  if (!jwk) throw new OAuthError('CLIENT_INVALID', `${names.CLIENT_JWK} is not a private P-256 JWK`, { hint })
  const { kid } = value as { kid?: unknown }
  // A server finds the public key by it, and refuses an assertion without.
  if (typeof kid === 'string' && kid !== '') return { ...jwk, kid }
  throw new OAuthError('CLIENT_INVALID', `${names.CLIENT_JWK} has no kid`, { hint })
}

function asKeyName(value: unknown): ClientKeyName | undefined {
  const { kid, thumbprint } = (value ?? {}) as Record<string, unknown>
  return typeof kid === 'string' && typeof thumbprint === 'string' ? { kid, thumbprint } : undefined
}

/** A trailing slash is forgiven: people copy the address of their server. */
export function asServer(text: string, dev: boolean): Origin | undefined {
  const url = asUrl(text)
  const bare = url && isSecure(url, dev) && url.pathname === '/' && !/[?#@]/.test(text)
  return bare ? (url.origin as Origin) : undefined
}

function parseJson(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

function decodeBase64url(text: string): string | undefined {
  try {
    // The other base64 too, on every engine: it is what `base64` prints.
    const plain = text
      .replace(/[\s=]+/g, '')
      .replaceAll('+', '-')
      .replaceAll('/', '_')
    return new TextDecoder('utf-8', { fatal: true }).decode(base64url.decode(plain))
  } catch {
    return undefined
  }
}
