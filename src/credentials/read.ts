/**
 * Reads credentials from environment variables, as `complete` printed them or as a secret store may have changed them.
 * Nothing is guessed: a wrong value would end the session.
 */
import * as v from '@badrap/valita'
import { base64url } from 'jose'
import { OAuthError } from '../errors.ts'
import {
  type ClientJwk,
  type Credentials,
  credentialsSchema,
  type PrivateJwk,
  p256JwkSchema,
  rotationSchema,
  timeSchema,
} from '../model.ts'
import { asUrl } from '../protocol/identity/syntax.ts'
import { asPrivateJwk } from '../protocol/oauth/dpop.ts'
import { decodeUtf8 } from '../text.ts'
import { firstFault } from './fault.ts'
import { didSchema, ifValid, NOT_A_DPOP_KEY, readWith, serverSchema, tokenSchema } from './schemas.ts'
import { fromStored, storedName } from './stored.ts'
import * as names from './variables.ts'
import { type Environment, variable } from './variables.ts'

const bundleSchema = v.object({ version: v.literal(1) }).rest(v.unknown())
const clientJwkSchema = p256JwkSchema.extend({ kid: ifValid(v.string()) })
const claimsSchema = v.object({
  sub: ifValid(v.string()),
  client_id: ifValid(v.string()),
  cnf: ifValid(v.object({ jkt: ifValid(v.string()) })),
})

/**
 * Credentials as a secret store or an older version may have written them. Invalid or missing descriptive members are
 * ignored.
 */
function givenSchema(dev: boolean) {
  const server = serverSchema(dev)
  return credentialsSchema.omit('bundled').extend({
    did: didSchema(dev),
    clientId: v
      .string()
      .assert((text) => asUrl(text) !== undefined, 'is not a URL')
      .optional(),
    redirectUri: ifValid(v.string()),
    requestedScope: ifValid(v.string()),
    // In any form: a different key must be rejected, and without this member any key would be sent.
    clientKey: ifValid(v.object({ kid: v.string(), thumbprint: v.string() })),
    dpopPrivateJwk: v.unknown().chain(readWith(parsePrivateJwk, NOT_A_DPOP_KEY)),
    server: server.optional(),
    refreshToken: tokenSchema.optional(),
    accessToken: tokenSchema.optional(),
    accessTokenExpiresAt: ifValid(timeSchema),
    issuer: server.optional(),
    createdAt: ifValid(timeSchema),
    rotatedAt: ifValid(timeSchema),
    clockOffset: ifValid(timeSchema),
    rotation: ifValid(rotationSchema),
  })
}

/**
 * `ATPROTO_OAUTH_SESSION`, else the separate variables.
 *
 * @returns `undefined` if the environment holds no credentials at all
 * @throws {OAuthError} `CREDENTIALS_INCOMPLETE`, `CREDENTIALS_INVALID`; the message never quotes a value
 */
export function readCredentials(environment: Environment, dev: boolean): Credentials | undefined {
  const bundle = variable(environment, names.SESSION)
  if (bundle !== undefined) {
    const credentials = readBundle(bundle, dev)
    // Those of earlier versions have no count of their own.
    const rotation = credentials.rotation ?? countOf(variable(environment, names.ROTATION))
    return rotation === undefined ? credentials : { ...credentials, rotation }
  }

  const refreshToken = variable(environment, names.REFRESH_TOKEN)
  const accessToken = variable(environment, names.ACCESS_TOKEN)
  const jwk = variable(environment, names.DPOP_PRIVATE_JWK)
  // A client_id, an issuer or a DID alone is a setting or a leftover, not a session.
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
      facts: onlyClient ? { reason: 'client-id-missing' } : {},
    })
  }
  return checked(
    {
      did: required[names.DID],
      clientId: variable(environment, names.CLIENT_ID),
      dpopPrivateJwk: jwk,
      server: variable(environment, names.PDS_ISSUER),
      refreshToken,
      accessToken,
      rotation: refreshToken === undefined ? undefined : countOf(variable(environment, names.ROTATION)),
    },
    (field) => FIELD_NAMES[field] ?? field,
    dev,
  )
}

/** A count that was cut or mistyped says nothing about the order of two copies. */
function countOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

const FIELD_NAMES: Readonly<Record<string, string>> = {
  did: names.DID,
  clientId: names.CLIENT_ID,
  dpopPrivateJwk: names.DPOP_PRIVATE_JWK,
  server: names.PDS_ISSUER,
  refreshToken: names.REFRESH_TOKEN,
  accessToken: names.ACCESS_TOKEN,
}

function readBundle(text: string, dev: boolean): Credentials {
  const bundle = bundleSchema.try(parseJson(decodeBase64url(text)))
  if (!bundle.ok) {
    throw new OAuthError('CREDENTIALS_INVALID', `${names.SESSION} is not a valid bundle, or was truncated`)
  }
  const credentials = checked(fromStored(bundle.value), (field) => `${storedName(field)} in ${names.SESSION}`, dev)
  const { refreshToken, accessToken, clientId, server } = credentials
  const complete = refreshToken === undefined ? accessToken : clientId && server
  if (complete !== undefined) return { ...credentials, bundled: true }
  throw new OAuthError('CREDENTIALS_INVALID', `${names.SESSION} is incomplete`)
}

/**
 * {@link Credentials} that were saved as JSON, and parsed.
 *
 * @param members untrusted
 * @throws {OAuthError} `CREDENTIALS_INCOMPLETE`, `CREDENTIALS_INVALID`; the message never quotes a value
 */
export function readSaved(members: Readonly<Record<string, unknown>>, dev: boolean): Credentials {
  const { bundled, ...read } = checked({ ...fromStored(members), ...('server' in members && members) }, String, dev)
  const { refreshToken, accessToken, clientId, server } = read
  const missing = [
    ...(refreshToken === undefined && accessToken === undefined ? ['refreshToken'] : []),
    ...(refreshToken !== undefined && clientId === undefined ? ['clientId'] : []),
    ...(refreshToken !== undefined && server === undefined ? ['server'] : []),
  ]
  if (missing.length === 0) return read
  throw new OAuthError('CREDENTIALS_INCOMPLETE', `the credentials are incomplete: no ${missing.join(', ')}`)
}

/** @param name returns the source of a member, for messages */
function checked(members: Record<string, unknown>, name: (field: string) => string, dev: boolean): Credentials {
  const credentials = givenSchema(dev).try(members, { mode: 'strip' })
  if (credentials.ok) return credentials.value
  const { path, what } = firstFault(credentials, members)
  throw new OAuthError('CREDENTIALS_INVALID', `${name(path.join('.'))} ${what}`)
}

/**
 * The account of a leased access token, if it is a JWT and nothing else names the account. It is only used to find the
 * PDS, which validates the token.
 */
function subjectOf(accessToken: string | undefined): string | undefined {
  return accessToken === undefined ? undefined : claimsOf(accessToken).sub
}

/** The unverified claims of a token; empty if it is not a JWT. */
export function claimsOf(token: string): v.Infer<typeof claimsSchema> {
  const claims = claimsSchema.try(parseJson(decodeBase64url(token.split('.')[1] ?? '')), { mode: 'strip' })
  return claims.ok ? claims.value : {}
}

function parsePrivateJwk(value: unknown): PrivateJwk | undefined {
  if (typeof value !== 'string') return asPrivateJwk(value)
  return readings(value).map(asPrivateJwk).find(Boolean)
}

/** Possible encodings: JSON, JSON with escaped quotes, or base64 or base64url of JSON. */
function readings(text: string): unknown[] {
  return [text, text.replaceAll('\\"', '"'), decodeBase64url(text)].map(parseJson)
}

/**
 * The client key in `ATPROTO_OAUTH_CLIENT_JWK`.
 *
 * @throws {OAuthError} `CLIENT_INVALID`; the message never quotes the value
 */
export function readClientJwk(environment: Environment): ClientJwk | undefined {
  const text = variable(environment, names.CLIENT_JWK)
  if (text === undefined) return undefined
  const facts = { reason: 'client-key-malformed' } as const
  const jwk = readings(text)
    .map((reading) => clientJwkSchema.try(reading, { mode: 'strip' }))
    .find((reading) => reading.ok)
  if (!jwk) throw new OAuthError('CLIENT_INVALID', `${names.CLIENT_JWK} is not a private P-256 JWK`, { facts })
  const { kid } = jwk.value
  // A server finds the public key by its `kid`, and rejects an assertion without one.
  if (kid) return { ...jwk.value, kid }
  throw new OAuthError('CLIENT_INVALID', `${names.CLIENT_JWK} has no kid`, { facts })
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
    // Plain base64 as well, on every engine: `base64` prints it.
    const plain = text
      .replace(/[\s=]+/g, '')
      .replaceAll('+', '-')
      .replaceAll('/', '_')
    return decodeUtf8(base64url.decode(plain))
  } catch {
    return undefined
  }
}
