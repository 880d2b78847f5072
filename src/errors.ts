/**
 * What can go wrong, in one table: the exit code, what became of the session and
 * what to type next. A new code without all three does not compile.
 *
 * @module
 */
import { sanitize } from './text.ts'

/**
 * What became of the session, as far as is known when the error is made:
 * `none` no session was involved, `alive` untouched and usable, `dead` gone, `unknown` a
 * single-use token was sent and the outcome is not known.
 */
export type SessionFate = 'none' | 'alive' | 'dead' | 'unknown'

interface Entry {
  /** Process exit code (docs/commands.md#errors). */
  readonly exit: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 130
  readonly session: SessionFate
  /** The next command, or what to change before it; an {@link OAuthError} may carry a more exact one. */
  readonly hint: string
  /** Where the hint is a command for its words alone: those, to be put after whichever command was running. */
  readonly words?: string
}

const AGAIN = 'run the same command again'
const INIT = 'atproto-oauth init <handle>'

export const CATALOGUE = {
  // 1 — ours
  UNEXPECTED: { exit: 1, session: 'unknown', hint: 'run it again with --verbose and report what it prints' },

  OUTPUT_FAILED: { exit: 1, session: 'alive', hint: 'make room, or write the output somewhere else' },

  // 2 — usage: nothing was sent
  USAGE: { exit: 2, session: 'alive', hint: 'atproto-oauth --help', words: '--help' },
  IDENTIFIER_INVALID: {
    exit: 2,
    session: 'none',
    hint: 'atproto-oauth init alice.example.com',
    words: 'alice.example.com',
  },
  DID_METHOD_UNSUPPORTED: { exit: 2, session: 'none', hint: 'use a did:plc, a did:web or a handle' },
  CLIENT_INVALID: { exit: 2, session: 'none', hint: 'atproto-oauth init --help', words: '--help' },
  SCOPE_INVALID: { exit: 2, session: 'none', hint: 'write it as --scope "atproto transition:generic"' },
  NSID_INVALID: { exit: 2, session: 'alive', hint: 'atproto-oauth call com.atproto.server.getSession' },
  CALLBACK_UNREADABLE: { exit: 2, session: 'none', hint: 'atproto-oauth complete' },
  CALLBACK_INCOMPLETE: { exit: 2, session: 'none', hint: 'atproto-oauth complete' },
  CREDENTIALS_INCOMPLETE: { exit: 2, session: 'alive', hint: 'set the missing variables as `complete` printed them' },
  CREDENTIALS_INVALID: { exit: 2, session: 'alive', hint: 'set the variable exactly as `complete` printed it' },
  CREDENTIALS_MISMATCH: { exit: 2, session: 'alive', hint: 'set all the variables from one run of `complete`' },
  SAVE_TARGET_MISSING: {
    exit: 2,
    session: 'alive',
    hint: 'add --save gh:OWNER/REPO, --save file:PATH or --save exec:COMMAND; if ATPROTO_OAUTH_HOME is kept between jobs, --save store',
  },
  ACCOUNT_UNCLEAR: { exit: 2, session: 'alive', hint: 'name one with --account <did|handle>' },
  STORE_INVALID: { exit: 2, session: 'alive', hint: 'put a copy back, or move it away and start again with `init`' },
  STORE_UNAVAILABLE: { exit: 2, session: 'alive', hint: 'point ATPROTO_OAUTH_HOME at a folder that you can write to' },

  // 3 — before anything was consumed
  NETWORK_UNREACHABLE: { exit: 3, session: 'alive', hint: AGAIN },
  NETWORK_LOST: { exit: 3, session: 'alive', hint: AGAIN },
  HOST_NOT_FOUND: { exit: 3, session: 'alive', hint: AGAIN },
  HANDLE_LOOKUP_FAILED: { exit: 3, session: 'none', hint: AGAIN },
  SERVER_UNAVAILABLE: { exit: 3, session: 'alive', hint: `${AGAIN} in a few minutes` },
  SESSION_BUSY: { exit: 3, session: 'alive', hint: AGAIN },

  // 4 — refused, by the server or by a check of ours
  ADDRESS_REFUSED: { exit: 4, session: 'alive', hint: 'for a server on this machine or network add --dev' },
  HANDLE_NOT_FOUND: {
    exit: 4,
    session: 'none',
    hint: 'check the spelling, or start from the DID: atproto-oauth init did:plc:…',
  },
  HANDLE_AMBIGUOUS: { exit: 4, session: 'none', hint: 'remove the wrong _atproto TXT record, or start from the DID' },
  HANDLE_NOT_CLAIMED: { exit: 4, session: 'none', hint: 'start from the DID: atproto-oauth init did:plc:…' },
  DID_NOT_FOUND: { exit: 4, session: 'alive', hint: 'check the DID, and --plc-url if you set it' },
  DID_DOCUMENT_INVALID: { exit: 4, session: 'alive', hint: 'the account’s DID document has to be repaired first' },
  OAUTH_UNSUPPORTED: { exit: 4, session: 'alive', hint: 'this account’s server has to be updated before OAuth works' },
  METADATA_INVALID: { exit: 4, session: 'alive', hint: 'report it to whoever runs the server' },
  RESPONSE_INVALID: { exit: 4, session: 'alive', hint: 'report it to whoever runs the server' },
  CLIENT_BROKEN: {
    exit: 4,
    session: 'none',
    hint: 'correct and publish the document, then run the same command again',
  },
  PAR_REFUSED: { exit: 4, session: 'none', hint: INIT },
  DPOP_URL_INVALID: { exit: 4, session: 'alive', hint: 'report it to whoever runs the server' },
  DPOP_NONCE_INVALID: { exit: 4, session: 'alive', hint: 'report it to whoever runs the server' },
  CALLBACK_STATE_UNKNOWN: { exit: 4, session: 'none', hint: INIT },
  CALLBACK_REFUSED: { exit: 4, session: 'none', hint: 'paste the address of the page on which this login ended' },
  AUTHORIZATION_DENIED: { exit: 4, session: 'none', hint: INIT },
  AUTHORIZATION_EXPIRED: { exit: 4, session: 'none', hint: INIT },
  CODE_USED: { exit: 4, session: 'none', hint: INIT },
  EXCHANGE_REFUSED: { exit: 4, session: 'none', hint: INIT },
  TOKEN_RESPONSE_INVALID: { exit: 4, session: 'none', hint: INIT },
  ACCOUNT_MISMATCH: { exit: 4, session: 'none', hint: INIT },
  ACCOUNT_UNVERIFIED: { exit: 4, session: 'none', hint: INIT },
  ISSUER_MISMATCH: { exit: 4, session: 'alive', hint: INIT },
  REVOCATION_UNCONFIRMED: { exit: 4, session: 'unknown', hint: 'atproto-oauth init <handle>' },
  DOCTOR_FOUND: { exit: 4, session: 'none', hint: 'correct what is marked xx, then run the same command again' },
  REFRESH_REFUSED: { exit: 4, session: 'alive', hint: AGAIN },

  // 5, 6 — the session
  SESSION_MISSING: { exit: 5, session: 'none', hint: INIT },
  SESSION_DEAD: { exit: 5, session: 'dead', hint: INIT },
  SESSION_NOT_REFRESHABLE: { exit: 5, session: 'dead', hint: INIT },
  EXCHANGE_AMBIGUOUS: { exit: 6, session: 'unknown', hint: INIT },
  REFRESH_AMBIGUOUS: { exit: 6, session: 'unknown', hint: `${AGAIN}: it first looks for a newer token` },

  // 7, 8, 9, 10 — calls and saving
  PERMISSION_MISSING: { exit: 7, session: 'alive', hint: 'atproto-oauth init <handle> --scope "atproto …"' },
  XRPC_ERROR: { exit: 8, session: 'alive', hint: 'correct the request; the session is not the cause' },
  RATE_LIMITED: { exit: 9, session: 'alive', hint: `${AGAIN} later` },
  SAVE_FAILED: {
    exit: 10,
    session: 'alive',
    hint: 'make room or correct the permissions, then run the same command again',
  },
  DEADLINE_NEAR: { exit: 11, session: 'alive', hint: INIT },
  INTERRUPTED: { exit: 130, session: 'alive', hint: AGAIN },
} satisfies Record<string, Entry>

export type ErrorCode = keyof typeof CATALOGUE

export interface OAuthErrorOptions {
  readonly cause?: unknown
  /** A more exact next step than the catalogue's. */
  readonly hint?: string | undefined
  /** What became of the session, where this case differs from the catalogue. */
  readonly session?: SessionFate | undefined
}

/**
 * The one error class. `code` is stable and for programs; the message is one
 * sentence for people, already free of anything a terminal would act on.
 */
export class OAuthError extends Error {
  readonly code: ErrorCode
  readonly hint: string
  readonly session: SessionFate
  readonly exit: number
  /** `session` was said by whoever made the error, and is not just what is usual for its code. */
  readonly hasExplicitState: boolean

  constructor(code: ErrorCode, message: string, options: OAuthErrorOptions = {}) {
    super(sanitize(message, 2000), options.cause === undefined ? undefined : { cause: options.cause })
    const entry: Entry = CATALOGUE[code]
    this.name = 'OAuthError'
    this.code = code
    this.hint = sanitize(options.hint ?? entry.hint, 4000)
    this.session = options.session ?? entry.session
    this.exit = entry.exit
    this.hasExplicitState = options.session !== undefined
  }
}

/**
 * What to type next, where it is known which command was running: it may have an own way of being typed right.
 *
 * @param command without the program's name, such as `client new`; nothing if none was
 */
export function hintOf({ code, hint }: OAuthError, command = ''): string {
  const entry: Entry = CATALOGUE[code]
  if (command === '' || entry.words === undefined || hint !== entry.hint) return hint
  return `atproto-oauth ${command} ${entry.words}`
}

/** For what happens before there is a session: an error that leaves sessions alone says that none was touched. */
export async function withoutSession<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof OAuthError) || error.hasExplicitState || error.session !== 'alive') throw error
    throw new OAuthError(error.code, error.message, { cause: error.cause, hint: error.hint, session: 'none' })
  }
}

/** Whether `error` is ours, and if codes are given, one of them. */
export function isOAuthError(error: unknown, ...codes: ErrorCode[]): error is OAuthError {
  return error instanceof OAuthError && (codes.length === 0 || codes.includes(error.code))
}
