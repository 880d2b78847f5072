/**
 * What a server's `invalid_grant` means to a person. For messages only: decisions are made
 * by `error`, for descriptions differ between servers and change (RFC 6749 §5.2).
 */
import { describe, type ServerError } from '../http/response.ts'

/** As the reference server words them; a pattern for one that carries details. */
const MEANINGS: readonly (readonly [description: string | RegExp, meaning: string])[] = [
  // Refresh tokens
  [
    'Refresh token replayed',
    'this refresh token was used already, by another process or machine; a server that sees it twice ends the session for everybody, so let one job own it and lease access tokens to the others',
  ],
  [
    'Invalid refresh token',
    'the server does not know this refresh token: the session was revoked, or ended when an old token of it was used already, by another process or machine, or the value is not the one that was printed',
  ],
  ['Refresh token expired', 'nothing has refreshed the session for as long as the server allows'],
  ['Session expired', 'the session is as old as the server allows; no refresh can extend it'],
  ['Token was not issued to this client', 'the session was made with another client_id than the one that was sent'],
  ['DPoP proof does not match the expected JKT', 'the token belongs to the DPoP key of another login'],
  ['DPoP proof is required for this request', 'the request reached the server without its DPoP header'],
  [
    /^Client authentication method mismatch/,
    'the login was made with another kind of client: a client key is set now and was not then, or the other way round',
  ],
  [
    'The session was initiated with a different key than the client assertion currently used',
    'the client key that is set is not the key that the login was made with',
  ],
  ['private_key_jwt jti reused', 'the server has seen this client assertion before'],
  [
    '"refresh_token" grant type is not allowed for this client',
    'the client document does not list refresh_token in its grant_types',
  ],
  // Codes
  ['Invalid code', 'the code was cut off, was used already, or was never one of this server’s'],
  ['This code has expired', 'a code is good for five minutes after the sign-in'],
  ['Code challenge already used', 'the server has seen this login before'],
  [
    'The redirect_uri parameter must match the one used in the authorization request',
    'the callback belongs to another login than this one',
  ],
  [/^(?:Invalid code_verifier|code_verifier is required)$/, 'the callback belongs to another login than this one'],
]

/** The meaning if it is known, and in any case what the server said. */
export function explainInvalidGrant(refusal: ServerError): string {
  const { error, description = '' } = refusal
  const isKnown = (known: string | RegExp) =>
    typeof known === 'string' ? known === description : known.test(description)
  const meaning = error === 'invalid_grant' ? MEANINGS.find(([known]) => isKnown(known))?.[1] : undefined
  return meaning === undefined ? describe(refusal) : `${meaning} (${describe(refusal)})`
}
