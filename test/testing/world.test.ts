import { describe, expect, test } from 'vitest'
import { createFakeWorld, type FakeWorld, type FakeWorldOptions } from '../../src/testing/world.ts'
import { CLIENT, createRawClient } from '../support/raw-client.ts'

async function start(options: FakeWorldOptions = {}) {
  const world = createFakeWorld(options)
  return { world, client: await createRawClient(world) }
}

/** A client that has its nonces and an authorization code. */
async function consented(options: FakeWorldOptions = {}) {
  const { world, client } = await start(options)
  await client.push() // for the nonce
  const pushed = await client.push({ code_challenge_method: 'S256' })
  const callback = new URL(world.authorize(pageOf(world, String(pushed.body['request_uri']))))
  return { world, client, callback, code: callback.searchParams.get('code')! }
}

async function loggedIn(options: FakeWorldOptions = {}) {
  const { world, client, code } = await consented(options)
  const { body } = await client.exchange(code)
  return { world, client, code, access: String(body['access_token']), refreshToken: String(body['refresh_token']) }
}

function pageOf(world: FakeWorld, requestUri: string): string {
  return `${world.as}/oauth/authorize?${new URLSearchParams({ client_id: CLIENT.client_id, request_uri: requestUri })}`
}

describe('the whole way', () => {
  test('PAR, authorize, exchange, refresh, call, revoke', async () => {
    const { world, client } = await start()
    const challenged = await client.push()
    expect(challenged).toMatchObject({ status: 400, body: { error: 'use_dpop_nonce' } })
    const pushed = await client.push()
    expect(pushed).toMatchObject({ status: 201, body: { expires_in: 300 } })

    const callback = new URL(world.authorize(pageOf(world, String(pushed.body['request_uri']))))
    expect([...callback.searchParams.keys()]).toStrictEqual(['iss', 'state', 'code'])
    expect(callback.searchParams.get('code')).toMatch(/^cod-[0-9a-f]{64}$/)
    const first = await client.exchange(callback.searchParams.get('code')!)
    expect(first).toMatchObject({ status: 200, body: { token_type: 'DPoP', expires_in: 3600, sub: world.alice.did } })

    const second = await client.refresh(String(first.body['refresh_token']))
    expect(second.status).toBe(200)
    const url = `${world.pds}/xrpc/com.atproto.server.getSession?x=1`
    const token = String(second.body['access_token'])
    expect((await client.send('GET', url, { token })).status).toBe(401)
    expect(await client.send('GET', url, { token })).toMatchObject({ body: { handle: 'alice.fake.dev' } })
    const stale = await client.send('GET', url, { token: String(first.body['access_token']) })
    expect(stale).toMatchObject({ status: 401, body: { error: 'invalid_token' } })

    await client.post('/oauth/revoke', { token, client_id: CLIENT.client_id })
    expect(world.sessionAlive(world.alice.did)).toBe(false)
    expect(world.sent('token')).toHaveLength(2)
    expect(world.secrets()).toEqual(expect.arrayContaining([token, callback.searchParams.get('code')!]))
  })

  test('a record is created for its own repository only', async () => {
    const { world, client, access: token } = await loggedIn()
    const create = (repo: string) =>
      client.send('POST', `${world.pds}/xrpc/com.atproto.repo.createRecord`, {
        token,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ repo, collection: 'app.bsky.feed.post', record: { text: 'hi' } }),
      })
    await create(world.alice.did)
    expect(await create(world.alice.did)).toMatchObject({ status: 200 })
    expect(await create(world.mallory.did)).toMatchObject({ body: { error: 'AuthenticationRequired' } })
    expect(world.records).toMatchObject([{ value: { text: 'hi' } }])
  })

  test('on one origin there is one set of nonces', async () => {
    const { world, client, access: token } = await loggedIn({ topology: 'together' })
    const answer = await client.send('GET', `${world.pds}/xrpc/com.atproto.server.getSession`, { token })
    expect(answer.status).toBe(200)
  })

  test('the person denies, or comes too late', async () => {
    const { world, client } = await start()
    await client.push()
    const page = pageOf(world, String((await client.push()).body['request_uri']))
    expect(world.authorize(page, { deny: true })).toMatch(/\?iss=.+&state=the-state&error=access_denied&/)
    expect(world.authorize(page)).toContain('error=access_denied')
  })
})

describe('12, 13 proofs', () => {
  test.each([
    ['wrong htu', { claims: { htu: 'https://as.fake.dev/oauth/par?x=1' } }, 'DPoP "htu" mismatch'],
    ['wrong htm', { claims: { htm: 'post' } }, 'DPoP "htm" mismatch'],
    ['ath at the AS', { claims: { ath: 'x' } }, 'DPoP "ath" claim not allowed'],
    ['no jti', { claims: { jti: undefined } }, 'DPoP "jti" missing'],
    ['reused jti', { claims: { jti: 'jti-1' } }, 'DPoP proof replayed'],
    ['private key in the header', { leakKey: true }, /public key/],
    ['wrong typ', { header: { typ: 'JWT' } }, /typ/],
    ['iat in milliseconds', { claims: { iat: Date.UTC(2026, 0, 2) } }, /iat/],
  ])('%s is refused', async (_, flaws, description) => {
    const { client } = await start()
    await client.push()
    const answer = await client.post('/oauth/par', CLIENT, flaws)
    expect(answer).toMatchObject({ status: 401, body: { error: 'invalid_dpop_proof' } })
    expect(answer.body['error_description']).toMatch(description)
  })

  test.each([
    [-190, 201],
    [-191, 401],
    [180, 201],
    [181, 401],
  ])('12.7 a proof %i seconds from the server clock gets %i', async (seconds, status) => {
    const { world, client } = await start()
    await client.push()
    world.faults.clockOffsetMs = -seconds * 1000
    world.faults.asNonces = 'none'
    expect((await client.push()).status).toBe(status)
  })

  test('a nonce is stale once there is a newer one, once it is old, and elsewhere', async () => {
    const { world, client, access: token } = await loggedIn()
    const getSession = () => client.send('GET', `${world.pds}/xrpc/com.atproto.server.getSession`, { token })
    client.nonces.set(world.pds, client.nonces.get(world.as)!)
    expect(await getSession()).toMatchObject({ status: 401, body: { message: 'DPoP "nonce" mismatch' } })
    const older = client.nonces.get(world.pds)!
    expect((await getSession()).status).toBe(200)
    client.nonces.set(world.pds, older)
    expect((await getSession()).status).toBe(401)
    world.advance(181_000)
    expect((await getSession()).status).toBe(401)
  })

  test.each(['json', 'header'] as const)('13.3 a challenge only in %s', async (form) => {
    const { client } = await start({ faults: { asChallenge: { status: 401, form } } })
    const { status, body, headers } = await client.push()
    expect([status, body['error'] === 'use_dpop_nonce', headers.has('www-authenticate')]).toStrictEqual([
      401,
      form === 'json',
      form === 'header',
    ])
  })
})

describe('10, 11 what ends a session', () => {
  test('10.3 a code used twice', async () => {
    const { world, client, code } = await loggedIn()
    expect(await client.exchange(code)).toMatchObject({ status: 400, body: { error_description: 'Invalid code' } })
    expect(world.sessionAlive(world.alice.did)).toBe(false)
  })

  test('10.2 a nonce challenge keeps the code, a wrong verifier burns it', async () => {
    const { world, client, code } = await consented()
    world.forgetNonces()
    expect((await client.exchange(code)).body['error']).toBe('use_dpop_nonce')
    const wrong = await client.exchange(code, { code_verifier: 'w'.repeat(43) })
    expect(wrong.body['error_description']).toBe('Invalid code_verifier')
    expect((await client.exchange(code)).body['error_description']).toBe('Invalid code')
  })

  test('11.3 replay of a refresh token', async () => {
    const { world, client, refreshToken } = await loggedIn()
    const next = String((await client.refresh(refreshToken)).body['refresh_token'])
    expect((await client.refresh(refreshToken)).body['error_description']).toBe('Refresh token replayed')
    expect((await client.refresh(next)).body['error_description']).toBe('Invalid refresh token')
    expect(world.sessionAlive(world.alice.did)).toBe(false)
  })

  test('11.4 another client_id, another key', async () => {
    const { world, client, refreshToken } = await loggedIn()
    const refused = await client.refresh(refreshToken, { client_id: 'http://localhost' })
    expect(refused.body['error_description']).toBe('Token was not issued to this client')
    expect(world.sessionAlive(world.alice.did)).toBe(false)

    const stolen = world.openSession({ sub: world.alice.did, clientId: CLIENT.client_id, jkt: 'not ours' })
    const thief = await client.refresh(stolen.refreshToken)
    expect(thief.body['error_description']).toBe('DPoP proof does not match the expected JKT')
    expect(world.sessionAlive(world.alice.did)).toBe(false)
  })

  test('17 fourteen days', async () => {
    const { world, client, refreshToken } = await loggedIn()
    world.advance(14 * 86_400_000)
    await client.refresh(refreshToken)
    expect((await client.refresh(refreshToken)).body['error_description']).toBe('Session expired')
  })

  test('25.1, 25.7, 25.8 cirrus forgives a replay and a wrong key, and knows no nonces', async () => {
    const { world, client } = await start({ faults: { personality: 'cirrus' } })
    const session = world.openSession({ sub: world.alice.did, clientId: CLIENT.client_id, jkt: client.jkt })
    const { refreshToken } = session
    const { headers } = await client.refresh(refreshToken)
    expect(headers.has('dpop-nonce')).toBe(false)
    expect((await client.refresh(refreshToken)).body['error']).toBe('invalid_grant')
    const other = await createRawClient(world)
    expect(await other.refresh(session.refreshToken)).toMatchObject({ body: { error: 'invalid_dpop_proof' } })
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })
})

describe('faults', () => {
  test('lostBefore leaves the session as it was, lostAfter commits', async () => {
    const { world, client, refreshToken } = await loggedIn()
    world.faults.httpFault = () => 'lostBefore'
    await expect(client.refresh(refreshToken)).rejects.toMatchObject({ code: 'NETWORK_LOST' })
    expect(world.currentRefreshToken(world.alice.did)).toBe(refreshToken)
    world.faults.httpFault = () => 'lostAfter'
    await expect(client.refresh(refreshToken)).rejects.toMatchObject({ code: 'NETWORK_LOST' })
    expect(world.currentRefreshToken(world.alice.did)).not.toBe(refreshToken)
    world.faults.httpFault = () => 'unreachable'
    await expect(client.refresh(refreshToken)).rejects.toMatchObject({ code: 'NETWORK_UNREACHABLE' })
  })

  test('mutators change what is sent, errors of the catalogue what is returned', async () => {
    const { world, client, access: token, refreshToken } = await loggedIn()
    world.faults.rsError = 'missingPermission'
    const url = `${world.pds}/xrpc/com.atproto.server.getSession`
    await client.send('GET', url, { token })
    expect(await client.send('GET', url, { token })).toMatchObject({
      status: 403,
      body: { error: 'ScopeMissingError' },
    })
    world.faults.mutateToken = (json) => ({ ...json, sub: undefined, token_type: 'Bearer' })
    const { body } = await client.refresh(refreshToken)
    expect([body['token_type'], 'sub' in body]).toStrictEqual(['Bearer', false])
  })

  test('identity: documents, DNS, handle hosts', async () => {
    const { identity, fetch, resolveTxt, alice } = createFakeWorld()
    identity.editDidDocument(alice.did, (document) => ({ ...document, alsoKnownAs: [] }))
    const document = await fetch(new URL(`https://plc.directory/${alice.did}`))
    expect(await document.json()).toMatchObject({ id: alice.did, alsoKnownAs: [] })
    expect(await resolveTxt('_atproto.alice.fake.dev')).toStrictEqual([[`did=${alice.did}`]])
    identity.txt.set('_atproto.alice.fake.dev', 'SERVFAIL')
    await expect(resolveTxt('_atproto.alice.fake.dev')).rejects.toMatchObject({ code: 'ESERVFAIL' })
    const claim = await fetch(new URL('https://alice.fake.dev/.well-known/atproto-did'))
    expect(await claim.text()).toBe(alice.did)
    await expect(fetch(new URL('https://127.0.0.1/'))).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' })
  })

  test('random bytes repeat in every run, not in one', () => {
    const [one, other] = [createFakeWorld(), createFakeWorld()]
    const bytes = one.randomBytes(40)
    expect(bytes).toHaveLength(40)
    expect(one.randomBytes(40)).not.toEqual(bytes)
    expect(other.randomBytes(40)).toEqual(bytes)
  })
})
