/** What is said of documents, tokens and keys that are no good: a person has to find the cause by it. */
import { describe, expect, test } from 'vitest'
import { isOAuthError } from '../../../src/errors.ts'
import type { Did, Origin } from '../../../src/model.ts'
import { parseDidDocument, resolveDid } from '../../../src/protocol/identity/did.ts'
import {
  fetchAuthorizationServer,
  fetchIssuer,
  validateProtectedResource,
} from '../../../src/protocol/oauth/discovery.ts'
import { asPrivateJwk, createProof, generateDpopJwk, importDpopKey } from '../../../src/protocol/oauth/dpop.ts'
import { createFakeWorld, json } from '../../support/fake-atproto.ts'
import { agentOf, answeredAgent, failure, pendingOf, serverOf } from '../helpers.ts'

const PDS = 'https://pds.fake.dev' as Origin
const AS = 'https://as.fake.dev' as Origin
const { did } = createFakeWorld().alice
const answering = (answer: () => Response) => createFakeWorld({ faults: { httpFault: answer } })

describe('documents', () => {
  const html = () => new Response('', { headers: { 'content-type': 'text/html' } })
  const gone = () => json(404, {})
  test.each([
    ['2.4', () => resolveDid(did, answering(html)), `the DID document of ${did} has the media type text/html`],
    [
      '2.4',
      () => resolveDid(did, answering(gone)),
      `${did} not found at plc.directory: it was never registered, or was deleted`,
    ],
    [
      '3.2',
      () => fetchIssuer(PDS, answering(html)),
      `the protected-resource metadata of ${PDS} has the media type text/html`,
    ],
    ['3.2', () => fetchIssuer(PDS, answering(gone)), `the PDS ${PDS} does not offer OAuth`],
    ['4.1', () => fetchAuthorizationServer(AS, PDS, answering(html)), `the authorization-server metadata of ${AS} has`],
    ['4.1', () => fetchAuthorizationServer(AS, PDS, answering(gone)), `${AS} is not an OAuth authorization server`],
    [
      '4.6',
      () => fetchAuthorizationServer(AS, PDS, lacking('grant_types_supported')),
      'lacks authorization_code, refresh_token',
    ],
    ['4.4', () => fetchAuthorizationServer(AS, PDS, lacking('token_endpoint')), 'token_endpoint is missing'],
    ['3.3', () => validateProtectedResource({ resource: 'x'.repeat(999) }, PDS, false), `: "${'x'.repeat(199)}`],
    [
      '2.8',
      () => parseDidDocument({ id: 'did:plc:x' }, did, false),
      `the DID document of ${did} has another id: "did:plc:x"`,
    ],
  ])('%s what is said of it, %#', async (_, run, said) => {
    const { message } = await failure(run)
    expect(message).toContain(said)
    expect(message.length).toBeLessThan(400)
  })

  test('2.10 an http PDS is for development, and the error says so', async () => {
    const error = await failure(() => parseDidDocument(withPds('http://pds.fake.dev'), did, false))
    expect(error).toMatchObject({
      message: expect.stringContaining('"http://pds.fake.dev"'),
      facts: { reason: 'dev-mode-needed' },
    })
    const other = await failure(() => parseDidDocument(withPds('ftp://pds.fake.dev'), did, false))
    expect(other.facts.reason).toBeUndefined()
  })

  test.each([' https://pds.fake.dev', 'https://evil.dev/https://pds.fake.dev', '\thttps://pds.fake.dev'])(
    '2.10 a PDS at %j',
    async (endpoint) => {
      expect((await failure(() => parseDidDocument(withPds(endpoint), did, false))).code).toBe('DID_DOCUMENT_INVALID')
    },
  )

  test.each([
    ['did:web:localhost', 'http://localhost/.well-known/did.json'],
    ['did:web:localhost%3A3000', 'http://localhost:3000/.well-known/did.json'],
    ['did:web:localhost.fake.dev', 'https://localhost.fake.dev/.well-known/did.json'],
  ])('2.5 with --dev %s is asked for at %s', async (web, url) => {
    const world = createFakeWorld({ settings: { dev: true }, faults: { httpFault: gone } })
    await failure(() => resolveDid(web as Did, world))
    expect(world.requests.map((request) => request.url)).toStrictEqual([url])
  })
})

describe('tokens', () => {
  const world = createFakeWorld()

  test('11.8 a lost response: the message says that the token was sent, and why no response arrived', async () => {
    const lost = createFakeWorld({ faults: { httpFault: () => 'lostAfter' } })
    const agent = await agentOf(lost)
    const { redirectUri, codeVerifier } = pendingOf(lost)
    for (const [run, said] of [
      [() => agent.exchange({ code: 'c', redirectUri, codeVerifier }), 'the code was sent, but no response arrived'],
      [() => agent.refresh('r'), 'the refresh was sent, but no response arrived'],
    ] as const) {
      const error = await failure(run)
      expect(error.message).toBe(`${said} (as.fake.dev did not respond)`)
      expect(isOAuthError(error.cause, 'NETWORK_LOST')).toBe(true)
    }
  })

  test.each([
    [302, 'REFRESH_REFUSED'],
    [399, 'REFRESH_REFUSED'],
    [400, 'SESSION_DEAD'],
    [499, 'SESSION_DEAD'],
    [500, 'REFRESH_AMBIGUOUS'],
    [503, 'REFRESH_AMBIGUOUS'],
  ])('11.11 invalid_grant ends the session only as a refusal: with %i it is %s', async (status, code) => {
    const agent = answeredAgent(world, () => json(status, { error: 'invalid_grant' }))
    const error = await failure(() => agent.refresh('r'))
    expect(error.code).toBe(code)
    const dead = `${AS} has ended the session`
    expect(error.message).toContain(
      code === 'SESSION_DEAD' ? dead : `${AS} responded to the refresh with ${status} invalid_grant`,
    )
  })

  test('10.5 with which status and media type a response came that has no tokens', async () => {
    const agent = answeredAgent(world, () => new Response('<html>'))
    const error = await failure(() => agent.refresh('r'))
    expect(error.message).toBe(`the token response of ${AS} (200, text/plain) contains no tokens`)
  })

  test('a revocation with an empty response is confirmed', async () => {
    const agent = answeredAgent(world, () => new Response(null, { status: 200 }))
    expect(await agent.revoke('t')).toBe(true)
  })

  test('without an endpoint nothing is revoked, and nothing sent', async () => {
    const { revocation_endpoint, ...server } = serverOf(world)
    const agent = answeredAgent(world, () => expect.unreachable(), server)
    expect(await agent.revoke('t')).toBe(false)
  })
})

describe('keys', () => {
  test('12.2 members of another length or type make no key', async () => {
    const jwk = await generateDpopJwk()
    for (const name of ['x', 'y', 'd'] as const) {
      for (const value of [`A${jwk[name]}`, `${jwk[name]}A`, [jwk[name]], jwk[name].slice(1)]) {
        expect(asPrivateJwk({ ...jwk, [name]: value })).toBeUndefined()
      }
    }
  })

  test('what cannot be signed says why', async () => {
    const key = await importDpopKey(await generateDpopJwk())
    const world = createFakeWorld()
    const prove = (url: string, nonce?: string) =>
      failure(() => createProof(key, { method: 'GET', url: new URL(url), nonce }, world))
    expect((await prove('data:x')).message).toBe('cannot sign a request to a data: URL')
    expect((await prove(PDS, 'a b')).message).toBe(`${PDS} sent a malformed DPoP-Nonce`)
    const { x, y } = key.publicJwk
    const pair = { kty: 'EC', crv: 'P-256', x: y, y: x, d: x } as const
    expect((await failure(() => importDpopKey(pair))).message).toBe('the DPoP private key is not a valid P-256 key')
  })
})

function withPds(serviceEndpoint: string) {
  return { id: did, service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint }] }
}

function lacking(member: string) {
  return createFakeWorld({
    faults: { mutateAuthorizationServer: (document) => ({ ...document, [member]: undefined }) },
  })
}
