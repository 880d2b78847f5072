/**
 * The same answers given to another OAuth client, `oauth4webapi`. Its verdict and ours agree, or the table says why
 * they do not; a difference that is gone fails too.
 */
import * as other from 'oauth4webapi'
import { describe, expect, test } from 'vitest'
import { parseCallback, validateCallback } from '../../../src/login/callback.ts'
import { parseTokenResponse } from '../../../src/protocol/oauth/token-endpoint.ts'
import { createFakeWorld } from '../../support/fake-atproto.ts'
import { answeredAgent, pendingOf } from '../helpers.ts'

const world = createFakeWorld()
const pending = pendingOf(world)
const { issuer, state, redirectUri, clientId } = pending
const as: other.AuthorizationServer = { issuer, authorization_response_iss_parameter_supported: true }
const client: other.Client = { client_id: clientId }

/** A response, and the reason if we treat it differently. */
type Row<T> = readonly [name: string, answer: T, differs?: string]
const named = <T>(rows: readonly Row<T>[]) => rows.map(([name, answer, differs]) => ({ name, answer, differs }))
const ATPROTO = 'atproto asks for more than OAuth does'
const LENIENT = 'what is not known is left out: the answer is good without it'

const accepts = async (run: () => unknown): Promise<boolean> => {
  try {
    await run()
    return true
  } catch {
    return false
  }
}

async function compare(ours: boolean, theirs: boolean, differs: string | undefined) {
  expect({ ours, differs: ours !== theirs }).toStrictEqual({ ours, differs: differs !== undefined })
}

describe('9.2 to 9.9 authorization responses', () => {
  const honest = { iss: issuer, state, code: 'cod-1' }
  const rows: Row<string>[] = [
    ['honest', form(honest)],
    ['in another order, with unknown parameters', form({ code: 'c', x: 'y', state, iss: issuer })],
    ['a code that needs encoding', form({ ...honest, code: 'a b+c&d=é' })],
    ['no iss', form({ state, code: 'c' })],
    ['an empty iss', form({ ...honest, iss: '' })],
    ['another iss', form({ ...honest, iss: 'https://evil.dev' })],
    ['iss with a slash', form({ ...honest, iss: `${issuer}/` })],
    ['iss in capitals', form({ ...honest, iss: issuer.toUpperCase() })],
    ['iss encoded twice', form({ ...honest, iss: encodeURIComponent(issuer) })],
    ['no state', form({ iss: issuer, code: 'c' })],
    ['another state', form({ ...honest, state: `${state}x` })],
    ['an error', form({ iss: issuer, state, error: 'access_denied' })],
    ['an error beside the code', form({ ...honest, error: 'server_error' })],
    ['an error from elsewhere', form({ iss: 'https://evil.dev', state, error: 'access_denied' })],
    ['iss twice', `${form(honest)}&${form({ iss: issuer })}`],
    ['state twice', `${form(honest)}&${form({ state })}`],
    ['a JWT response', form({ ...honest, response: 'e.e.e' })],
    ['an id_token', form({ ...honest, id_token: 'e.e.e' })],
    ['code twice', `${form(honest)}&code=2`, 'they look at the code later, and refuse it then'],
    ['no code', form({ iss: issuer, state }), 'they look at the code later, and refuse it then'],
    ['an access token', form({ ...honest, access_token: 'x' }), 'RFC 9700 §2.1.2: nothing of the implicit flow'],
  ]
  test.each(named(rows))('$name', async ({ answer: query, differs }) => {
    const parameters = new URLSearchParams(query)
    const ours = await accepts(() => {
      const pasted = parseCallback(`${redirectUri}?${query}`)
      if (pasted.state !== state) throw new Error('there is no login of this state')
      const judged = validateCallback(pasted, pending)
      if ('denied' in judged) throw judged.denied
    })
    const theirs = await accepts(() => other.validateAuthResponse(as, client, parameters, state))
    await compare(ours, theirs, differs)
  })

  test('the code that comes out is the same', () => {
    const query = form({ ...honest, code: 'a b+c&d=é%' })
    const judged = validateCallback(parseCallback(`${redirectUri}?${query}`), pending)
    const theirs = other.validateAuthResponse(as, client, new URLSearchParams(query), state)
    expect(judged).toStrictEqual({ code: theirs.get('code') })
  })
})

describe('10.5 to 10.12, 11.10 token responses', () => {
  const honest = {
    access_token: 'a',
    token_type: 'DPoP',
    refresh_token: 'r',
    expires_in: 60,
    sub: world.alice.did,
    scope: 'atproto',
  }
  const without = (name: keyof typeof honest) => ({ ...honest, [name]: undefined })
  const json =
    (body: unknown, status = 200, type = 'application/json') =>
    () =>
      new Response(typeof body === 'string' ? body : JSON.stringify(body), {
        status,
        headers: { 'content-type': type },
      })
  const rows: Row<() => Response>[] = [
    ['honest', json(honest)],
    ['with charset', json(honest, 200, 'application/json; charset=utf-8')],
    ['token_type in lower case', json({ ...honest, token_type: 'dpop' })],
    ['more members', json({ ...honest, session_state: 'x' })],
    ['no refresh token', json(without('refresh_token'))],
    ['no expires_in', json(without('expires_in'))],
    ['expires_in 0', json({ ...honest, expires_in: 0 })],
    ['no access token', json(without('access_token'))],
    ['an empty access token', json({ ...honest, access_token: '' })],
    ['an access token that is none', json({ ...honest, access_token: ['a'] })],
    ['no token_type', json(without('token_type'))],
    ['token_type of another kind', json({ ...honest, token_type: 'mac' })],
    ['an empty refresh token', json({ ...honest, refresh_token: '' })],
    ['a refresh token that is none', json({ ...honest, refresh_token: 1 })],
    ['a scope that is a list', json({ ...honest, scope: ['atproto'] })],
    ['a list', json([honest])],
    ['null', json('null')],
    ['half of it', json('{"access_token":')],
    ['HTML', json('<html>', 200, 'text/html')],
    ['201', json(honest, 201), '26.11: the tokens are issued, and nobody else has them'],
    ['400', json({ error: 'invalid_grant' }, 400)],
    ['500', json('', 500, 'text/plain')],
    [
      'Bearer',
      json({ ...honest, token_type: 'Bearer' }),
      'atproto: only DPoP, a Bearer token could be used by anybody',
    ],
    ['no sub', json(without('sub')), ATPROTO],
    ['sub is no DID', json({ ...honest, sub: 'alice' }), ATPROTO],
    ['no scope', json(without('scope')), ATPROTO],
    ['scope without atproto', json({ ...honest, scope: 'email' }), ATPROTO],
    [
      'a token with a line break',
      json({ ...honest, access_token: 'a\nb' }),
      'RFC 6749 A.12: it would not go into a header',
    ],
    ['expires_in as text', json({ ...honest, expires_in: '60s' })],
    ['expires_in as words', json({ ...honest, expires_in: 'soon' }), LENIENT],
    [
      'a negative expires_in',
      json({ ...honest, expires_in: -1 }),
      'the lifetime is unknown, and the token is used until it is rejected',
    ],
    ['an id_token', json({ ...honest, id_token: 'x' }), '10.11: it is not relied on, and not looked at'],
    ['JSON as text/plain', json(honest, 200, 'text/plain')],
  ]
  const ports = { now: world.now }
  test.each(named(rows))('of an exchange: $name', async ({ answer, differs }) => {
    const grant = { code: 'c', redirectUri, codeVerifier: pending.codeVerifier }
    const ours = await accepts(async () =>
      parseTokenResponse(await answeredAgent(world, answer).exchange(grant), false, ports),
    )
    const theirs = await accepts(() => other.processAuthorizationCodeResponse(as, client, answer()))
    await compare(ours, theirs, differs)
  })

  test.each(named(rows))('of a refresh: $name', async ({ answer, differs }) => {
    const ours = await accepts(async () =>
      parseTokenResponse(await answeredAgent(world, answer).refresh('r'), false, ports),
    )
    const theirs = await accepts(() => other.processRefreshTokenResponse(as, client, answer()))
    await compare(ours, theirs, differs)
  })
})

describe('7.9 responses to a pushed request', () => {
  const honest = { request_uri: 'urn:x', expires_in: 60 }
  const json =
    (body: unknown, status = 201) =>
    () =>
      new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } })
  const rows: Row<() => Response>[] = [
    ['honest', json(honest)],
    ['no request_uri', json({ expires_in: 60 })],
    ['an empty request_uri', json({ ...honest, request_uri: '' })],
    ['a request_uri that is a list', json({ ...honest, request_uri: ['urn:x'] })],
    ['no expires_in', json({ request_uri: 'urn:x' })],
    ['a negative expires_in', json({ ...honest, expires_in: -1 })],
    ['a list', json([honest])],
    ['400', json({ error: 'invalid_request' }, 400)],
    ['302', json(honest, 302)],
    ['200', json(honest, 200), 'RFC 9126 §2.2 says 201, some servers 200'],
    ['a request_uri of space', json({ ...honest, request_uri: ' ' }), 'it would be an empty one in the URL'],
    ['expires_in 0', json({ ...honest, expires_in: 0 }), 'RFC 9126 §2.2: a positive integer'],
    ['expires_in as text', json({ ...honest, expires_in: '60' }), 'RFC 9126 §2.2: a positive integer'],
    ['expires_in with a fraction', json({ ...honest, expires_in: 1.5 }), 'RFC 9126 §2.2: a positive integer'],
  ]
  test.each(named(rows))('$name', async ({ answer, differs }) => {
    const request = { redirectUri, scope: 'atproto', state, codeChallenge: 'x' }
    const ours = await accepts(() => answeredAgent(world, answer).par(request))
    const theirs = await accepts(() => other.processPushedAuthorizationResponse(as, client, answer()))
    await compare(ours, theirs, differs)
  })
})

function form(parameters: Record<string, string>): string {
  return new URLSearchParams(parameters).toString()
}
