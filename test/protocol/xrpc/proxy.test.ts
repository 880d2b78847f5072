import { describe, expect, test } from 'vitest'
import type { Did } from '../../../src/model.ts'
import { xrpcError } from '../../../src/protocol/xrpc/error.ts'
import { buildXrpcRequest, proxyAdvice, type XrpcRequest } from '../../../src/protocol/xrpc/request.ts'
import { failure } from '../helpers.ts'

const NSID = 'com.example.getThing'
const DID = 'did:plc:alice234567alice234567ab' as Did
const headersFor = (value: string, name = 'atproto-proxy') =>
  buildXrpcRequest({ nsid: NSID, headers: { [name]: value } }, DID).headers

describe('19.1 atproto-proxy', () => {
  test.each(['did:web:api.bsky.app#bsky_appview', `${DID}#atproto_labeler`, 'did:web:localhost%3A2584#x'])(
    'passes: %s',
    (value) => {
      expect(headersFor(value)).toMatchObject({ 'atproto-proxy': value })
      expect(headersFor(value, 'Atproto-Proxy')).toMatchObject({ 'atproto-proxy': value })
    },
  )

  test.each([
    '',
    '#',
    'did:web:api.bsky.app',
    'did:web:api.bsky.app#',
    '#bsky_appview',
    'did:web:api.bsky.app#a#b',
    'did:web:api.bsky.app #a',
    'did:web:api.bsky.app# a',
    ' did:web:api.bsky.app#a',
    'did:web:api.bsky.app#a b',
    'api.bsky.app#bsky_appview',
    'https://api.bsky.app#bsky_appview',
    'did:web:a.b#x, did:web:c.d#y',
  ])('is refused: %j', async (value) => {
    expect(await failure(() => headersFor(value))).toMatchObject({
      code: 'USAGE',
      facts: { reason: 'service-malformed' },
    })
  })

  test('19.2 advice for chat alone', () => {
    expect(proxyAdvice({ nsid: 'chat.bsky.convo.getLog' })).toContain('atproto-proxy: did:web:api.bsky.chat#bsky_chat')
    expect(proxyAdvice({ nsid: 'chat.bsky.convo.getLog', headers: { 'ATPROTO-PROXY': 'x' } })).toBeUndefined()
    expect(proxyAdvice({ nsid: 'app.bsky.feed.getTimeline' })).toBeUndefined()
    expect(proxyAdvice({ nsid: 'xchat.bsky.convo' })).toBeUndefined()
  })
})

describe('19.8 getServiceAuth', () => {
  const NAME = 'com.atproto.server.getServiceAuth'
  const errorOf = (status: number, error: string, message: string) =>
    xrpcError(NAME, new Response(null, { status }), JSON.stringify({ error, message }), 0, { handle: 'alice.fake.dev' })

  test.each([
    ['BadExpiration', 'expiration is in past'],
    ['BadExpiration', 'cannot request a token with an expiration more than an hour in the future'],
    ['BadExpiration', 'cannot request a method-less token with an expiration more than a minute in the future'],
    ['InvalidRequest', 'cannot request a service auth token for the following protected method: x.y.z'],
  ])('%s: %s', (name, message) => {
    expect(errorOf(400, name, message)).toMatchObject({
      code: 'XRPC_ERROR',
      message: `${NAME} returned 400 ${name} "${message}"`,
    })
  })

  test.each([
    ['rpc:a.b.c?aud=did:web:x.y%23s', 'rpc:a.b.c?aud=did:web:x.y%23s'],
    ['rpc:a.b.c?aud=did:web:x.y', 'rpc:a.b.c?aud=*'],
    ['rpc:*?aud=did:web:x.y%23s', 'rpc:*?aud=did:web:x.y%23s'],
    ['rpc:*?aud=did:web:x.y', 'transition:generic'],
  ])('a missing %s is asked for as %s, which can be', (missing, scope) => {
    const error = errorOf(403, 'ScopeMissingError', `Missing required scope "${missing}"`)
    expect(error.message).toContain(missing)
    expect(error.facts).toMatchObject({ handle: 'alice.fake.dev', scope: `atproto ${scope}` })
  })

  test.each([
    ['did:web:x.y', 'atproto rpc:a.b.c?aud=did:web:x.y%23svc', 'did:web:x.y#svc'],
    ['did:web:x.y', 'atproto rpc?lxm=a.b.c&aud=did%3Aweb%3Ax.y%23svc', 'did:web:x.y#svc'],
    ['did:web:api.bsky.app', 'atproto', 'did:web:api.bsky.app#bsky_appview'],
    ['did:web:x.y', 'atproto rpc:a.b.c?aud=*', undefined],
  ])('26.17 for the bare DID %s with %s: %s', (aud, scope, audience) => {
    const request = { nsid: NAME, parameters: [['aud', aud]] as const }
    const body = '{"error":"ScopeMissingError","message":"Missing required scope \\"rpc:a.b.c?aud=x\\""}'
    const error = xrpcError(NAME, new Response(null, { status: 403 }), body, 0, { scope }, request)
    expect(error).toMatchObject({ code: 'PERMISSION_MISSING', facts: { reason: 'audience-bare' } })
    expect(error.message).toContain(`a permission cannot name the bare DID ${aud}`)
    expect(error.facts).toHaveProperty('audience', audience)
  })

  test('what is no permission is not asked for', () => {
    const error = errorOf(403, 'ScopeMissingError', 'Missing required scope "identity:submit"')
    expect(error).toMatchObject({ code: 'PERMISSION_MISSING' })
    expect(error.facts.scope).toBeUndefined()
  })
})

describe('14.6 a server that does not name what is missing', () => {
  const POST = { nsid: 'com.atproto.repo.putRecord', body: '{"collection":"a.b.c"}' }
  const errorOf = (request: XrpcRequest, scope: string | undefined, error = 'InsufficientScope') =>
    xrpcError(
      request.nsid,
      new Response(null, { status: 403 }),
      JSON.stringify({ error, message: 'no' }),
      0,
      { handle: 'alice.fake.dev', scope },
      request,
    )

  test.each([
    ['atproto', 'repo:a.b.c?action=create repo:a.b.c?action=update'],
    ['atproto repo:a.b.c?action=create', 'repo:a.b.c?action=update'],
  ])('with %s: the request does', (scope, missing) => {
    expect(errorOf(POST, scope)).toMatchObject({
      code: 'PERMISSION_MISSING',
      message: `${POST.nsid} returned 403 InsufficientScope "no"; it requires ${missing}`,
      facts: { handle: 'alice.fake.dev', scope: `${scope} ${missing}` },
    })
    expect(errorOf(POST, scope, 'ScopeMissingError').facts.scope).toContain(missing)
  })

  test.each([
    ['all that is known to be needed is there', POST, 'atproto repo:*'],
    ['nothing is known', { nsid: 'com.example.x' }, 'atproto'],
  ])('%s: nothing is made up', (_, request, scope) => {
    const { message, facts } = errorOf(request, scope)
    expect(message).toBe(`${request.nsid} returned 403 InsufficientScope "no"`)
    expect(facts.scope).toBeUndefined()
  })
})

describe('a PDS that may have no AppView', () => {
  const reasonOf = (status: number, nsid: string, headers: Record<string, string> = {}, message = 'x') =>
    xrpcError(nsid, new Response(null, { status }), JSON.stringify({ message }), 0, {}, { nsid, headers }).facts.reason

  test.each([
    [404, 'app.bsky.feed.getTimeline', {}, 'Not Found', true],
    [501, 'app.bsky.feed.getTimeline', {}, 'Method Not Implemented', true],
    [400, 'app.bsky.feed.getTimeline', {}, 'No service configured for app.bsky.feed.getTimeline', true],
    [400, 'app.bsky.feed.getTimeline', {}, 'Profile not found', false],
    [404, 'app.bsky.feed.getTimeline', { 'Atproto-Proxy': 'did:web:a.b#c' }, 'Not Found', false],
    [404, 'com.atproto.repo.getRecord', {}, 'Not Found', false],
  ])('%i for %s, %j, "%s": %s', (status, nsid, headers, message, expected) => {
    expect(reasonOf(status, nsid, headers as Record<string, string>, message)).toBe(
      expected ? 'app-view-missing' : undefined,
    )
  })
})
