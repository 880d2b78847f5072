import { expect, test } from 'vitest'
import { explainInvalidGrant } from '../../../src/protocol/oauth/invalid-grant.ts'

const refusal = (description: string | undefined, error = 'invalid_grant') => ({ status: 400, error, description })

test.each([
  ['Refresh token replayed', /used already, by another process or machine/],
  ['Invalid refresh token', /does not know this refresh token/],
  ['Refresh token expired', /nothing has refreshed/],
  ['Session expired', /as old as the server allows/],
  ['Token was not issued to this client', /another client_id/],
  ['DPoP proof is required for this request', /without its DPoP header/],
  ['DPoP proof does not match the expected JKT', /DPoP key of another login/],
  ['Client authentication method mismatch (none)', /a client key is set now and was not then/],
  [
    'The session was initiated with a different key than the client assertion currently used',
    /not the key that the login was made with/,
  ],
  ['Invalid code', /cut off, was used already/],
  ['This code has expired', /five minutes/],
  ['The redirect_uri parameter must match the one used in the authorization request', /another login/],
  ['code_verifier is required', /another login/],
  ['Invalid code_verifier', /another login/],
  ['Code challenge already used', /seen this login/],
  ['"refresh_token" grant type is not allowed for this client', /grant_types/],
  ['private_key_jwt jti reused', /seen this client assertion/],
])('17 %s', (description, meaning) => {
  const text = explainInvalidGrant(refusal(description))
  expect(text).toMatch(meaning)
  expect(text).toContain(`(400 invalid_grant "${description}")`)
})

test.each([
  ['a description that nobody knows', refusal('Because'), '400 invalid_grant "Because"'],
  ['none', refusal(undefined), '400 invalid_grant'],
  [
    'the words of one error under another',
    refusal('Session expired', 'invalid_client'),
    '400 invalid_client "Session expired"',
  ],
])('%s is passed on as it is', (_, given, said) => {
  expect(explainInvalidGrant(given)).toBe(said)
})
