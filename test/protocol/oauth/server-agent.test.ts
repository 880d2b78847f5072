import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'
import { withServerClocks } from '../../../src/protocol/http/server-clock.ts'
import { generateClientJwk } from '../../../src/protocol/oauth/client-auth.ts'
import { fetchAuthorizationServer } from '../../../src/protocol/oauth/discovery.ts'
import { generateDpopJwk, importDpopKey } from '../../../src/protocol/oauth/dpop.ts'
import { type KeyOptions, OAuthServerAgent } from '../../../src/protocol/oauth/server-agent.ts'
import { createFakeWorld, type FakeWorld, formOf, json } from '../../support/fake-atproto.ts'
import { serverOf } from '../helpers.ts'

const CLIENT_ID = 'https://app.fake.dev/client.json'
const challenge = () => json(400, { error: 'use_dpop_nonce' }, { 'dpop-nonce': 'n1' })
const tokens = () => json(200, { access_token: 'at-1' }, { 'dpop-nonce': 'n2' })

/** An agent of a server that answers with these, one after the other. */
async function answeredBy(answers: (() => Response)[], changes: Partial<KeyOptions> = {}) {
  const world = createFakeWorld({ faults: { httpFault: () => answers.shift()?.() } })
  return { world, agent: await agentWithKey(world, changes) }
}

async function agentWithKey(world: FakeWorld, changes: Partial<KeyOptions> = {}, ports = withServerClocks(world)) {
  const key = await importDpopKey(await generateDpopJwk())
  return OAuthServerAgent.withKey({ server: serverOf(world), client: { clientId: CLIENT_ID }, key, ...changes }, ports)
}

describe('a confidential client', () => {
  test('authenticates each attempt with an assertion of its own, for this server alone', async () => {
    const clientJwk = await generateClientJwk()
    const { world, agent } = await answeredBy([challenge, tokens], { client: { clientId: CLIENT_ID, clientJwk } })
    await agent.refresh('ref-1')
    const forms = world.requests.map(formOf)
    expect(forms).toHaveLength(2)
    const assertions = forms.map(({ client_assertion }) => decodeJwt(client_assertion!))
    for (const assertion of assertions) {
      expect(assertion).toMatchObject({ iss: CLIENT_ID, sub: CLIENT_ID, aud: world.as })
    }
    expect(assertions[0]!.jti).not.toBe(assertions[1]!.jti)
    const [first, second] = forms.map(({ client_assertion, ...form }) => form)
    expect(first).toMatchObject({ grant_type: 'refresh_token', refresh_token: 'ref-1', client_id: CLIENT_ID })
    expect(second).toStrictEqual(first)
  })

  test('authenticates the pushed request and the revocation too', async () => {
    const clientJwk = await generateClientJwk()
    const pushed = () => json(201, { request_uri: 'urn:x', expires_in: 60 })
    const revoked = () => json(200, {})
    const { world, agent } = await answeredBy([pushed, revoked], { client: { clientId: CLIENT_ID, clientJwk } })
    await agent.par({ redirectUri: 'http://127.0.0.1/callback', scope: 'atproto', state: 's', codeChallenge: 'c' })
    await agent.revoke('ref-1')
    expect(world.requests.map(({ url }) => new URL(url).pathname)).toStrictEqual(['/oauth/par', '/oauth/revoke'])
    for (const request of world.requests) expect(formOf(request)).toHaveProperty('client_assertion')
  })
})

describe('what is learned of the server', () => {
  test('the nonce of an earlier process is sent, and the newest is there for a later one', async () => {
    const world = createFakeWorld({ faults: { httpFault: tokens } })
    const agent = await agentWithKey(world, { nonces: { [world.as]: 'n0', [world.pds]: 'p1' } })
    await agent.exchange({ code: 'cod-1', redirectUri: 'http://127.0.0.1/callback', codeVerifier: 'v' })
    expect(decodeJwt(world.requests[0]!.headers['dpop']!)).toMatchObject({ nonce: 'n0' })
    expect(agent.nonces()).toStrictEqual({ [world.as]: 'n2', [world.pds]: 'p1' })
  })

  test('its clock, as the discovery has shown it, is the one in the first proof', async () => {
    const world = createFakeWorld({ faults: { clockOffsetMs: 600_000 } })
    const ports = withServerClocks(world)
    const server = await fetchAuthorizationServer(serverOf(world).issuer, undefined, ports)
    const agent = await agentWithKey(world, { server }, ports)
    expect(Math.abs(agent.now() - world.now() - 600_000)).toBeLessThanOrEqual(1000)
    await agent.revoke('ref-1')
    const { iat } = decodeJwt(world.requests.at(-1)!.headers['dpop']!)
    expect(Math.abs(iat! * 1000 - agent.now())).toBeLessThanOrEqual(1000)
  })
})

test.each([
  [{ access_token: 'at-1', refresh_token: 'ref-1' }, 'ref-1'],
  [{ access_token: 'at-1' }, 'at-1'],
])('what was issued is revoked by its %j', async (answer, token) => {
  const { world, agent } = await answeredBy([() => json(200, {})])
  expect(await agent.revokeIssued(answer)).toBe(true)
  expect(world.requests.map((request) => formOf(request)['token'])).toStrictEqual([token])
})

test('a response without tokens leaves nothing to revoke', async () => {
  const { world, agent } = await answeredBy([])
  expect(await agent.revokeIssued({ token_type: 'DPoP' })).toBe(false)
  expect(world.requests).toStrictEqual([])
})
