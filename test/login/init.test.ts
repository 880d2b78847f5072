import { describe, expect, test } from 'vitest'
import { OAuthError } from '../../src/errors.ts'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import { failure } from '../support/failure.ts'
import { createFakeWorld, type FakeWorld } from '../support/fake-atproto.ts'
import { publishSet } from '../support/permission-sets.ts'

const parameters = (request: { body: string }) => new URLSearchParams(request.body)
const isPar = (request: { url: string }) => request.url.endsWith('/oauth/par')

describe('what init keeps', () => {
  test('6.6 all that complete needs, before the URL is given out', async () => {
    const world = createFakeWorld()
    const { authorizationUrl, pending, pds } = await init('@Alice.Fake.Dev', { scope: 'transition:generic' }, world)
    expect(world.stores.pendingRecords.get(pending.state)).toStrictEqual(pending)
    expect(pending).toMatchObject({
      version: 1,
      status: 'pending',
      issuer: world.as,
      did: world.alice.did,
      handle: 'alice.fake.dev',
      redirectUri: 'http://127.0.0.1/callback',
      scope: 'atproto transition:generic',
      codeVerifier: expect.stringMatching(/^[\w-]{43}$/),
      dpopPrivateJwk: { kty: 'EC', crv: 'P-256', d: expect.any(String) },
      createdAt: world.now(),
      expiresAt: world.now() + 3_600_000,
    })
    expect(pds).toBe(world.pds)
    expect(authorizationUrl.searchParams.get('client_id')).toBe(pending.clientId)
    expect(authorizationUrl.searchParams.get('request_uri')).toMatch(/^urn:ietf:params:oauth:request_uri:/)
    expect([...authorizationUrl.searchParams.keys()].sort()).toStrictEqual(['client_id', 'request_uri'])
  })

  test('7.13 nothing, if the server refuses the request', async () => {
    const world = createFakeWorld()
    world.faults.httpFault = (request) =>
      isPar(request)
        ? Response.json({ error: 'invalid_scope', error_description: 'no\u001b[31m such' }, { status: 400 })
        : undefined
    const error = await failure(init('alice.fake.dev', {}, world))
    expect(error).toMatchObject({
      code: 'PAR_REFUSED',
      facts: { reason: 'loopback-client-refused', handle: 'alice.fake.dev', did: world.alice.did, scope: 'atproto' },
    })
    expect(error.message).toContain('400 invalid_scope "no such"')
    expect(world.stores.pendingRecords.size).toBe(0)
  })

  test('26.10 413: the request is too large, whatever the client', async () => {
    const world = createFakeWorld()
    world.faults.httpFault = (request) => (isPar(request) ? new Response('', { status: 413 }) : undefined)
    const error = await failure(init('alice.fake.dev', {}, world))
    expect(error).toMatchObject({
      code: 'PAR_REFUSED',
      facts: { reason: 'request-too-large', handle: 'alice.fake.dev' },
    })
    expect(error.message).toMatch(
      /^https:\/\/as\.fake\.dev rejected the authorization request: 413; its \d{3} bytes are too many$/,
    )
  })

  test.each([
    [['login', 'consent'], 'refused'],
    [[], 'refused'],
    [['login', 'create'], 'sent'],
    [undefined, 'sent'],
    ['create', 'sent'],
  ])('26.9 prompt=create where %j is listed: %s', async (prompt_values_supported, fate) => {
    const world = createFakeWorld()
    world.faults.mutateAuthorizationServer = (document) => ({ ...document, prompt_values_supported })
    const started = init('alice.fake.dev', { prompt: 'create' }, world)
    if (fate === 'sent') await started
    else
      expect(await failure(started)).toMatchObject({
        code: 'OAUTH_UNSUPPORTED',
        session: 'none',
        facts: { reason: 'prompt-unsupported' },
      })
    expect(world.requests.some(isPar)).toBe(fate === 'sent')
    // Other prompts are sent: the server decides.
    await init('alice.fake.dev', { prompt: 'select_account' }, world)
  })

  test('7.13 no URL, if it cannot be kept', async () => {
    const world = createFakeWorld()
    world.stores.failPut = () => new Error('disk full')
    await expect(init('alice.fake.dev', {}, world)).rejects.toThrow('disk full')
  })

  test('6.1, 6.3, 6.5, 12.2 two logins share neither state, verifier nor key', async () => {
    const world = createFakeWorld()
    const one = (await init('alice.fake.dev', {}, world)).pending
    const two = (await init('alice.fake.dev', {}, world)).pending
    expect(world.stores.pendingRecords.size).toBe(2)
    expect(one.state).not.toBe(two.state)
    expect(one.codeVerifier).not.toBe(two.codeVerifier)
    expect(one.dpopPrivateJwk.d).not.toBe(two.dpopPrivateJwk.d)
  })

  test('6.4 the verifier is in no request', async () => {
    const world = createFakeWorld()
    const { pending } = await init('alice.fake.dev', {}, world)
    expect(JSON.stringify(world.requests)).not.toContain(pending.codeVerifier)
  })
})

describe('26.3 a permission set that cannot be resolved', () => {
  const NSID = 'dev.fake.lex.authPosts'
  const NAME = '_lexicon.lex.fake.dev'
  const PUBLISHER = 'did:plc:publisher234567publishe2'
  const refused = (error: string, why: string) => Response.json({ error, error_description: why }, { status: 400 })
  const asking = async (plant: (world: FakeWorld) => void, error = 'invalid_scope', why = 'no') => {
    const world = createFakeWorld()
    world.faults.httpFault = (request) => (isPar(request) ? refused(error, why) : undefined)
    plant(world)
    return failure(init('alice.fake.dev', { scope: `atproto include:${NSID}?aud=did:web:a.fake.dev%23x` }, world))
  }
  const named = (world: FakeWorld) => void world.identity.txt.set(NAME, [[`did=${PUBLISHER}`]])
  const hosted = (world: FakeWorld) => {
    named(world)
    world.identity.addAccount({ did: PUBLISHER, handle: 'lex.fake.dev', pds: 'https://lex-pds.fake.dev' })
  }
  const answering = (answer: () => Response) => (world: FakeWorld) => {
    hosted(world)
    world.serve('https://lex-pds.fake.dev', (request) => {
      const { repo, collection, rkey, did } = Object.fromEntries(new URL(request.url).searchParams)
      if (did !== undefined) return Response.json({ did, active: true })
      expect([repo, collection, rkey]).toStrictEqual([PUBLISHER, 'com.atproto.lexicon.schema', NSID])
      return answer()
    })
  }
  const record = (type: string) => {
    const value = {
      $type: 'com.atproto.lexicon.schema',
      lexicon: 1,
      id: NSID,
      defs: { main: { type, permissions: [] } },
    }
    return Response.json({ value })
  }
  const noRecord = () => Response.json({ error: 'RecordNotFound' }, { status: 400 })

  test.each<[string, (world: FakeWorld) => void, string]>([
    ['no TXT record', () => undefined, `no TXT record with did= at ${NAME}`],
    [
      'a TXT record of something else',
      ({ identity }) => void identity.txt.set(NAME, [['v=1']]),
      'no TXT record with did=',
    ],
    ['no DID in it', ({ identity }) => void identity.txt.set(NAME, [['did=x']]), 'does not name one DID'],
    ['no DID document', named, `${PUBLISHER} not found`],
    ['no host', hosted, 'lex-pds.fake.dev does not exist'],
    ['a failing host', answering(() => Response.json({}, { status: 503 })), 'lex-pds.fake.dev returned 503'],
    ['no record', answering(noRecord), 'lex-pds.fake.dev returned 400 RecordNotFound'],
    ['a record of another type', answering(() => record('record')), 'is not a permission set'],
  ])('%s', async (_, plant, why) => {
    const error = await asking(plant)
    const facts = { status: 400, reason: 'permission-set-broken', nsid: NSID }
    expect(error).toMatchObject({ code: 'PERMISSION_SET_UNRESOLVED', session: 'none', facts })
    expect(error.message).toContain(`the permission set ${NSID} cannot be resolved: `)
    expect(error.message).toContain(why)
  })

  test('is the one that only the server cannot resolve, if the server names it', async () => {
    const whole = answering(() => record('permission-set'))
    const error = await asking(whole, 'invalid_scope', `Could not resolve Lexicon for NSID (${NSID})`)
    const facts = { reason: 'permission-set-broken', nsid: NSID, step: 'server' }
    expect(error).toMatchObject({ code: 'PERMISSION_SET_UNRESOLVED', session: 'none', facts })
    expect(error.message).toContain(`the permission set ${NSID} cannot be resolved: the server gives no reason (`)
    for (const why of [`Could not resolve Lexicon for NSID (${NSID}2)`, `invalid scope ${NSID}`]) {
      expect(await asking(whole, 'invalid_scope', why)).toMatchObject({ code: 'PAR_REFUSED' })
    }
  })

  test('is not to blame where it resolves, DNS fails here, or something else is rejected', async () => {
    const whole = answering(() => record('permission-set'))
    const unknown = ({ identity }: FakeWorld) => void identity.txt.set(NAME, 'SERVFAIL')
    for (const plant of [whole, unknown]) expect(await asking(plant)).toMatchObject({ code: 'PAR_REFUSED' })
    expect(await asking(() => undefined, 'invalid_client')).toMatchObject({ code: 'PAR_REFUSED' })
  })
})

test('26.4 an empty permission set is kept with the login, and reported at its end', async () => {
  const world = createFakeWorld()
  publishSet(world, { permissions: [] })
  const scope = 'atproto include:dev.fake.lex.authNone'
  const { authorizationUrl, pending, permissionSets } = await init('alice.fake.dev', { scope }, world)
  expect(permissionSets).toMatchObject([{ nsid: 'dev.fake.lex.authNone', granted: [], dropped: [] }])
  expect(world.stores.pendingRecords.get(pending.state)).toMatchObject({ emptyIncludes: [scope.slice(8)] })
  const granted = 'atproto repo:dev.fake.lex.post'
  const { emptyIncludes } = await complete(world.authorize(authorizationUrl, { scope: granted }), world)
  expect(emptyIncludes).toStrictEqual([scope.slice(8)])
})

describe('what init sends', () => {
  test('a handle costs eight requests, each to the right place, where the issuer is not the one that was guessed', async () => {
    const world = createFakeWorld({ settings: { handleResolver: 'https://resolver.fake.dev' } })
    await init('alice.fake.dev', {}, world)
    const sent = world.requests.map(({ method, url }) => `${method} ${url}`)
    // Those for a nonce are sent at the same time, once the key is there.
    expect([...sent.slice(0, 5), ...sent.slice(5, 7).sort(), ...sent.slice(7)]).toStrictEqual([
      'GET https://resolver.fake.dev/xrpc/com.atproto.identity.resolveHandle?handle=alice.fake.dev',
      `GET https://plc.directory/${world.alice.did}`,
      'GET https://pds.fake.dev/.well-known/oauth-protected-resource',
      'GET https://pds.fake.dev/.well-known/oauth-authorization-server',
      'GET https://as.fake.dev/.well-known/oauth-authorization-server',
      'POST https://as.fake.dev/oauth/token',
      'POST https://pds.fake.dev/oauth/token',
      'POST https://as.fake.dev/oauth/par',
    ])
  })

  test.each([
    ['a handle', '@ALICE.fake.dev', 'alice.fake.dev'],
    ['a DID', 'did', 'did'],
    ['a PDS', 'https://pds.fake.dev', undefined],
    ['an authorization server', 'https://as.fake.dev/', undefined],
  ])('7.7, 4.20 login_hint when started from %s', async (_, identifier, hint) => {
    const world = createFakeWorld()
    const of = (text: string | undefined) => (text === 'did' ? world.alice.did : text)
    const { pending } = await init(of(identifier)!, {}, world)
    const form = parameters(world.sent(isPar).at(-1)!)
    expect(form.get('login_hint') ?? undefined).toBe(of(hint))
    expect(pending.did).toBe(hint === undefined ? undefined : world.alice.did)
    expect(pending.issuer).toBe(world.as)
  })

  test('1.19 a DID whose handle does not lead back still signs in, without the handle', async () => {
    const world = createFakeWorld()
    world.identity.txt.set('_atproto.alice.fake.dev', [[`did=${world.mallory.did}`]])
    const { pending } = await init(world.alice.did, {}, world)
    expect(pending).toMatchObject({ did: world.alice.did })
    expect(pending.handle).toBeUndefined()
    expect(parameters(world.sent(isPar).at(-1)!).get('login_hint')).toBe(world.alice.did)
  })

  test('a hosted client sends its own client_id, redirect and scope, byte for byte', async () => {
    const world = createFakeWorld()
    const clientId = 'https://app.fake.dev/oauth-client-metadata.json'
    const redirectUri = 'https://app.fake.dev/callback?x=1'
    world.clients.set(clientId, { redirect_uris: [redirectUri], scope: 'atproto transition:generic' })
    await init('alice.fake.dev', { clientId, redirectUri, scope: 'atproto' }, world)
    const form = parameters(world.sent(isPar).at(-1)!)
    expect([form.get('client_id'), form.get('redirect_uri'), form.get('scope')]).toStrictEqual([
      clientId,
      redirectUri,
      'atproto',
    ])
  })
})

describe('usage errors send nothing', () => {
  test.each([
    ['not an identifier', 'alice', {}, 'IDENTIFIER_INVALID'],
    ['1.6 a reserved ending', 'alice.localhost', {}, 'IDENTIFIER_INVALID'],
    ['1.5 the Kelvin sign', '\u212Aelly.fake.dev', {}, 'IDENTIFIER_INVALID'],
    ['2.1 a DID method', 'did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK', {}, 'DID_METHOD_UNSUPPORTED'],
    ['a server with a path', 'https://pds.fake.dev/x', {}, 'IDENTIFIER_INVALID'],
    ['20.3 http without --dev', 'http://pds.fake.dev', {}, 'IDENTIFIER_INVALID'],
    ['7.4 openid', 'alice.fake.dev', { scope: 'atproto openid' }, 'SCOPE_INVALID'],
    ['15.1 two spaces', 'alice.fake.dev', { scope: 'atproto  transition:generic' }, 'SCOPE_INVALID'],
    ['5.1 a client_id with a port', 'alice.fake.dev', { clientId: 'https://a.fake.dev:8443/c.json' }, 'CLIENT_INVALID'],
    ['a hosted client without redirect', 'alice.fake.dev', { clientId: 'https://a.fake.dev/c.json' }, 'CLIENT_INVALID'],
    [
      '5.22 an undeclared scope',
      'alice.fake.dev',
      { clientId: 'http://localhost', scope: 'transition:generic' },
      'CLIENT_INVALID',
    ],
  ])('%s', async (_, identifier, options, code) => {
    const world = createFakeWorld()
    expect(await failure(init(identifier, options, world))).toMatchObject({ code, session: 'none' })
    expect(world.requests).toHaveLength(0)
    expect(world.identity.txtQueries).toHaveLength(0)
  })
})

describe('identity', () => {
  test('1.17 a handle that the account does not claim', async () => {
    const world = createFakeWorld()
    world.identity.txt.set('_atproto.alice.fake.dev', [[`did=${world.mallory.did}`]])
    const error = await failure(init('alice.fake.dev', {}, world))
    expect(error).toMatchObject({ code: 'HANDLE_NOT_CLAIMED' })
    expect(error.facts).toStrictEqual({ did: world.mallory.did })
    expect(world.sent('/.well-known/oauth-protected-resource')).toHaveLength(0)
  })

  test('3.6 a PDS without OAuth is said plainly', async () => {
    const world = createFakeWorld()
    world.faults.httpFault = (request) =>
      request.url.includes('oauth-protected') ? new Response('', { status: 404 }) : undefined
    const error = await failure(init('alice.fake.dev', {}, world))
    expect(error).toMatchObject({ code: 'OAUTH_UNSUPPORTED' })
    expect(error.message).toContain('does not offer OAuth')
  })
})

test('a login that cannot be stored is not started: nothing is sent', async () => {
  const world = createFakeWorld()
  world.stores.pending.prepare = async () => {
    throw new OAuthError('STORE_UNAVAILABLE', 'cannot write')
  }
  const before = world.requests.length
  await expect(init('alice.fake.dev', {}, world)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE', session: 'none' })
  expect(world.requests.length).toBe(before)
})
