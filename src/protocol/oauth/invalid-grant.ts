/**
 * Explains `invalid_grant` errors to people. Only for messages: decisions depend on `error`, because descriptions
 * differ between servers and change (RFC 6749 §5.2).
 */
import { describe, type ServerError } from '../http/response.ts'

const INVALID_CODE = 'Invalid code'

/** The descriptions of the reference server; a pattern for one that contains details. */
const MEANINGS: readonly (readonly [description: string | RegExp, meaning: string])[] = [
  // Refresh tokens
  [
    'Refresh token replayed',
    'the refresh token was already used: by another process or machine, or by an earlier run whose response was lost; if several machines need the session, keep it in a vault',
  ],
  [
    'Invalid refresh token',
    'unknown refresh token: the session was revoked, or ended because another process or machine used an old token of it, or the value differs from the printed one',
  ],
  ['Refresh token expired', 'the session was not refreshed in time'],
  ['Session expired', 'the session has reached its maximum age'],
  ['Token was not issued to this client', 'the session was created with another client_id'],
  ['DPoP proof does not match the expected JKT', 'the token belongs to the DPoP key of another login'],
  ['DPoP proof is required for this request', 'the request reached the server without its DPoP header'],
  [/^Client authentication method mismatch/, 'the login used a client key and none is set now, or the other way round'],
  [
    'The session was initiated with a different key than the client assertion currently used',
    'the configured client key is not the key that the login used',
  ],
  ['private_key_jwt jti reused', 'this client assertion was already used'],
  [
    '"refresh_token" grant type is not allowed for this client',
    'the client metadata document does not list refresh_token in its grant_types',
  ],
  // Codes
  [INVALID_CODE, 'the code was truncated, was already used, or is from another server'],
  ['This code has expired', 'a code is valid for five minutes after the sign-in'],
  ['Code challenge already used', 'the server has seen this login before'],
  [
    'The redirect_uri parameter must match the one used in the authorization request',
    'the callback belongs to another login',
  ],
  [/^(?:Invalid code_verifier|code_verifier is required)$/, 'the callback belongs to another login'],
]

/** The meaning, if known, followed by the server's own description. */
export function explainInvalidGrant(refusal: ServerError): string {
  const meaning = meaningOf(refusal)
  return meaning === undefined ? describe(refusal) : `${meaning} (${describe(refusal)})`
}

/** Whether a code that was cut off explains the response: the server has given no other reason. */
export function mayBeCutOff(refusal: ServerError): boolean {
  const { error, description } = refusal
  return error === 'invalid_grant' && (description === INVALID_CODE || meaningOf(refusal) === undefined)
}

function meaningOf({ error, description = '' }: ServerError): string | undefined {
  if (error !== 'invalid_grant') return undefined
  const isKnown = (known: string | RegExp) =>
    typeof known === 'string' ? known === description : known.test(description)
  return MEANINGS.find(([known]) => isKnown(known))?.[1]
}
