/** Proves the helpers of this folder without the CLI: what fails here is the world's fault, not the product's. */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { Secp256k1Keypair } from '@atproto/crypto'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createDid, startHostWithoutOAuth } from './other-hosts.ts'
import { SignInError, signIn } from './person.ts'
import { type Account, connectWorld, uniqueHandle } from './world.ts'

const world = connectWorld()
const REDIRECT_URI = 'http://127.0.0.1/callback'
const SCOPE = 'atproto transition:generic'
const PROFILE = 'app.bsky.actor.getProfile'

const getJson = async (url: string, headers: Record<string, string> = {}) => {
  const response = await fetch(url, { headers })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const refusal = (message: string) => ({ status: 401, body: { message: expect.stringContaining(message) } })
const inAMinute = Math.floor(Date.now() / 1000) + 60

describe('accounts', () => {
  test('a new account has a DID document that names its handle and its PDS', async () => {
    const { did, handle } = await world.createAccount()
    const { body } = await getJson(`${world.plcUrl}/${did}`)
    expect(body).toMatchObject({
      id: did,
      alsoKnownAs: [`at://${handle}`],
      service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: world.pdsUrl }],
    })
    expect(await resolve(world.handleResolverUrl, handle)).toStrictEqual({ status: 200, body: { did } })
  })

  test('requests are recorded with their path and user agent, and forgotten for one server at a time', async () => {
    const pds = await world.startPds()
    onTestFinished(pds.stop)
    const userAgent = `counter/${randomUUID()}`
    const path = '/xrpc/com.atproto.server.describeServer?a=b'
    for (const origin of [pds.url, world.plcUrl]) await fetch(origin + path, { headers: { 'user-agent': userAgent } })

    const recorded = { method: 'GET', path, userAgent }
    const [first, second, ...more] = await world.requests({ userAgent })
    expect(first).toStrictEqual({ server: 'pds', origin: pds.url, ...recorded })
    expect(second).toStrictEqual({ server: 'plc', origin: world.plcUrl, ...recorded })
    expect(more).toStrictEqual([])

    await world.clearRequests(pds.url)
    expect(await world.requests((r) => r.userAgent === userAgent)).toHaveLength(1)
  })

  test('an extra PDS has its own accounts and can be stopped', async () => {
    const pds = await world.startPds()
    const { did } = await pds.createAccount()
    expect((await getJson(`${world.plcUrl}/${did}`)).body).toMatchObject({ service: [{ serviceEndpoint: pds.url }] })
    await pds.stop()
    await expect(fetch(pds.url)).rejects.toThrow('fetch failed')
  })
})

describe('identities no PDS vouches for', () => {
  test('a handle can lead to a DID that does not claim it, at a host without OAuth', async () => {
    const host = await startHostWithoutOAuth()
    onTestFinished(host.stop)
    const did = await createDid(world.plcUrl, { handle: uniqueHandle('mallory'), pds: host.url })
    host.setHandle('victim.test', did)

    expect(await resolve(host.url, 'victim.test')).toStrictEqual({ status: 200, body: { did } })
    expect(await resolve(host.url, 'nobody.test')).toMatchObject({ status: 400 })
    expect((await getJson(`${world.plcUrl}/${did}`)).body).toMatchObject({ service: [{ serviceEndpoint: host.url }] })
    for (const document of ['oauth-protected-resource', 'oauth-authorization-server']) {
      expect(await getJson(`${host.url}/.well-known/${document}`)).toMatchObject({ status: 404 })
    }
    expect(await getJson(`${host.url}/xrpc/com.atproto.server.describeServer`)).toMatchObject({ status: 200 })
  })
})

describe('the AppView', () => {
  test('responds to requests that the PDS forwards for a signed-in account', async () => {
    const { did, handle, password } = await world.createAccount()
    const session = await fetch(`${world.pdsUrl}/xrpc/com.atproto.server.createSession`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ identifier: handle, password }),
    })
    const { accessJwt } = (await session.json()) as { accessJwt: string }
    const authorization = `Bearer ${accessJwt}`
    expect(await getJson(`${world.pdsUrl}/xrpc/${PROFILE}?actor=${did}`, { authorization })).toMatchObject({
      status: 200,
      body: { verified: { iss: did, lxm: PROFILE } },
    })
    const timeline = 'app.bsky.feed.getTimeline'
    expect(await getJson(`${world.pdsUrl}/xrpc/${timeline}`, { authorization })).toMatchObject({
      status: 200,
      body: { verified: { iss: did, lxm: timeline } },
    })
  })

  test.each([
    { lie: 'nothing', claims: {}, answer: { status: 200 } },
    { lie: 'the key', claims: {}, forged: true, answer: refusal('bad signature') },
    { lie: 'aud', claims: { aud: 'did:web:elsewhere.test' }, answer: refusal('aud is did:web:elsewhere.test') },
    { lie: 'lxm', claims: { lxm: 'a.b.c' }, answer: refusal(`lxm is a.b.c, the method ${PROFILE}`) },
    { lie: 'exp', claims: { exp: inAMinute - 120 }, answer: refusal('expired') },
    { lie: 'iss', claims: { iss: 'did:plc:nobody' }, answer: refusal('did:plc:nobody, unknown to the PLC directory') },
  ])('rejects a service JWT with a wrong $lie', async ({ claims, forged = false, answer }) => {
    const key = await Secp256k1Keypair.create()
    const iss = await createDid(world.plcUrl, { handle: uniqueHandle(), pds: world.pdsUrl, key })
    const signer = forged ? await Secp256k1Keypair.create() : key
    const jwt = await serviceJwt({ iss, aud: world.appViewDid, lxm: PROFILE, exp: inAMinute, ...claims }, signer)
    const answered = getJson(`${world.appViewUrl}/xrpc/${PROFILE}`, { authorization: `Bearer ${jwt}` })
    expect(await answered).toMatchObject(answer)
  })

  test('refuses a request without a token', async () => {
    expect(await getJson(`${world.appViewUrl}/xrpc/${PROFILE}`)).toMatchObject(refusal('no bearer token'))
  })
})

describe('the person at the browser', () => {
  test('consents: the code in the callback buys tokens for the account', async () => {
    const account = await world.createAccount()
    const attempt = await pushAuthorization(account)
    const callback = new URL(await signIn(attempt.authorizationUrl, account, { consent: true }))
    expect(callback.origin + callback.pathname).toBe(REDIRECT_URI)
    expect(Object.fromEntries(callback.searchParams)).toStrictEqual({
      iss: world.pdsUrl,
      state: attempt.state,
      code: expect.stringMatching(/^cod-/),
    })
    expect(await attempt.exchange(callback)).toMatchObject({
      status: 200,
      body: { sub: account.did, scope: SCOPE, token_type: 'DPoP' },
    })
  })

  test('consents to less', async () => {
    const account = await world.createAccount()
    const attempt = await pushAuthorization(account)
    const callback = new URL(await signIn(attempt.authorizationUrl, account, { consent: true, scope: 'atproto' }))
    expect(await attempt.exchange(callback)).toMatchObject({ status: 200, body: { scope: 'atproto' } })
  })

  test('refuses', async () => {
    const account = await world.createAccount()
    const { authorizationUrl, state } = await pushAuthorization(account)
    const callback = new URL(await signIn(authorizationUrl, account, { refuse: true }))
    expect(callback.searchParams.get('error')).toBe('access_denied')
    expect(callback.searchParams.get('state')).toBe(state)
    expect(callback.searchParams.has('code')).toBe(false)
  })

  test('mistypes the password', async () => {
    const account = await world.createAccount()
    const { authorizationUrl } = await pushAuthorization(account)
    const wrong = signIn(authorizationUrl, { ...account, password: 'wrong' }, { consent: true })
    await expect(wrong).rejects.toThrow(SignInError)
    await expect(wrong).rejects.toMatchObject({ step: 'sign-in' })
  })
})

const resolve = (host: string, handle: string) =>
  getJson(`${host}/xrpc/com.atproto.identity.resolveHandle?handle=${handle}`)

async function serviceJwt(claims: object, key: Secp256k1Keypair): Promise<string> {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${encode({ typ: 'JWT', alg: key.jwtAlg })}.${encode(claims)}`
  return `${signed}.${Buffer.from(await key.sign(Buffer.from(signed))).toString('base64url')}`
}

/** A public client of its own, so that the world does not depend on the code it tests. */
async function pushAuthorization(account: Account) {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const { kty, crv, x, y } = await exportJWK(publicKey)
  const codeVerifier = randomBytes(32).toString('base64url')
  const state = randomUUID()
  const client_id = `http://localhost?${new URLSearchParams({ redirect_uri: REDIRECT_URI, scope: SCOPE })}`

  const post = async (url: string, form: Record<string, string>, nonce?: string) => {
    const proof = await new SignJWT({ jti: randomUUID(), htm: 'POST', htu: url, ...(nonce !== undefined && { nonce }) })
      .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } as never })
      .setIssuedAt()
      .sign(privateKey)
    const response = await fetch(url, { method: 'POST', headers: { dpop: proof }, body: new URLSearchParams(form) })
    const body = (await response.json()) as Record<string, unknown>
    if (nonce === undefined && body['error'] === 'use_dpop_nonce') {
      return post(url, form, response.headers.get('dpop-nonce') ?? '')
    }
    return { status: response.status, body }
  }

  const pushed = await post(`${world.pdsUrl}/oauth/par`, {
    client_id,
    redirect_uri: REDIRECT_URI,
    response_type: 'code',
    code_challenge: createHash('sha256').update(codeVerifier).digest('base64url'),
    code_challenge_method: 'S256',
    scope: SCOPE,
    state,
    login_hint: account.handle,
  })
  expect(pushed.status).toBe(201)
  const query = new URLSearchParams({ client_id, request_uri: String(pushed.body['request_uri']) })
  return {
    state,
    authorizationUrl: `${world.pdsUrl}/oauth/authorize?${query}`,
    exchange: (callback: URL) =>
      post(`${world.pdsUrl}/oauth/token`, {
        grant_type: 'authorization_code',
        code: callback.searchParams.get('code') ?? '',
        redirect_uri: REDIRECT_URI,
        client_id,
        code_verifier: codeVerifier,
      }),
  }
}
