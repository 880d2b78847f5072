import { expect, test } from 'vitest'
import { explainInvalidGrant, mayBeCutOff } from '../../../src/protocol/oauth/invalid-grant.ts'

const refusal = (description: string | undefined, error = 'invalid_grant') => ({ status: 400, error, description })

test.each([
  ['Refresh token replayed', /already used: by another process or machine/],
  ['Invalid refresh token', /unknown refresh token/],
  ['Refresh token expired', /was not refreshed in time/],
  ['Session expired', /reached its maximum age/],
  ['Token was not issued to this client', /another client_id/],
  ['DPoP proof is required for this request', /without its DPoP header/],
  ['DPoP proof does not match the expected JKT', /DPoP key of another login/],
  ['Client authentication method mismatch (none)', /the login used a client key and none is set now/],
  [
    'The session was initiated with a different key than the client assertion currently used',
    /not the key that the login used/,
  ],
  ['Invalid code', /was truncated, was already used/],
  ['This code has expired', /five minutes/],
  ['The redirect_uri parameter must match the one used in the authorization request', /another login/],
  ['code_verifier is required', /another login/],
  ['Invalid code_verifier', /another login/],
  ['Code challenge already used', /the server has seen this login before/],
  ['"refresh_token" grant type is not allowed for this client', /grant_types/],
  ['private_key_jwt jti reused', /this client assertion was already used/],
])('17 %s', (description, meaning) => {
  const text = explainInvalidGrant(refusal(description))
  expect(text).toMatch(meaning)
  expect(text).toContain(`(400 invalid_grant "${description.replaceAll('"', "'")}")`)
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

test.each([
  ['Invalid code', 'invalid_grant', true],
  ['a description that nobody knows', 'invalid_grant', true],
  [undefined, 'invalid_grant', true],
  ['This code has expired', 'invalid_grant', false],
  ['Invalid code_verifier', 'invalid_grant', false],
  ['Invalid code', 'invalid_request', false],
])('whether the code may be cut off: %s (%s)', (description, error, isCut) => {
  expect(mayBeCutOff(refusal(description, error))).toBe(isCut)
})
