/**
 * Error responses of the PDS, and challenges of both servers.
 */
import type { Faults } from './faults.ts'
import { json } from './http.ts'
import { RS_ERRORS, type RsError, type RsErrorName } from './xrpc-errors.ts'

export function rsError(name: RsErrorName, faults: Faults, message?: string): Response {
  const row: RsError = RS_ERRORS[name]
  const told = message ?? row.message
  if (row.error === '') return new Response(told, { status: row.status, headers: { ...row.headers } })
  if (row.challenge) return rsChallenge(row.error, told, faults)
  const error = faults.personality === 'cirrus' && name === 'missingPermission' ? 'InsufficientScope' : row.error
  return json(row.status, { error, message: told }, { ...row.headers })
}

/** A 401 that concerns the token or the proof. At cirrus they are all the same (25.10). */
export function rsChallenge(error: string, message: string, faults: Faults): Response {
  const isCirrus = faults.personality === 'cirrus'
  const response = json(401, { error: isCirrus ? 'InvalidToken' : error, message })
  return challenge(response, isCirrus ? 'invalid_token' : error, message, faults)
}

/** Puts the challenge on a response. The reference form: `algs` first, and no description that would need escaping (13.8). */
export function challenge(response: Response, error: string, description: string, faults: Faults): Response {
  const told = description.includes('"') ? '' : `, error_description="${description}"`
  const reference = `DPoP algs="RS256 RS384 ES256 ES256K", error="${error}"${told}`
  const lines = faults.writeChallenge?.(error, description) ?? reference
  for (const line of [lines].flat()) response.headers.append('www-authenticate', line)
  return response
}

/** Asks for a nonce in the form that the fault asks for; the other place then says nothing of use. */
export function nonceChallenge(server: 'as' | 'rs', description: string, faults: Faults): Response {
  const { status, form } = server === 'as' ? faults.asChallenge : faults.rsChallenge
  const error = form === 'header' ? 'unauthorized' : 'use_dpop_nonce'
  const response = json(status, { error, [server === 'as' ? 'error_description' : 'message']: description })
  return form === 'json' ? response : challenge(response, 'use_dpop_nonce', description, faults)
}
