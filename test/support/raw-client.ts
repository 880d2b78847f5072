/**
 * A client made of jose and nothing of src/, so that the fake world is proved by
 * somebody else than the code it is there to prove.
 */
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { sha256 } from '../../src/testing/http.ts'
import type { FakeWorld } from './fake-atproto.ts'

export const CLIENT = {
  client_id: 'http://localhost?redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback&scope=atproto+transition%3Ageneric',
  redirect_uri: 'http://127.0.0.1/callback',
  scope: 'atproto transition:generic',
}
export const VERIFIER = 'v'.repeat(43)

/** What to do wrong in one proof; `undefined` as a claim leaves it out. */
export interface ProofFlaws {
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
  /** Puts the private key into the header. */
  readonly leakKey?: boolean
}

export async function createRawClient(world: FakeWorld) {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true })
  const [jwk, privateJwk] = [await exportJWK(publicKey), await exportJWK(privateKey)]
  const nonces = new Map<string, string>()
  let proofs = 0

  async function proof(method: string, url: URL, token: string | undefined, flaws: ProofFlaws): Promise<string> {
    proofs += 1
    const claims = {
      jti: `jti-${proofs}`,
      htm: method,
      htu: url.origin + url.pathname,
      iat: Math.floor(world.now() / 1000),
      nonce: nonces.get(url.origin),
      ath: token === undefined ? undefined : sha256(token),
      ...flaws.claims,
    }
    const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: (flaws.leakKey ? privateJwk : jwk) as JWK, ...flaws.header }
    return new SignJWT(claims).setProtectedHeader(header).sign(privateKey)
  }

  async function send(method: string, target: string, options: SendOptions = {}): Promise<Answer> {
    const url = new URL(target)
    const { token, body, headers, flaws = {} } = options
    const response = await world.fetch(url, {
      method,
      headers: {
        dpop: await proof(method, url, token, flaws),
        ...(token !== undefined && { authorization: `DPoP ${token}` }),
        ...headers,
      },
      ...(body !== undefined && { body }),
    })
    nonces.set(url.origin, response.headers.get('dpop-nonce') ?? nonces.get(url.origin) ?? '')
    return { status: response.status, headers: response.headers, body: await response.json() }
  }

  /** A form to the authorization server, without any retry. */
  function post(path: string, form: Record<string, string>, flaws: ProofFlaws = {}): Promise<Answer> {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    return send('POST', world.as + path, { body: new URLSearchParams(form).toString(), headers, flaws })
  }

  function push(changes: Record<string, string> = {}): Promise<Answer> {
    const code = { response_type: 'code', code_challenge: sha256(VERIFIER), code_challenge_method: 'S256' }
    return post('/oauth/par', { ...CLIENT, ...code, state: 'the-state', login_hint: world.alice.handle, ...changes })
  }

  function exchange(code: string, changes: Record<string, string> = {}, flaws: ProofFlaws = {}): Promise<Answer> {
    const { client_id, redirect_uri } = CLIENT
    const form = { grant_type: 'authorization_code', code, code_verifier: VERIFIER, client_id, redirect_uri }
    return post('/oauth/token', { ...form, ...changes }, flaws)
  }

  function refresh(refreshToken: string, changes: Record<string, string> = {}): Promise<Answer> {
    const form = { grant_type: 'refresh_token', refresh_token: refreshToken, client_id: CLIENT.client_id }
    return post('/oauth/token', { ...form, ...changes })
  }

  return { jkt: await calculateJwkThumbprint(jwk), nonces, send, post, push, exchange, refresh }
}

export interface SendOptions {
  readonly token?: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly flaws?: ProofFlaws
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
}
