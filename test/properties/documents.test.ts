import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Did, Origin } from '../../src/model.ts'
import { parseJsonObject, retryAt, serverError } from '../../src/protocol/http/response.ts'
import { parseDidDocument, resolveDid } from '../../src/protocol/identity/did.ts'
import { resolveHandle } from '../../src/protocol/identity/handle.ts'
import { parsePushedRequest } from '../../src/protocol/oauth/authorization-request.ts'
import {
  fetchAuthorizationServer,
  fetchIssuer,
  validateAuthorizationServer,
  validateProtectedResource,
} from '../../src/protocol/oauth/discovery.ts'
import { anyToken, parseTokenResponse } from '../../src/protocol/oauth/token-endpoint.ts'
import { xrpcError } from '../../src/protocol/xrpc/error.ts'
import { createFakeWorld } from '../support/fake-atproto.ts'
import {
  answerOf,
  anyJson,
  anyText,
  asyncAnswerOf,
  holds,
  nestedText,
  spoiled,
  spoiledDocument,
  TOO_DEEP,
  UNSEEN,
} from './support.ts'

const world = createFakeWorld()
const [PDS, AS, { did }] = [world.pds as Origin, world.as as Origin, world.alice]
/** What the honest servers of the fake world say. */
const honest = async (url: string) => (await (await world.fetch(new URL(url))).json()) as Record<string, unknown>
const SERVER = await honest(`${AS}/.well-known/oauth-authorization-server`)
const RESOURCE = await honest(`${PDS}/.well-known/oauth-protected-resource`)
const DID_DOCUMENT = await honest(`https://plc.directory/${did}`)
const TOKENS = { access_token: 'a', token_type: 'DPoP', refresh_token: 'r', expires_in: 60, sub: did, scope: 'atproto' }
const HTTPS = /^https:\/\/[^/@#\s]+/

test('3.3, 3.4 protected-resource metadata', () => {
  holds(
    fc.property(spoiledDocument(RESOURCE), (document) => {
      const issuer = answerOf(() => validateProtectedResource(document, PDS, false))
      if (issuer === undefined) return
      expect(document).toMatchObject({ resource: PDS, authorization_servers: [issuer] })
      expect(new URL(issuer).origin).toBe(issuer)
    }),
  )
})

test('4.3 to 4.17 authorization-server metadata', () => {
  holds(
    fc.property(spoiledDocument(SERVER), (document) => {
      const server = answerOf(() => validateAuthorizationServer(document, AS, PDS, false))
      if (!server) return
      expect(document['issuer']).toBe(AS)
      for (const [name, url] of Object.entries(server)) {
        expect(url).toMatch(HTTPS)
        expect(new URL(String(document[name])).origin).toBe(new URL(url).origin)
      }
    }),
  )
})

test('2.8 to 2.12 DID documents', () => {
  const service = spoiledDocument((DID_DOCUMENT['service'] as Record<string, unknown>[])[0]!)
  const services = fc
    .array(fc.oneof(service, anyJson), { maxLength: 3 })
    .map((list) => ({ ...DID_DOCUMENT, service: list }))
  const names = fc.array(fc.oneof(anyJson, spoiled('at://alice.fake.dev')), { maxLength: 3 })
  holds(
    fc.property(fc.oneof(spoiledDocument(DID_DOCUMENT), services), fc.option(names), (document, alsoKnownAs) => {
      const identity = answerOf(() =>
        parseDidDocument({ ...document, ...(alsoKnownAs && { alsoKnownAs }) }, did, false),
      )
      if (!identity) return
      expect('id' in document && document.id).toBe(did)
      expect(identity.pds).toMatch(HTTPS)
      if (identity.claimedHandle) expect(identity.claimedHandle).toMatch(/^[a-z0-9.-]+$/)
    }),
  )
})

test('10.6 to 10.12 token responses', () => {
  holds(
    fc.property(spoiledDocument(TOKENS), (document) => {
      const tokens = answerOf(() => parseTokenResponse(document, false, world))
      const token = anyToken(document)
      if (token !== undefined) expect([document['refresh_token'], document['access_token']]).toContain(token)
      if (!tokens) return
      expect([tokens.accessToken, tokens.sub, tokens.scope]).toStrictEqual([
        document['access_token'],
        document['sub'],
        document['scope'],
      ])
      expect(tokens.refreshToken).toBe(document['refresh_token'])
      expect(Number.isNaN(new Date(tokens.accessTokenExpiresAt ?? 0).getTime())).toBe(false)
    }),
  )
})

test('7.9 responses to a pushed request', () => {
  holds(
    fc.property(spoiledDocument({ request_uri: 'urn:x', expires_in: 60 }), (document) => {
      const pushed = answerOf(() => parsePushedRequest(document, AS))
      if (pushed) expect(pushed.expiresInSeconds).toBeGreaterThan(0)
    }),
  )
})

test('20.8 error bodies', () => {
  const body = fc.oneof(
    anyText,
    anyJson.map(stringified),
    spoiledDocument({ error: 'x', message: 'y', error_description: 'z' }).map(stringified),
  )
  const headers = fc.record(
    { 'retry-after': fc.stringMatching(/^[ -~]{0,12}$/), 'ratelimit-reset': fc.stringMatching(/^[ -~]{0,12}$/) },
    { requiredKeys: [] },
  )
  const challenge = fc.stringMatching(/^[ -~]{0,40}$/)
  holds(
    fc.property(body, fc.integer({ min: 200, max: 599 }), headers, challenge, (text, status, limits, header) => {
      const empty = [204, 205, 304].includes(status)
      const response = new Response(empty ? null : text, { status, headers: { ...limits, 'www-authenticate': header } })
      const { error, description } = serverError(status, parseJsonObject(text))
      for (const said of [error, description]) if (said !== undefined) expect(said).not.toMatch(UNSEEN)
      expect(['XRPC_ERROR', 'PERMISSION_MISSING', 'RATE_LIMITED']).toContain(
        xrpcError('com.example.x', response, text, 0, { did }).code,
      )
      retryAt(response.headers, 0)
    }),
  )
})

test('any response to a request for a document is that document or an OAuthError', async () => {
  const type = fc.constantFrom(
    'application/json',
    'application/did+ld+json',
    'text/html',
    'application/json; charset=x',
    '',
  )
  const status = fc.oneof(
    { weight: 3, arbitrary: fc.constant(200) },
    { weight: 1, arbitrary: fc.integer({ min: 200, max: 599 }) },
  )
  const raw = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    anyJson.map((value) => new TextEncoder().encode(stringified(value))),
  )
  await holds(
    fc.asyncProperty(raw, status, type, async (bytes, code, contentType) => {
      const empty = [204, 205, 304].includes(code)
      const answer = () =>
        new Response(empty ? null : (bytes as Uint8Array<ArrayBuffer>), {
          status: code,
          headers: { 'content-type': contentType },
        })
      const hostile = createFakeWorld({ faults: { httpFault: answer } })
      hostile.identity.txt.clear()
      const results = await Promise.all([
        asyncAnswerOf(() => fetchIssuer(PDS, hostile)),
        asyncAnswerOf(() => fetchAuthorizationServer(AS, PDS, hostile)),
        asyncAnswerOf(() => resolveDid(did, hostile)),
        asyncAnswerOf(() => resolveHandle('alice.fake.dev' as never, hostile)),
      ])
      expect(results).toStrictEqual([undefined, undefined, undefined, undefined])
    }),
  )
})

test('1.8 whatever stands in a TXT record is a DID or refused', async () => {
  const record = fc.array(fc.oneof(anyText, spoiled(`did=${did}`)), { minLength: 1, maxLength: 3 })
  await holds(
    fc.asyncProperty(fc.array(record, { maxLength: 3 }), async (records) => {
      const hostile = createFakeWorld()
      hostile.identity.txt.set('_atproto.alice.fake.dev', records)
      hostile.identity.wellKnown.clear()
      const found = await asyncAnswerOf(() => resolveHandle('alice.fake.dev' as never, hostile))
      if (found !== undefined) expect(records.map((chunks) => chunks.join(''))).toContain(`did=${found satisfies Did}`)
    }),
  )
})

/** What is too deep for JSON.stringify comes over the network all the same. */
function stringified(value: unknown): string {
  try {
    return JSON.stringify(value) ?? ''
  } catch {
    return nestedText(TOO_DEEP)
  }
}
