/** What we send and how we read, checked by another client's code: `oauth4webapi` also makes a resource server. */
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import * as other from 'oauth4webapi'
import { expect, test } from 'vitest'
import { parseChallenges } from '../../../src/protocol/http/www-authenticate.ts'
import { createPkce } from '../../../src/protocol/oauth/authorization-request.ts'
import { createProof, generateDpopJwk, importDpopKey } from '../../../src/protocol/oauth/dpop.ts'
import { createFakeWorld } from '../../support/fake-atproto.ts'
import { pendingOf } from '../helpers.ts'

const world = createFakeWorld()
const { issuer, clientId } = pendingOf(world)
const as: other.AuthorizationServer = { issuer, jwks_uri: `${issuer}/jwks` }
const client: other.Client = { client_id: clientId }

test('6.2 the code challenge is the one that they compute', async () => {
  const { codeVerifier, codeChallenge } = await createPkce(world)
  expect(await other.calculatePKCECodeChallenge(codeVerifier)).toBe(codeChallenge)
})

test('12.1 to 12.9 a resource server of theirs takes our proof, and no altered one', async () => {
  const key = await importDpopKey(await generateDpopJwk())
  const { request, judge } = await resourceServer(key.thumbprint)
  const url = new URL('https://pds.fake.dev/xrpc/com.atproto.server.getSession?x=1')
  const proof = (target: object = {}) =>
    createProof(
      key,
      { method: 'GET', url, accessToken: request.token, nonce: 'n', ...target },
      { ...world, now: Date.now },
    )
  await expect(judge(url, await proof())).resolves.toMatchObject({ cnf: { jkt: key.thumbprint } })

  await expect(judge(url, await proof({ method: 'POST' }))).rejects.toThrow('htm mismatch')
  await expect(judge(url, await proof({ url: new URL('https://evil.dev/') }))).rejects.toThrow('htu mismatch')
  await expect(judge(url, await proof({ accessToken: 'another' }))).rejects.toThrow('ath mismatch')
  await expect(judge(url, await proof({ accessToken: undefined }))).rejects.toThrow('ath')
  const stranger = await importDpopKey(await generateDpopJwk())
  const foreign = await createProof(
    stranger,
    { method: 'GET', url, accessToken: request.token },
    { ...world, now: Date.now },
  )
  await expect(judge(url, foreign)).rejects.toThrow('confirmation mismatch')
})

test('14.1 their reader of challenges finds in the reference server’s header what ours finds', async () => {
  const header = 'DPoP error="use_dpop_nonce", error_description="say \\"when\\"", algs="ES256 RS256", Bearer realm="x"'
  const refused = new Response('{}', { status: 401, headers: { 'www-authenticate': header } })
  const error = await other.processRefreshTokenResponse(as, client, refused).catch((reason: unknown) => reason)
  if (!(error instanceof other.WWWAuthenticateChallengeError)) throw error
  const theirs = error.cause.map(({ scheme, parameters }) => ({ scheme, parameters: { ...parameters } }))
  const ours = parseChallenges(header).map(({ scheme, parameters }) => ({
    scheme,
    parameters: Object.fromEntries(parameters),
  }))
  expect(ours).toStrictEqual(theirs)
})

/** A resource server made of `oauth4webapi`, with an access token bound to `jkt`. */
async function resourceServer(jkt: string) {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k', use: 'sig', alg: 'ES256' }] }
  const token = await new SignJWT({ client_id: clientId, cnf: { jkt } })
    .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'k' })
    .setIssuer(issuer)
    .setAudience('did:web:pds.fake.dev')
    .setSubject(world.alice.did)
    .setJti('j')
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(privateKey)
  const options = {
    requireDPoP: true,
    [other.customFetch]: async () => Response.json(jwks),
  }
  return {
    request: { token },
    judge: (url: URL, dpop: string) =>
      other.validateJwtAccessToken(
        as,
        new Request(url, { headers: { authorization: `DPoP ${token}`, dpop } }),
        'did:web:pds.fake.dev',
        options,
      ),
  }
}
