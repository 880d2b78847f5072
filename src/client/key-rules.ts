/**
 * The rules for client authentication in a client metadata document, and for its public keys.
 *
 * @see https://atproto.com/specs/oauth#confidential-client-authentication
 */
import { calculateJwkThumbprint } from 'jose'
import type { JsonObject } from '../protocol/http/response.ts'
import { isObject } from '../text.ts'
import { type ClientFinding, fault, isHttps, strings } from './fault.ts'

/** The faults of the authentication method and of the keys. */
export function authenticationFaults(document: JsonObject): ClientFinding[] {
  const { token_endpoint_auth_method: method, token_endpoint_auth_signing_alg: algorithm, jwks } = document
  const keys = keyFaults(document)
  if (method === 'none') {
    if (algorithm === undefined) return keys
    const message = 'token_endpoint_auth_signing_alg is not allowed with the method none'
    return [fault(message, 'remove it, or set token_endpoint_auth_method to private_key_jwt'), ...keys]
  }
  if (method !== 'private_key_jwt') {
    const message = 'token_endpoint_auth_method must be none or private_key_jwt'
    const consequence =
      method === undefined ? 'servers then assume client_secret_basic, and reject every login' : undefined
    return [fault(message, '"token_endpoint_auth_method": "none" for a public client', consequence), ...keys]
  }
  const faults: ClientFinding[] = []
  if (document.application_type === 'native') {
    const message = 'application_type native requires the method none'
    faults.push(fault(message, '"application_type": "web", with https redirects only'))
  }
  if (algorithm !== 'ES256') {
    const fix = '"token_endpoint_auth_signing_alg": "ES256"'
    faults.push(fault('token_endpoint_auth_signing_alg must be ES256', fix))
  }
  if ((jwks === undefined) === (document.jwks_uri === undefined)) {
    faults.push(fault('jwks or jwks_uri is required, but not both', 'keep jwks, with the public keys'))
  }
  return [...faults, ...keys]
}

function keyFaults({ jwks, jwks_uri: uri }: JsonObject): ClientFinding[] {
  const isUri = uri === undefined || isHttps(uri)
  const faults = isUri ? [] : [fault('jwks_uri is not an https URL', 'use an https URL, or publish the keys as jwks')]
  return jwks === undefined ? faults : [...faults, ...keySetFaults(jwks)]
}

export function keySetFaults(jwks: unknown): ClientFinding[] {
  const keys = isObject(jwks) ? jwks.keys : undefined
  const fix = 'publish the public P-256 key of your client: kty, crv, x, y and kid'
  if (!Array.isArray(keys) || keys.length === 0) return [fault('jwks has no keys', fix)]
  const faults = [
    ...keys.flatMap((key: unknown, index) => oneKeyFaults(key, `jwks.keys[${index}]`)),
    ...sharedKidFaults(keys),
  ]
  return keys.some(isForUs) ? faults : [fault('jwks has no key for ES256', fix), ...faults]
}

/** The reference server then rejects the whole set. */
function sharedKidFaults(keys: readonly unknown[]): ClientFinding[] {
  const kids = keys.flatMap((key) => (isObject(key) && typeof key.kid === 'string' && key.kid !== '' ? [key.kid] : []))
  const shared = new Set(kids.filter((kid, index) => kids.indexOf(kid) < index))
  return [...shared].map((kid) => {
    const message = `jwks has several keys with the kid ${kid}`
    return fault(
      message,
      'keep only the one that sessions use, or give the other its own kid',
      'servers reject every login and refresh',
    )
  })
}

function isForUs(key: unknown): boolean {
  return isObject(key) && key.kty === 'EC' && key.crv === 'P-256'
}

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

function oneKeyFaults(key: unknown, name: string): ClientFinding[] {
  if (!isObject(key)) return [fault(`${name} is not a key`, 'remove it')]
  const { kid, use, key_ops: operations } = key
  const faults: ClientFinding[] = []
  if (PRIVATE_MEMBERS.some((member) => member in key)) {
    const fix = 'create a new key, publish only its public half, and remove this one immediately'
    const consequence = 'anybody who reads the document can act as your client'
    faults.push(fault(`${name} is a private key: it has leaked, replace it`, fix, consequence))
  }
  if (typeof kid !== 'string' || kid === '') {
    faults.push(fault(`${name} has no kid`, 'set it to the kid of the private key'))
  }
  if (use !== undefined && use !== 'sig') {
    faults.push(fault(`${name} has a use other than sig`, '"use": "sig"'))
  }
  if (operations !== undefined && strings(operations).join() !== 'verify') {
    faults.push(fault(`${name} has key_ops other than verify`, '"key_ops": ["verify"], or remove key_ops'))
  }
  return faults
}

/** The keys of a set, not validated. */
export function publishedKeys(jwks: unknown): JsonObject[] {
  const keys = isObject(jwks) ? jwks.keys : undefined
  return Array.isArray(keys) ? keys.filter(isObject) : []
}

/** The RFC 7638 thumbprint; `undefined` for anything but a P-256 key. */
export async function thumbprintOf(key: JsonObject): Promise<string | undefined> {
  const { kty, crv, x, y } = key
  if (!isForUs(key) || typeof x !== 'string' || typeof y !== 'string') return undefined
  return calculateJwkThumbprint({ kty: String(kty), crv: String(crv), x, y })
}
