/**
 * Starts a login for `init` and `login`. If a server is in the way, the hint names the check of every step before it.
 */
import type { ErrorCode } from '../../errors.ts'
import { isOAuthError } from '../../errors.ts'
import { type Initiated, type InitOptions, init } from '../../login/init.ts'
import type { Context } from '../context.ts'
import { CliError, hintOf } from '../errors.ts'
import { shellQuote } from '../shell.ts'

/** Faults of a server that its own operator can repair, which a person with a self-hosted server is. */
const BY_SERVER: readonly ErrorCode[] = ['OAUTH_UNSUPPORTED', 'METADATA_INVALID', 'RESPONSE_INVALID']

/** Reasons whose hint is the same command with another account. */
const MEANT: readonly (string | undefined)[] = ['identifier-meant', 'identifier-email']

/** @param typed the command, and the options that a command with another account needs as well */
export async function startLogin(
  identifier: string,
  request: InitOptions,
  typed: { readonly command: 'init' | 'login'; readonly flags: string },
  { runtime }: Context,
): Promise<Initiated> {
  try {
    return await init(identifier, request, runtime)
  } catch (error) {
    if (isOAuthError(error, 'IDENTIFIER_INVALID') && MEANT.includes(error.facts.reason)) {
      const { code, message, facts } = error
      const hint = hintOf(error, typed.command) + typed.flags
      throw new CliError(code, message, { cause: error, facts, hint, session: 'none' })
    }
    if (!isOAuthError(error) || error.facts.reason !== undefined) throw error
    const doctor = `atproto-oauth doctor ${shellQuote(identifier)}`
    const hint = BY_SERVER.includes(error.code)
      ? `find the cause with: ${doctor}`
      : isOAuthError(error, 'SERVER_UNAVAILABLE')
        ? `run the same command again in a few minutes; if it fails again: ${doctor}`
        : undefined
    if (hint === undefined) throw error
    const { code, message, cause, facts, session, hasExplicitState } = error
    throw new CliError(code, message, { cause, facts, hint, session: hasExplicitState ? session : undefined })
  }
}
