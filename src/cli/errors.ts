/**
 * What an error is to a person at a shell: its exit code, and what to type next. A new code or a new reason
 * without its entry here does not compile.
 */

import type { Fix } from '../errors.ts'
import {
  type Advice,
  type ErrorChanges,
  type ErrorCode,
  type ErrorDetails,
  type ErrorFacts,
  OAuthError,
  type ReasonFacts,
} from '../errors.ts'
import { sanitize } from '../text.ts'
import { callCommandLine, initCommandLine, shellQuote, toWindowsQuoting } from './shell.ts'

/** docs/commands.md#errors */
type Exit = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 130

interface Entry {
  readonly exit: Exit
  /**
   * The next command, or what to change before it, where no reason says it better. `command` is the one that was
   * running, without the program's name; empty if none was.
   */
  readonly hint: string | ((facts: ErrorFacts, command: string) => string)
}

const SCOPE = 'write it as --scope "atproto transition:generic"'
const AGAIN = 'run the same command again'

/** The same login again, if it is known whose it is. */
const init = (facts: ErrorFacts) =>
  facts.handle === undefined && facts.did === undefined && facts.issuer === undefined
    ? 'atproto-oauth init <handle>'
    : initCommandLine(facts)

/** The command that was running, with other words behind it. */
const running =
  (words: string, otherwise: string): Entry['hint'] =>
  (_, command) =>
    ['atproto-oauth', command || otherwise, words].filter(Boolean).join(' ')

/** By the `error` of the server alone; descriptions are for people (RFC 6749 §5.2). */
const PAR_HINTS: ReadonlyMap<string, string> = new Map([
  ['invalid_scope', 'ask for less with --scope, or declare the scope in your client document'],
  [
    'invalid_client_metadata',
    'the server could not use the document at your client_id: check that it is public and valid',
  ],
  ['invalid_client', 'the server does not accept this client_id: check --client-id'],
  ['invalid_redirect_uri', 'use a --redirect-uri that the client document lists'],
  ['temporarily_unavailable', `${AGAIN} in a few minutes`],
])

const CATALOGUE: Record<ErrorCode, Entry> = {
  // 1 — ours
  UNEXPECTED: { exit: 1, hint: 'run it again with --verbose and report what it prints' },
  OUTPUT_FAILED: { exit: 1, hint: 'make room, or write the output somewhere else' },

  // 2 — usage: nothing was sent
  USAGE: { exit: 2, hint: running('--help', '') },
  IDENTIFIER_INVALID: { exit: 2, hint: running('alice.example.com', 'init') },
  DID_METHOD_UNSUPPORTED: { exit: 2, hint: 'use a did:plc, a did:web or a handle' },
  CLIENT_INVALID: { exit: 2, hint: running('--help', 'init') },
  SCOPE_INVALID: { exit: 2, hint: SCOPE },
  NSID_INVALID: { exit: 2, hint: 'atproto-oauth call com.atproto.server.getSession' },
  CALLBACK_UNREADABLE: {
    exit: 2,
    hint: 'sign in, then copy the whole address from the browser’s address bar and run: atproto-oauth complete',
  },
  CALLBACK_INCOMPLETE: {
    exit: 2,
    hint: 'put the URL in quotes (a shell cuts it at the first &), or run `atproto-oauth complete` and paste it there',
  },
  CREDENTIALS_INCOMPLETE: { exit: 2, hint: 'set the missing variables as `complete` printed them' },
  CREDENTIALS_INVALID: { exit: 2, hint: 'set the variable exactly as `complete` printed it' },
  CREDENTIALS_MISMATCH: { exit: 2, hint: 'set all the variables from one run of `complete`' },
  SAVE_TARGET_MISSING: {
    exit: 2,
    hint: 'add --save gh:OWNER/REPO, --save file:PATH or --save exec:COMMAND; if ATPROTO_OAUTH_HOME is kept between jobs, --save store',
  },
  ACCOUNT_UNCLEAR: { exit: 2, hint: 'name one with --account <did|handle>' },
  STORE_INVALID: { exit: 2, hint: 'put a copy back, or move it away and start again with `init`' },
  STORE_UNAVAILABLE: { exit: 2, hint: 'point ATPROTO_OAUTH_HOME at a folder that you can write to' },

  // 3 — before anything was consumed
  NETWORK_UNREACHABLE: { exit: 3, hint: AGAIN },
  NETWORK_LOST: { exit: 3, hint: AGAIN },
  HOST_NOT_FOUND: { exit: 3, hint: AGAIN },
  HANDLE_LOOKUP_FAILED: { exit: 3, hint: AGAIN },
  SERVER_UNAVAILABLE: { exit: 3, hint: `${AGAIN} in a few minutes` },
  SESSION_BUSY: { exit: 3, hint: AGAIN },

  // 4 — refused, by the server or by a check of ours
  ADDRESS_REFUSED: { exit: 4, hint: 'for a server on this machine or network add --dev' },
  HANDLE_NOT_FOUND: { exit: 4, hint: 'check the spelling, or start from the DID: atproto-oauth init did:plc:…' },
  HANDLE_AMBIGUOUS: { exit: 4, hint: 'remove the wrong _atproto TXT record, or start from the DID' },
  HANDLE_NOT_CLAIMED: {
    exit: 4,
    hint: ({ did }) =>
      did === undefined
        ? 'start from the DID: atproto-oauth init did:plc:…'
        : `if that is the account you mean: atproto-oauth init ${did}`,
  },
  DID_NOT_FOUND: { exit: 4, hint: 'check the DID, and --plc-url if you set it' },
  DID_DOCUMENT_INVALID: { exit: 4, hint: 'the account’s DID document has to be repaired first' },
  OAUTH_UNSUPPORTED: { exit: 4, hint: 'this account’s server has to be updated before OAuth works' },
  METADATA_INVALID: { exit: 4, hint: 'report it to whoever runs the server' },
  RESPONSE_INVALID: { exit: 4, hint: 'report it to whoever runs the server' },
  CLIENT_BROKEN: { exit: 4, hint: 'correct and publish the document, then run the same command again' },
  PAR_REFUSED: { exit: 4, hint: (facts) => PAR_HINTS.get(facts.serverError ?? '') ?? init(facts) },
  DPOP_URL_INVALID: { exit: 4, hint: 'report it to whoever runs the server' },
  DPOP_NONCE_INVALID: { exit: 4, hint: 'report it to whoever runs the server' },
  CALLBACK_STATE_UNKNOWN: { exit: 4, hint: init },
  CALLBACK_REFUSED: { exit: 4, hint: 'paste the address of the page on which this login ended' },
  AUTHORIZATION_DENIED: { exit: 4, hint: init },
  AUTHORIZATION_EXPIRED: { exit: 4, hint: init },
  CODE_USED: { exit: 4, hint: init },
  EXCHANGE_REFUSED: { exit: 4, hint: init },
  TOKEN_RESPONSE_INVALID: { exit: 4, hint: init },
  ACCOUNT_MISMATCH: { exit: 4, hint: init },
  ACCOUNT_UNVERIFIED: { exit: 4, hint: init },
  ISSUER_MISMATCH: { exit: 4, hint: init },
  REVOCATION_UNCONFIRMED: { exit: 4, hint: init },
  DOCTOR_FOUND: { exit: 4, hint: 'correct what is marked xx, then run the same command again' },
  REFRESH_REFUSED: { exit: 4, hint: AGAIN },

  // 5, 6 — the session
  SESSION_MISSING: { exit: 5, hint: initCommandLine },
  SESSION_DEAD: { exit: 5, hint: init },
  SESSION_NOT_REFRESHABLE: { exit: 5, hint: init },
  EXCHANGE_AMBIGUOUS: { exit: 6, hint: init },
  REFRESH_AMBIGUOUS: { exit: 6, hint: `${AGAIN}: it first looks for a newer token` },

  // 7, 8, 9, 10 — calls and saving
  PERMISSION_MISSING: {
    exit: 7,
    hint: (facts) => (facts.scope ? initCommandLine(facts) : 'atproto-oauth init <handle> --scope "atproto …"'),
  },
  XRPC_ERROR: {
    exit: 8,
    hint: ({ status = 0 }) =>
      `correct the request${status >= 500 ? ', or run it again later' : ''}; the session is not the cause`,
  },
  RATE_LIMITED: { exit: 9, hint: `${AGAIN} later` },
  SAVE_FAILED: { exit: 10, hint: 'make room or correct the permissions, then run the same command again' },
  DEADLINE_NEAR: { exit: 11, hint: init },
  INTERRUPTED: { exit: 130, hint: AGAIN },
}

/** How permissions of a resource are written. */
const PERMISSION_FORMS: ReadonlyMap<string, string> = new Map([
  ['atproto', 'write atproto, then a space'],
  ['transition', 'there are transition:generic, transition:email and transition:chat.bsky'],
  ['repo', 'write repo:<collection> or repo:*, and for less than all ?action=create, update or delete'],
  ['rpc', 'write rpc:<method>?aud=* or rpc:*?aud=<did>%23<service>, for one of the two has to be named'],
  ['blob', 'write blob:*/*, blob:image/* or blob:image/png'],
  ['account', 'write account:email or account:repo, and to change it ?action=manage'],
  ['identity', 'write identity:handle or identity:*'],
  ['include', 'write include:<permission set>, and if it asks for one ?aud=<did>%23<service>'],
])

/** What a reason comes to; it is more exact than the code. */
function reasonHint(facts: ErrorFacts & ReasonFacts): string {
  switch (facts.reason) {
    case 'client-document-faulty':
      return `atproto-oauth client check ${shellQuote(facts.clientId)}`
    case 'client-id-differs':
      return `--client-id ${shellQuote(facts.clientId)}`
    case 'client-id-missing':
      return 'set ATPROTO_OAUTH_CLIENT_ID to the exact client_id that the login was made with; a refresh under any other ends the session'
    case 'client-id-superfluous':
      return 'leave --client-id (ATPROTO_OAUTH_CLIENT_ID) out: a loopback client is made anew for each login'
    case 'client-id-unknown':
      return 'set ATPROTO_OAUTH_CLIENT_ID to the client_id of the login'
    case 'client-key-differs':
      return 'set ATPROTO_OAUTH_CLIENT_JWK to the key that belongs to it'
    case 'client-key-foreign':
      return 'publish its public half, or set ATPROTO_OAUTH_CLIENT_JWK to one of theirs'
    case 'client-key-malformed':
      return 'set ATPROTO_OAUTH_CLIENT_JWK to the private JWK of your client, with the kid under which it is published'
    case 'client-key-needed':
      return `set ATPROTO_OAUTH_CLIENT_JWK to the private key that ${facts.clientId} has published as ${facts.kid}`
    case 'client-key-unpublished':
      return 'unset ATPROTO_OAUTH_CLIENT_JWK, or publish its key: client new --confidential'
    case 'client-key-unset':
      return 'set ATPROTO_OAUTH_CLIENT_JWK, then check again'
    case 'client-key-unwanted':
      return 'unset ATPROTO_OAUTH_CLIENT_JWK for this session'
    case 'client-not-confidential':
      return 'add --confidential'
    case 'delivery-pending':
      return 'the next `call` or `refresh` on this machine delivers them first'
    case 'dev-mode-needed':
      return 'for a server on this machine add --dev'
    case 'dotenv-unfit':
      return 'use --format json or --format bundle'
    case 'file-mode':
      return `chmod 600 ${shellQuote(facts.path)}`
    case 'folder-mode':
      return `chmod 700 ${shellQuote(facts.path)}`
    case 'foreign-client-id':
      return 'give the exact client_id that the other program signs in with'
    case 'given-token-refused':
      return `correct ATPROTO_OAUTH_REFRESH_TOKEN, or ${AGAIN}: it uses the stored one`
    case 'handed-over':
      return 'sign out there'
    case 'handle-lookup-failed':
      return 'check the spelling of the handle, and --handle-resolver'
    case 'handle-unclaimed':
      return `give the account the handle ${facts.handle} in its settings, or start from the DID: atproto-oauth init ${facts.did}`
    case 'home-needed':
      return 'say where with ATPROTO_OAUTH_HOME (--home)'
    case 'home-unusable':
      return 'point ATPROTO_OAUTH_HOME (--home) at a folder that you can write to'
    case 'hosted-client-needed':
      return 'add --client-id with the https URL of your client document'
    case 'json-malformed':
      return 'put JSON in single quotes, or write it to a file and use @file'
    case 'json-needed':
      return 'give a file of JSON with -d @FILE'
    case 'kept-with-login':
      return 'correct that, then run the same `complete` again, with the same callback URL'
    case 'keys-would-be-lost':
      return 'add --confidential; or add --force, to begin anew'
    case 'last-key':
      return 'first make another with --add-key'
    case 'leased':
      return `atproto-oauth ${facts.operation}, where the session is kept`
    case 'list-unclear':
      return `add ${facts.lists.map((list) => `--items ${shellQuote(list)}`).join(' or ')}`
    case 'lock-held':
      return `wait for it; if no such process exists any more, remove the folder ${facts.folder}`
    case 'login-completed':
      return 'use the credentials that were printed then, or start again with `init`'
    case 'login-not-found':
      return 'run `complete` with the same ATPROTO_OAUTH_HOME or --state-file as `init`, or start again with `init`'
    case 'loopback-client-id-unusable':
      return 'leave --client-id out: `init` makes such a client_id itself'
    case 'method-misused':
      return callCommandLine(facts)
    case 'method-unavailable':
      return 'with -X it is sent all the same'
    case 'new-token-refused':
      return `check the clock of this machine; if it is right: ${initCommandLine(facts)}`
    case 'newer-token-stored':
      return `atproto-oauth status --account ${facts.did}`
    case 'node-session-expected':
      return 'give what the store has for one DID, as JSON: {"dpopJwk": …, "authMethod": …, "tokenSet": …}'
    case 'origin-unusable':
      return 'give the address of your site, as https://alice.github.io/bot'
    case 'permission-malformed':
      return PERMISSION_FORMS.get(/^[a-z]*/i.exec(facts.permission)![0].toLowerCase()) ?? SCOPE
    case 'proxy-malformed':
      return `set ${facts.variable} to http://host:port`
    case 'record-damaged':
      return damagedHint(facts)
    case 'redirect-uri-needed':
      return 'add --redirect-uri'
    case 'redirect-uri-unusable':
      return `use https, http://127.0.0.1/… or ${facts.scheme}/…`
    case 'refresh-unanswered':
      return 'atproto-oauth refresh'
    case 'service-malformed':
      return 'such as -H "atproto-proxy: did:web:api.bsky.app#bsky_appview"'
    case 'session-elsewhere':
      return `make room or correct the permissions, then: mv '${facts.from}' '${facts.to}'`
    case 'session-not-stored':
      return `make room or correct the permissions, then: ${initCommandLine(facts)}`
    case 'state-file-missing':
      return 'give --state-file as to `init`'
    case 'target-failed':
      return `correct the save target, then ${AGAIN}`
    case 'target-malformed':
      return facts.file === undefined
        ? 'use --save store, --save file:PATH, --save gh:OWNER/REPO or --save exec:COMMAND'
        : `for a file: --save ${shellQuote(`file:${facts.file}`)}`
    case 'target-taken':
      return 'name another place to save to, or move that one away'
    case 'tokens-lost':
      return 'make room or correct the permissions, then sign in again with `init`'
    case 'undelivered':
      return `correct the save target, then ${AGAIN}: it delivers them first`
    case 'undelivered-login':
      return `atproto-oauth refresh --account ${facts.did} --if-older-than 1h`
    case 'workflow-step-needed':
      return 'use --format dotenv outside of GitHub Actions'
  }
}

function damagedHint({ path, kind, isWindows }: Extract<ReasonFacts, { readonly reason: 'record-damaged' }>): string {
  const [move, remove] = isWindows ? ['move', 'del'] : ['mv', 'rm']
  const hint =
    kind === 'sessions'
      ? `put a copy of it back, or move it away: ${move} ${shellQuote(path)} ${shellQuote(`${path}.bad`)}`
      : `${remove} ${shellQuote(path)}`
  return isWindows ? toWindowsQuoting(hint) : hint
}

interface CliErrorDetails extends ErrorDetails {
  /** What to type next, where it is said best by whoever throws. */
  readonly hint?: string | undefined
}

/** An error of the command line itself, which may have its own hint. */
export class CliError extends OAuthError {
  readonly hint: string | undefined

  constructor(code: ErrorCode, message: string, { hint, ...details }: CliErrorDetails = {}) {
    super(code, message, details)
    this.hint = hint
  }

  /** With the same hint, unless there are other facts to make one of. */
  override with(changes: ErrorChanges): CliError {
    const { code, message, cause, facts, session, hasExplicitState } = super.with(changes)
    return new CliError(code, message, {
      cause,
      facts,
      session: hasExplicitState ? session : undefined,
      hint: changes.facts ? undefined : this.hint,
    })
  }
}

/** A finding whose fix can be shown. */
export type Worded<T extends { readonly fix?: Fix | undefined }> = Omit<T, 'fix'> & { readonly fix?: string }

/** A fix that is more than a sentence becomes one, with this program's flags and commands. */
export function worded<T extends { readonly fix?: Fix | undefined }>({ fix, ...rest }: T): Worded<T> {
  return fix === undefined ? rest : { ...rest, fix: typeof fix === 'string' ? fix : hintOf(fix) }
}

/** The exit code of the process. */
export function exitOf({ code }: Pick<OAuthError, 'code'>): Exit {
  return CATALOGUE[code].exit
}

/**
 * What to type next.
 *
 * @param command the one that was running, without the program's name, such as `client new`; nothing if none was
 */
export function hintOf(error: Advice, command = ''): string {
  return sanitize(wordHint(error, command), 4000)
}

function wordHint(error: Advice, command: string): string {
  if (error instanceof CliError && error.hint !== undefined) return error.hint
  const { code, facts } = error
  if (facts.reason !== undefined) return reasonHint(facts)
  const { hint } = CATALOGUE[code]
  return typeof hint === 'string' ? hint : hint(facts, command)
}
