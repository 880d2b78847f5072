/**
 * What an error is to a person at a shell: its exit code, and what to type next. A new code or a new reason
 * without its entry here does not compile.
 */

import { isAbsolute } from 'node:path'
import { SOURCE, secretVariables } from '../credentials/variables.ts'
import type { Fix } from '../errors.ts'
import {
  type Advice,
  type ErrorChanges,
  type ErrorCode,
  type ErrorDetails,
  type ErrorFacts,
  type LoginFacts,
  OAuthError,
  type ReasonFacts,
  type ResponseFacts,
  type StoreTrouble,
} from '../errors.ts'
import { isCode } from '../node/store/file-errors.ts'
import { isPreset } from '../protocol/scope/presets.ts'
import { sanitize } from '../text.ts'
import { callCommandLine, initCommandLine, shellQuote } from './shell.ts'

/** docs/commands.md#errors */
type Exit = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 130
/** Of `run`, whose other exit codes are those of the program that it starts, as with `env`. */
const NOT_STARTED = 125

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
const MAKE_WRITABLE = 'free some disk space or correct the file permissions'
const START_AGAIN = 'move the directory of the store away, and sign in again'
const KEEP_RECORD =
  'undo the change, or sign in again with `init`; do not delete the file, which may hold the only valid token'

/** The same login again if its account is known, otherwise an example. */
const init = (facts: ErrorFacts) => {
  const isKnown = facts.handle !== undefined || facts.did !== undefined || facts.issuer !== undefined
  return isKnown ? initCommandLine(facts) : `sign in with your own handle, as in: ${initCommandLine(facts)}`
}

const account = ({ handle, did }: LoginFacts) => shellQuote(handle ?? did ?? 'alice.bsky.social')

/** The command that was running, with other arguments. */
const running =
  (words: string, otherwise: string) =>
  (_: ErrorFacts, command: string): string =>
    ['atproto-oauth', command || otherwise, words].filter(Boolean).join(' ')

/** By the `error` of the server alone; descriptions are for people (RFC 6749 §5.2). */
const PAR_HINTS: ReadonlyMap<string, string> = new Map([
  [
    'invalid_scope',
    'request fewer permissions with --scope, or add them to the scope of your client metadata document',
  ],
  ['invalid_client_metadata', 'check that the client metadata document at your client_id is public and valid'],
  ['invalid_redirect_uri', 'use a --redirect-uri that the client metadata document lists'],
  ['temporarily_unavailable', `${AGAIN} in a few minutes`],
])

/** Instead of these scopes, what a server may grant that rejected them; instead of any other, the first of these. */
const OTHER_SCOPES: ReadonlyMap<string, string | undefined> = new Map([
  ['atproto transition:generic', 'atproto'],
  ['atproto', undefined],
])

/** A loopback client has no document that could be corrected: only the command line can change. */
function loopbackHint(facts: LoginFacts & ResponseFacts): string {
  const { serverError = '', scope = '' } = facts
  const other = OTHER_SCOPES.has(scope) ? OTHER_SCOPES.get(scope) : 'atproto transition:generic'
  const asksForMuch = ['invalid_scope', 'invalid_client_metadata', 'invalid_request'].includes(serverError)
  if (asksForMuch && other !== undefined) {
    return `request other permissions, as in: ${initCommandLine({ ...facts, scope: other })}`
  }
  if (serverError === 'invalid_redirect_uri') {
    return `omit --redirect-uri: ${initCommandLine({ ...facts, clientId: undefined, redirectUri: undefined })}`
  }
  if (serverError === 'temporarily_unavailable') return PAR_HINTS.get(serverError)!
  return asksForMuch || serverError === 'invalid_client'
    ? 'this server rejects loopback clients: add --client-id with the URL of a hosted client metadata document'
    : doctorHint(facts)
}

/** The checks of every step before a login, where the response of a server does not say what is wrong. */
function doctorHint({ handle, did, issuer, clientId }: LoginFacts): string {
  const account = handle ?? did ?? issuer
  const client = clientId?.startsWith('https:') ? ` --client-id ${shellQuote(clientId)}` : ''
  return `find the cause with: atproto-oauth doctor${account === undefined ? '' : ` ${shellQuote(account)}`}${client}`
}

const PROXY_HINTS: ReadonlyMap<number | undefined, string> = new Map([
  [
    407,
    'put the user name and password into HTTPS_PROXY (http://user:password@proxy.example.com:3128); only Basic authentication is supported, so for NTLM run a local proxy such as cntlm',
  ],
  [403, 'the proxy forbids this host: ask for it to be allowed, or list it in NO_PROXY to connect directly'],
])

/** A function, because most runs print no error, and making the table takes as long as reading the session. */
function catalogue(): Record<ErrorCode, Entry> {
  return {
    // 1 — ours
    UNEXPECTED: { exit: 1, hint: 'run the same command with --verbose and report its output' },

    // 2 — usage: nothing was sent
    USAGE: { exit: 2, hint: running('--help', '') },
    IDENTIFIER_INVALID: {
      exit: 2,
      hint: (facts, command) =>
        running(shellQuote(facts.handle ?? facts.did ?? 'alice.bsky.social'), 'init')(facts, command),
    },
    DID_METHOD_UNSUPPORTED: {
      exit: 2,
      hint: ({ did }) =>
        did?.startsWith('did:plc:')
          ? 'check the spelling of the DID (did:plc: and 24 characters of a-z and 2-7), or use the handle of the account'
          : 'use a handle, a did:plc or a did:web',
    },
    CLIENT_INVALID: { exit: 2, hint: running('--help', 'init') },
    SCOPE_INVALID: {
      exit: 2,
      hint: ({ scope }) => (scope === undefined ? SCOPE : `write it as --scope "${scope}"`),
    },
    NSID_INVALID: { exit: 2, hint: 'atproto-oauth call com.atproto.server.getSession' },
    CALLBACK_UNREADABLE: {
      exit: 2,
      hint: 'sign in, copy the whole URL from the browser’s address bar, and paste it into: atproto-oauth complete',
    },
    CALLBACK_INCOMPLETE: {
      exit: 2,
      hint: 'nothing was sent; a shell cuts an unquoted URL at the first &, so paste the whole URL into: atproto-oauth complete',
    },
    CREDENTIALS_INCOMPLETE: { exit: 2, hint: 'set the missing variables to the values that `complete` printed' },
    CREDENTIALS_INVALID: { exit: 2, hint: 'set the variable to exactly the value that `complete` printed' },
    CREDENTIALS_MISMATCH: { exit: 2, hint: 'set all variables to the output of the same `complete`' },
    SOURCE_FAILED: {
      exit: 2,
      hint: `run the command of ${SOURCE} by itself: it has to exit with 0, and to print what \`complete\` printed`,
    },
    SAVE_TARGET_MISSING: {
      exit: 2,
      hint: 'add --save gh:OWNER/REPO, --save file:PATH or --save exec:COMMAND; if ATPROTO_OAUTH_HOME is kept between jobs, --save store',
    },
    ACCOUNT_UNCLEAR: {
      exit: 2,
      hint: ({ handle, did }) =>
        `choose one of the accounts, as in: --account ${account({ handle, did })}; or always use it: atproto-oauth accounts use ${account({ handle, did })}`,
    },
    SETTING_MISSING: { exit: 2, hint: 'atproto-oauth config set --help' },
    STORE_INVALID: { exit: 2, hint: KEEP_RECORD },
    STORE_LOCKED: { exit: 2, hint: `unlock the keychain, then ${AGAIN}` },
    STORE_UNAVAILABLE: { exit: 2, hint: `${MAKE_WRITABLE}, then ${AGAIN}` },

    // 3 — before anything was consumed
    NETWORK_UNREACHABLE: { exit: 3, hint: `check the network connection, then ${AGAIN}` },
    NETWORK_LOST: { exit: 3, hint: AGAIN },
    HOST_NOT_FOUND: {
      exit: 3,
      hint: (_, command) =>
        NAMES_HOSTS.has(command)
          ? 'check the spelling of the host name, and the network connection'
          : 'check the network connection, then: atproto-oauth doctor',
    },
    HANDLE_LOOKUP_FAILED: { exit: 3, hint: `check the network connection, then ${AGAIN}` },
    SERVER_UNAVAILABLE: { exit: 3, hint: `${AGAIN} in a few minutes` },
    SESSION_BUSY: { exit: 3, hint: `${AGAIN} when the other process has finished` },
    VAULT_UNREACHABLE: { exit: 3, hint: `check the network connection, then ${AGAIN}` },

    // 4 — refused, by the server or by a check of ours
    ADDRESS_REFUSED: { exit: 4, hint: 'for a server on this machine or network, add --dev' },
    HANDLE_NOT_FOUND: { exit: 4, hint: 'check the spelling of the handle, or use the DID of the account instead' },
    HANDLE_AMBIGUOUS: {
      exit: 4,
      hint: 'remove the wrong _atproto TXT record, or use the DID of the account instead of the handle',
    },
    HANDLE_NOT_CLAIMED: {
      exit: 4,
      hint: ({ did }) =>
        did === undefined
          ? 'use the DID of the account instead of the handle'
          : `if this is your account: atproto-oauth init ${did}`,
    },
    DID_NOT_FOUND: { exit: 4, hint: 'check the spelling of the DID, and --plc-url if you set it' },
    DID_DOCUMENT_INVALID: { exit: 4, hint: 'the DID document of the account must be repaired first' },
    OAUTH_UNSUPPORTED: { exit: 4, hint: 'the server of this account must be updated to support OAuth' },
    METADATA_INVALID: { exit: 4, hint: 'report this to the operator of the server' },
    RESPONSE_INVALID: { exit: 4, hint: 'report this to the operator of the server' },
    CLIENT_BROKEN: { exit: 4, hint: `correct and publish the client metadata document, then ${AGAIN}` },
    PERMISSION_SET_UNRESOLVED: {
      exit: 4,
      hint: 'check the name after include: in --scope, or list the permissions themselves there',
    },
    PAR_REFUSED: { exit: 4, hint: (facts) => PAR_HINTS.get(facts.serverError ?? '') ?? doctorHint(facts) },
    DPOP_URL_INVALID: { exit: 4, hint: 'report this to the operator of the server' },
    DPOP_NONCE_INVALID: { exit: 4, hint: 'report this to the operator of the server' },
    CALLBACK_STATE_UNKNOWN: { exit: 4, hint: init },
    CALLBACK_REFUSED: {
      exit: 4,
      hint: 'nothing was sent: paste the callback URL of this login into: atproto-oauth complete',
    },
    AUTHORIZATION_DENIED: { exit: 4, hint: init },
    AUTHORIZATION_EXPIRED: { exit: 4, hint: init },
    CODE_USED: { exit: 4, hint: init },
    EXCHANGE_REFUSED: { exit: 4, hint: init },
    TOKEN_RESPONSE_INVALID: { exit: 4, hint: init },
    ACCOUNT_MISMATCH: { exit: 4, hint: init },
    ACCOUNT_UNVERIFIED: { exit: 4, hint: init },
    ISSUER_MISMATCH: { exit: 4, hint: init },
    REVOCATION_UNCONFIRMED: {
      exit: 4,
      hint: 'remove the app in the settings of the account, or wait until the session expires',
    },
    DOCTOR_FOUND: { exit: 4, hint: `fix the lines marked xx, then ${AGAIN}` },
    REFRESH_REFUSED: { exit: 4, hint: AGAIN },
    VAULT_REFUSED: { exit: 4, hint: 'find the cause with: atproto-oauth vault check' },

    COPIES_DIFFER: { exit: 2, hint: 'remove the older copy' },
    SESSION_OUTDATED: { exit: 2, hint: init },
    STORE_COPIED: { exit: 2, hint: 'atproto-oauth refresh --adopt' },
    VAULT_INVALID: { exit: 2, hint: 'find the cause with: atproto-oauth vault check' },
    VAULT_KEY_WRONG: { exit: 2, hint: 'set ATPROTO_OAUTH_VAULT_KEY to the key of this vault' },

    // 5, 6 — the session
    SESSION_MISSING: { exit: 5, hint: initCommandLine },
    SESSION_DEAD: { exit: 5, hint: init },
    SESSION_NOT_REFRESHABLE: { exit: 5, hint: init },
    EXCHANGE_AMBIGUOUS: { exit: 6, hint: init },
    REFRESH_AMBIGUOUS: { exit: 6, hint: `${AGAIN}: it first checks for a newer token` },

    // 7, 8, 9, 10 — calls and saving
    PERMISSION_MISSING: {
      exit: 7,
      hint: (facts) =>
        facts.scope ? init(facts) : 'sign in again with a --scope that includes the missing permission',
    },
    XRPC_ERROR: {
      exit: 8,
      hint: ({ status = 0 }) =>
        status === 501
          ? 'check the spelling of the method; the published ones are listed by: atproto-oauth call --list'
          : status >= 500
            ? status === 500
              ? `check the values of the request, or ${AGAIN} later; the server failed`
              : `${AGAIN} later; the server failed`
            : status === 413
              ? 'send less: the server limits the size of a request; the session is not the cause'
              : 'correct the request; the session is not the cause',
    },
    RATE_LIMITED: {
      exit: 9,
      hint: (_, command) => (command === 'call' ? `${AGAIN} later, or add --wait` : `${AGAIN} later`),
    },
    OUTPUT_FAILED: { exit: 10, hint: 'free some disk space, or write the output somewhere else' },
    SAVE_FAILED: { exit: 10, hint: `${MAKE_WRITABLE}, then ${AGAIN}` },
    DEADLINE_NEAR: { exit: 11, hint: init },
    INTERRUPTED: { exit: 130, hint: AGAIN },
  }
}

/** Commands with a host in their arguments; the others get theirs from a session. */
const NAMES_HOSTS: ReadonlySet<string> = new Set(['', 'init', 'login', 'doctor', 'client check', 'client new'])

/** Commands whose argument is an account or a server. */
const NAMES_ACCOUNT: ReadonlySet<string> = new Set(['init', 'login', 'doctor'])

/** How a permission of this kind is written. */
export function permissionForm(permission: string): string | undefined {
  return PERMISSION_FORMS.get(/^[a-z]*/i.exec(permission)![0].toLowerCase())
}

/** The syntax of permissions, by resource. */
const PERMISSION_FORMS: ReadonlyMap<string, string> = new Map([
  ['atproto', 'write atproto in lower case, followed by a space'],
  ['transition', 'use transition:generic, transition:email or transition:chat.bsky'],
  [
    'repo',
    'write it as repo:app.bsky.feed.post or repo:*, optionally followed by ?action=create (or update, or delete)',
  ],
  ['rpc', 'write it as rpc:app.bsky.actor.getProfile?aud=* or rpc:*?aud=did:web:api.bsky.app%23bsky_appview'],
  ['blob', 'write it as blob:*/*, blob:image/* or blob:image/png'],
  ['account', 'write it as account:email or account:repo, followed by ?action=manage to change it'],
  ['identity', 'write it as identity:handle or identity:*'],
  [
    'include',
    'write it as include:app.bsky.authFullApp, or with ?aud=did:web:api.bsky.app%23bsky_appview if the permission set needs one',
  ],
])

/** The hint of a reason, which is more exact than that of its code. */
function reasonHint(facts: ErrorFacts & ReasonFacts, command: string, isAccountGiven: boolean): string {
  switch (facts.reason) {
    case 'access-missing':
    case 'directory-expected':
    case 'directory-foreign':
    case 'directory-missing':
    case 'disk-full':
    case 'file-expected':
    case 'file-immutable':
    case 'file-mounted':
    case 'file-size-limited':
    case 'file-system-read-only':
    case 'owner-foreign':
      return storeHint(facts, command)
    case 'account-deactivated':
      return `reactivate the account with its password, in an app such as https://bsky.app or in the account settings of ${facts.pds}; an OAuth session cannot`
    case 'account-moved':
      return `sign in at the new PDS: ${initCommandLine(facts)}`
    case 'account-moved-within-issuer':
      return `atproto-oauth refresh --account ${shellQuote(facts.did)}`
    case 'account-taken-down':
      return `only the operator of ${facts.pds} can restore the account; their contact: atproto-oauth call com.atproto.server.describeServer`
    case 'account-unclear':
      return `find out where the account is: atproto-oauth doctor ${shellQuote(facts.did)}`
    case 'app-view-missing':
      return 'if no AppView is behind this PDS, send the request to one: add --proxy appview'
    case 'audience-bare':
      return `name the service, as in aud=${shellQuote(facts.audience ?? 'did:web:api.bsky.app#bsky_appview')} (PDS 0.5.1 and newer), or sign in for all services: ${init(facts)}`
    case 'client-document-faulty':
      return `atproto-oauth client check ${shellQuote(facts.clientId)}`
    case 'client-rejected':
      return facts.clientId.startsWith('https:')
        ? `servers may keep a client metadata document for 10 minutes; check yours: atproto-oauth client check ${shellQuote(facts.clientId)}`
        : init(facts)
    case 'code-rejected':
      return 'the login is still open: copy the whole callback URL again, and paste it into: atproto-oauth complete'
    case 'exported':
      return `use the session in the other program, or sign in here too: ${initCommandLine(facts)}`
    case 'http1-unsupported':
      return 'enable HTTP/1.1 on the server, or on the reverse proxy in front of it'
    case 'prompt-unsupported':
      return 'create the account with an app or on a website, then omit --prompt'
    case 'request-too-large':
      return 'request fewer permissions with --scope, or a permission set (include:) in their place'
    case 'pds-not-found':
      return `check the network connection, then: atproto-oauth doctor ${shellQuote(facts.handle ?? facts.did)}`
    case 'client-id-differs':
      return `add --client-id ${shellQuote(facts.clientId)}`
    case 'client-id-missing':
      return 'set ATPROTO_OAUTH_CLIENT_ID to the exact client_id of the login; a refresh with any other ends the session'
    case 'client-id-superfluous':
      return 'omit --client-id (ATPROTO_OAUTH_CLIENT_ID): each login creates its own loopback client_id'
    case 'client-id-unknown':
      return 'set ATPROTO_OAUTH_CLIENT_ID to the client_id of the login'
    case 'client-key-differs':
      return 'set ATPROTO_OAUTH_CLIENT_JWK to the private key of the published key with the same kid'
    case 'client-key-foreign':
      return 'publish its public key in the client metadata document, or set ATPROTO_OAUTH_CLIENT_JWK to a key that is published there'
    case 'client-key-malformed':
      return 'set ATPROTO_OAUTH_CLIENT_JWK to the private JWK of your client, including its kid'
    case 'client-key-needed':
      return `set ATPROTO_OAUTH_CLIENT_JWK to the private key that ${facts.clientId} publishes with the kid ${facts.kid}; if that key is retired, sign in again`
    case 'client-key-retired':
      return `the key ${facts.kid} is retired: publish it again, or sign in again: ${initCommandLine(facts)}`
    case 'client-key-unpublished':
      return 'unset ATPROTO_OAUTH_CLIENT_JWK, or make the client confidential with `client new --confidential`'
    case 'client-key-unset':
      return `set ATPROTO_OAUTH_CLIENT_JWK to the private key of the client, then ${AGAIN}`
    case 'client-key-unwanted':
      return 'unset ATPROTO_OAUTH_CLIENT_JWK for this session'
    case 'client-not-confidential':
      return 'add --confidential'
    case 'delivery-pending':
      return `to save them now: atproto-oauth refresh --account ${facts.did} --if-older-than 1h`
    case 'dev-mode-needed':
      return 'for a server on this machine, add --dev'
    case 'dotenv-unfit':
      return 'use --format json or --format bundle'
    case 'file-mode':
      return `chmod 600 ${shellQuote(facts.path)}`
    case 'folder-missing':
      return `mkdir -p ${shellQuote(facts.path)}`
    case 'folder-mode':
      return `chmod 700 ${shellQuote(facts.path)}`
    case 'foreign-client-id':
      return 'pass the exact client_id of the other program with --client-id'
    case 'given-token-refused':
      return `correct ATPROTO_OAUTH_REFRESH_TOKEN, or ${AGAIN} to use the stored token`
    case 'handed-over':
      return 'sign out in the other program'
    case 'handle-lookup-failed':
      return 'check the spelling of the handle, and --handle-resolver if you set it; a deactivated account can be checked by its DID'
    case 'handle-unclaimed':
      return `set the handle of the account to ${facts.handle} in its settings, or use the DID: atproto-oauth init ${facts.did}`
    case 'home-needed':
      return 'set ATPROTO_OAUTH_HOME (--home) to a directory for the sessions'
    case 'hosted-client-needed':
      return 'add --client-id with the https URL of your client metadata document'
    case 'identifier-email':
      return command === 'doctor'
        ? 'use the handle, as in: atproto-oauth doctor alice.bsky.social'
        : `use the handle, or type the e-mail address on the sign-in page of your server: atproto-oauth ${command === 'login' ? command : 'init'} https://bsky.social`
    case 'identifier-meant':
      return `atproto-oauth ${NAMES_ACCOUNT.has(command) ? command : 'init'} ${shellQuote(facts.identifier)}`
    case 'json-malformed':
      return `write names and text in double quotes, and the whole JSON in single quotes, as in: '{"text":"hello"}'`
    case 'json-needed':
      return 'pass a JSON file, as in: -d @body.json'
    case 'kept-with-login':
      return 'fix the cause, then run the same `complete` again with the same callback URL'
    case 'keys-would-be-lost':
      return 'add --confidential to keep the keys, or --force to discard them'
    case 'last-key':
      return 'add another key first with --add-key'
    case 'file-irregular':
      return STORED.test(facts.path)
        ? `rename ${shellQuote(facts.path)} to make room for a file, then ${AGAIN}`
        : `use another path: ${shellQuote(facts.path)} has to be a regular file`
    case 'kubernetes-volume':
      return 'use a path on a persistent volume, or update the secret itself with --save exec:COMMAND'
    case 'setting-invalid':
      return `correct it with \`atproto-oauth config set\`, or remove it: atproto-oauth config unset ${facts.key}`
    case 'settings-damaged':
      return `correct the file, or delete it to start without settings: rm ${shellQuote(facts.path)}`
    case 'link-unsupported':
      return `replace the link with the file that it points to: mv "$(readlink -f ${shellQuote(facts.path)})" ${shellQuote(facts.path)}`
    case 'leased':
      return `run \`atproto-oauth ${facts.operation}\` on the machine that keeps the session`
    case 'list-unclear':
      return `add ${facts.lists.map((list) => `--items ${shellQuote(list)}`).join(' or ')}`
    case 'loopback-client-refused':
      return loopbackHint(facts)
    case 'proxy-refused':
      return (
        PROXY_HINTS.get(facts.proxyStatus) ??
        'check HTTPS_PROXY (HTTP_PROXY for http:), or list the host in NO_PROXY to connect to it directly'
      )
    case 'proxy-unreachable':
      return 'check HTTPS_PROXY and HTTP_PROXY, and whether the proxy is running'
    case 'certificate-untrusted':
      return `set NODE_EXTRA_CA_CERTS to a PEM file with the certificate of the CA, then ${AGAIN}`
    case 'lock-held':
      return `wait for the other process; if it no longer exists, remove the directory ${facts.folder}`
    case 'lock-lost':
      return AGAIN
    case 'copy-outdated':
      return `restore the newest copy of the session, or sign in again: ${initCommandLine(facts)}`
    case 'revoked':
      return `unset ${secretVariables(facts.bundled)}; if no other session is stored here, sign in again: ${initCommandLine(facts)}`
    case 'store-copied':
      return 'if several machines share this store, use --shared instead of --adopt; once the other machine no longer uses it: atproto-oauth refresh --adopt'
    case 'copies-differ':
      return facts.rotation === undefined
        ? `remove the older copy; that of the store is the file sessions/${facts.thumbprint}.json in its directory`
        : `remove the older copy, or set ATPROTO_OAUTH_ROTATION=${facts.rotation} together with the newer one`
    case 'vault-address-malformed':
      return facts.meant !== undefined
        ? `write it as ${shellQuote(facts.meant)}`
        : 'write it as git:https://github.com/OWNER/REPO, git:. for the repository you are in, or redis://HOST:PORT'
    case 'vault-address-secret':
      return 'remove user name and password from the address, and set ATPROTO_OAUTH_VAULT_TOKEN to the password or token'
    case 'in-vault':
      return 'remove the old credentials here; with the vault set, commands find the session there: atproto-oauth status'
    case 'moving-to-vault':
      return 'finish it with: atproto-oauth refresh --save vault'
    case 'vault-only':
      return 'omit --save and ATPROTO_OAUTH_SAVE; other machines need the address and the key of the vault only'
    case 'vault-exists':
      return `if its key is lost, add --replace; to use it here: atproto-oauth vault use ${shellQuote(facts.address)}`
    case 'vault-not-found':
      return `check the address, or create a vault there: atproto-oauth vault new ${shellQuote(facts.address)}`
    case 'vault-moved':
      return `use the new address: atproto-oauth vault use ${shellQuote(facts.address)}; where ATPROTO_OAUTH_VAULT is set, set it to that address`
    case 'vault-move-unfinished':
      return `finish it: ATPROTO_OAUTH_VAULT=${shellQuote(facts.from)} atproto-oauth vault move ${shellQuote(facts.address)}`
    case 'vault-foreign':
    case 'vault-target-taken':
      return `choose an unused address, such as ${shellQuote(unusedAddress(facts.address))}`
    case 'vault-copied':
      return 'use the address that the vault was made for; two copies of a session would end it'
    case 'vault-damaged':
      return 'restore the branch or database as it was before the last change, or sign in again with --save vault'
    case 'vault-unset':
      return 'create one, as in: atproto-oauth vault new git:https://github.com/OWNER/REPO'
    case 'vault-key-missing':
      return `set ATPROTO_OAUTH_VAULT_KEY, or enter the key once with: atproto-oauth vault use ${shellQuote(facts.address)}`
    case 'vault-key-malformed':
      return 'copy the whole key again: it has 43 letters, digits, - and _; on a machine that has it: atproto-oauth vault key'
    case 'vault-key-wrong':
      return 'on a machine that uses this vault, print its key with: atproto-oauth vault key'
    case 'vault-key-replaced':
      return `print the new key on a machine that has it: atproto-oauth vault key; then enter it here: atproto-oauth vault use ${shellQuote(facts.address)}`
    case 'vault-rekey-begun':
      return `run it on the machine that began to replace the key, or enter the new key here with: atproto-oauth vault use ${shellQuote(facts.address)}`
    case 'vault-lost':
      return `to store it there again, on the machine that refreshed last: atproto-oauth refresh --account ${shellQuote(facts.account)}; to give it up: atproto-oauth vault new ${shellQuote(facts.address)} --replace`
    case 'vault-rekey-unfinished':
      return 'finish it first: atproto-oauth vault rekey --finish'
    case 'vault-newer':
      return 'update this tool: npx atproto-oauth@latest'
    case 'git-missing':
      return 'install git, as in: apt-get install git'
    case 'git-outdated':
      return 'install git 2.20 or newer'
    case 'git-remote-missing':
      return 'run this inside a clone with a remote, or name the repository: git:https://github.com/OWNER/REPO'
    case 'vault-read-denied':
      return `check the address, and that git can read it here: git ls-remote ${shellQuote(facts.address.replace(/^git:|#.*/g, ''))}; in a job, set GITHUB_TOKEN on GitHub, else ATPROTO_OAUTH_VAULT_TOKEN`
    case 'vault-write-denied':
      return 'use credentials that may push; in GitHub Actions: permissions: contents: write'
    case 'vault-branch-protected':
      return `exclude the branch of the vault from the rule, or choose another branch, such as ${shellQuote(unusedAddress(facts.address))}`
    case 'vault-signature-required':
      return 'exclude the branch of the vault from the rule: its commits are made by machines, and are not signed'
    case 'redis-address-malformed':
      return 'write it as redis://HOST:PORT, or rediss:// for TLS; percent-encode user and password, or set ATPROTO_OAUTH_VAULT_TOKEN to the password'
    case 'redis-login-refused':
      return `set ATPROTO_OAUTH_VAULT_TOKEN to the password, or put user and password into the address: atproto-oauth ${command === 'vault new' ? command : 'vault use'} ${shellQuote(facts.address.replace('://', '://USER:PASSWORD@'))}`
    case 'redis-protected':
      return 'set a password in the configuration of the server (requirepass), and use it here'
    case 'redis-permission-missing':
      return 'grant them with ACL SETUSER: ~atproto-oauth:* (the prefix) +eval +evalsha +hget +hset +hdel +hgetall +hkeys +hello +select +waitaof'
    case 'redis-replica':
      return 'use the address of the primary'
    case 'redis-cluster-node':
      return 'use the address of the node that has the vault, which the message names'
    case 'redis-database-unknown':
      return 'choose a lower number after the host, or none, as in: redis://HOST:PORT'
    case 'redis-memory-full':
      return 'raise maxmemory, or delete what is not needed there'
    case 'redis-disk-failed':
      return 'find the cause in the log of the server, such as a full disk'
    case 'redis-replicas-missing':
      return 'start the replicas, or lower min-replicas-to-write'
    case 'redis-expected':
      return 'check host and port; a server that expects TLS needs rediss://, and one without TLS redis://'
    case 'redis-evicting':
      return 'set maxmemory-policy noeviction, or use a server that is not a cache'
    case 'redis-not-durable':
      return 'set appendonly yes; before Redis 7.2 and Valkey 7.2, also appendfsync always'
    case 'ended-elsewhere':
      return init(facts)
    case 'tokens-elsewhere':
      return `run any command on ${facts.label}, which stores the new tokens; if that machine is gone, sign in again`
    case 'login-completed':
      return 'use the credentials that `complete` printed or saved then, or sign in again with `init`'
    case 'login-not-found':
      return 'run `complete` with the same ATPROTO_OAUTH_HOME or --state-file as `init`, or sign in again with `init`'
    case 'loopback-client-id-unusable':
      return 'omit --client-id: `init` creates a loopback client_id itself'
    case 'method-misspelt':
      return `write ${facts.meant}; to send the method as written, add -X with its HTTP method, as in: -X GET`
    case 'media-type-unclear':
      return "write the media type of the file, as in: -H 'content-type: image/png'"
    case 'method-misused':
      return callCommandLine(facts)
    case 'method-unavailable':
      return 'use a sign-in with that password, as in an app or in the account settings of the PDS'
    case 'new-token-refused':
      return `${facts.isClockRight ? '' : 'check the clock of this machine; if it is right, '}find out whether the session has ended: atproto-oauth refresh`
    case 'account-in-vault':
      return `use the session in the vault, or end it first: atproto-oauth revoke --account ${shellQuote(facts.handle ?? facts.did)}`
    case 'newer-token-stored':
      return `atproto-oauth status --account ${facts.did}`
    case 'node-session-expected':
      return 'pass the stored value of one account: a JSON object with the members dpopJwk, authMethod and tokenSet'
    case 'origin-unusable':
      return 'pass the https URL of your site, as in: --origin https://alice.github.io/bot'
    case 'permission-malformed':
      if (isPreset(facts.permission)) return `request it as a task: --for ${facts.permission}`
      return (
        permissionForm(facts.permission) ??
        `see how permissions are written: atproto-oauth scope explain ${shellQuote(facts.permission)}`
      )
    case 'permission-set-broken':
      if (facts.step === 'server') {
        return `servers keep what they have read for some minutes: run the same command again later, or find the cause with: atproto-oauth scope resolve ${shellQuote(facts.nsid)}`
      }
      return `correct the name ${facts.nsid} in --scope, or list the permissions themselves there; for the author of the set: atproto-oauth scope resolve ${shellQuote(facts.nsid)}`
    case 'proof-url-meant':
      return `atproto-oauth proof ${facts.method} ${shellQuote(facts.url)}`
    case 'proxy-password-unencoded':
      return `percent-encode the user name and the password in ${facts.variable}: # is %23, % is %25, / is %2F, ? is %3F, @ is %40, \\ is %5C`
    case 'proxy-malformed':
      return `set ${facts.variable} to the URL of an HTTP proxy, such as http://127.0.0.1:3128`
    case 'record-damaged':
      if (facts.kind === 'sessions') return KEEP_RECORD
      if (facts.kind === 'client-key') {
        return 'remove the file, and set ATPROTO_OAUTH_CLIENT_JWK to the private key of the client'
      }
      return facts.kind === 'vault'
        ? 'undo the change; the file may hold the only key of the vault. With another copy of the key, move the file away, then enter the vault again, as in: atproto-oauth vault use git:https://github.com/OWNER/REPO'
        : 'undo the change, or start the login again with `init`'
    case 'redirect-host-localhost':
    case 'redirect-uri-completed':
      return `write it as --redirect-uri ${shellQuote(facts.redirectUri ?? 'http://127.0.0.1/callback')}`
    case 'redirect-uri-needed':
      return 'add --redirect-uri with one of the redirect_uris of the client metadata document'
    case 'redirect-uri-unusable':
      return `use a redirect URI that begins with https:, http://127.0.0.1/ or ${facts.scheme}/`
    case 'refresh-unanswered':
      return `atproto-oauth refresh --account ${facts.did}`
    case 'websocket-needed':
      return 'use a WebSocket client, such as websocat'
    case 'service-malformed':
      return 'write it as -H "atproto-proxy: did:web:api.bsky.app#bsky_appview"'
    case 'session-elsewhere':
      return `${MAKE_WRITABLE}, then ${AGAIN}, which moves the session back; until then, keep ${facts.from}`
    case 'session-not-stored':
      return `${MAKE_WRITABLE}, then: ${initCommandLine(facts)}`
    case 'store-excluded':
      return 'add --save file:PATH, --save gh:OWNER/REPO or --save exec:COMMAND, or omit --no-store (ATPROTO_OAUTH_NO_STORE)'
    case 'token-elsewhere':
      return elsewhereHint(facts.targets, isAccountGiven)
    case 'state-file-foreign':
      return 'pass another --state-file'
    case 'state-file-missing':
      return 'pass the path that `init --state-file` wrote to; if that file is gone, sign in again with `init`'
    case 'source-malformed':
      return `write it as in: ${SOURCE}='exec:pass show atproto/alice'`
    case 'target-failed':
      return `correct the save target, then ${AGAIN}`
    case 'target-malformed':
      if (facts.targets !== undefined) {
        return `write it as ${facts.targets.map((target) => `--save ${shellQuote(target)}`).join(' ')}`
      }
      return facts.file === undefined
        ? 'use --save store, --save vault, --save file:PATH, --save gh:OWNER/REPO or --save exec:COMMAND'
        : `for a file: --save ${shellQuote(`file:${facts.file}`)}`
    case 'target-taken':
      return 'choose another save target'
    case 'tokens-lost':
      return `${MAKE_WRITABLE}, then sign in again with \`init\``
    case 'undelivered':
      return `correct the save target, then ${AGAIN}: it saves them first; to give that target up, add --save store`
    case 'undelivered-login':
      return `atproto-oauth refresh --account ${facts.did} --if-older-than 1h`
    case 'store-key-missing':
      return 'set ATPROTO_OAUTH_STORE_KEY to the passphrase of the store, or run the command at a terminal, which asks for it'
    case 'store-key-wrong':
      return `correct ATPROTO_OAUTH_STORE_KEY, or unset it to be asked at a terminal; if it is forgotten, the sessions are lost: ${START_AGAIN}`
    case 'keychain-locked':
      return `unlock the keychain, or sign in to the desktop of this machine, then ${AGAIN}`
    case 'keychain-missing':
      return `start the keychain of this system; on Linux, install secret-tool (libsecret-tools) and run a Secret Service such as gnome-keyring`
    case 'keychain-entry-missing':
      return `run this as the user and on the machine that encrypted the store; if its keychain is lost, the sessions are lost: ${START_AGAIN}`
    case 'store-encryption-damaged':
    case 'store-encryption-foreign':
      return `restore store-encryption.json from a backup; without it the sessions are lost: ${START_AGAIN}`
    case 'store-encryption-differs':
      return `atproto-oauth config set encrypt-store ${facts.mode}`
    case 'store-encryption-newer':
      return 'update this tool: npx atproto-oauth@latest'
    case 'working-directory-gone':
      return 'change to a directory that exists, or use an absolute path'
    case 'workflow-step-needed':
      return 'use --format dotenv outside GitHub Actions'
  }
}

/** Another branch of the same repository, or another prefix at the same server. */
function unusedAddress(address: string): string {
  const [place = '', branch = 'atproto-oauth'] = address.split('#')
  if (address.startsWith('git:')) return `${place}#${branch}-2`
  const [server, prefix = 'atproto-oauth:'] = address.split('?prefix=')
  return `${server}?prefix=${prefix.replace(/:?$/, '-2:')}`
}

/** A file of the store, which cannot have another path. */
const STORED = /[/\\](?:(?:sessions|pending)[/\\][\w-]+\.json|machine\.json)$/

/** What to do about an input file that cannot be read. */
export function unreadableFileHint(path: string, error: unknown, folder: string): string {
  if (isCode(error, 'ENOENT', 'ENOTDIR')) {
    if (/^https?:\/\//i.test(path)) return `download it first: curl -fsSLO ${shellQuote(path)}`
    if (path.startsWith('@')) return `omit the @: ${shellQuote(path.slice(1))}`
    if (path.startsWith('~')) return 'write $HOME in place of ~, which the shell expands only at the start of a word'
    return isAbsolute(path) ? 'correct the path' : `correct the path, which is relative to ${folder}`
  }
  if (isCode(error, 'EISDIR')) return 'name a file in this directory'
  if (isCode(error, 'EACCES', 'EPERM')) return 'correct the permissions of the file'
  return 'check the disk or the network share, then run the same command again'
}

/** With `--account`, a stored session is used, whatever the variables hold. */
function elsewhereHint(targets: readonly string[], isAccountGiven: boolean): string {
  const again = `run the same command ${isAccountGiven ? 'without --account' : 'again'}`
  const file = targets.find((name) => name.startsWith('file:'))?.slice('file:'.length)
  if (file !== undefined) {
    return `load it, then ${again}: set -a; . ${shellQuote(file)}; set +a`
  }
  const where = targets.length > 0 ? `in ${targets.join(' and ')}` : 'in the save target'
  return `set the variables to the credentials ${where}, then ${again}`
}

function storeHint(facts: StoreTrouble, command: string): string {
  // Only a login may begin in another store: with a session, that would send a token that the first store has spent.
  if (facts.isEmpty && (command === 'init' || command === 'login')) {
    return 'set ATPROTO_OAUTH_HOME (--home) to a writable directory'
  }
  const path = shellQuote(facts.path)
  switch (facts.reason) {
    case 'access-missing':
      return `chmod u+rwX ${path}`
    case 'directory-expected':
      return `rename ${path} to make room for a directory, then ${AGAIN}`
    case 'directory-foreign':
      return `ask ${facts.owner} for write access to ${path}, then ${AGAIN}`
    case 'directory-missing':
      return `sudo install -d -m 700 -o "$(id -un)" ${path}`
    case 'file-expected':
      return `rename ${path} to make room for a file, then ${AGAIN}`
    case 'disk-full':
      return `free some disk space, then ${AGAIN}`
    case 'file-immutable':
      return `sudo chattr -i ${path}`
    case 'file-mounted':
      return `mount the directory of ${path} instead of the file, then ${AGAIN}`
    case 'file-size-limited':
      return `raise the file size limit (ulimit -f), then ${AGAIN}`
    case 'file-system-read-only':
      return `mount the file system of ${path} writable, then ${AGAIN}`
    case 'owner-foreign':
      // What another person owns is not taken from them.
      return facts.owner === 'root' ? `sudo chown -R "$(id -un)" ${path}` : `run the command as ${facts.owner}`
  }
}

interface CliErrorDetails extends ErrorDetails {
  /** The next command or instruction, where the code and the facts do not determine it. */
  readonly hint?: string | undefined
  /** Where the code does not determine the exit code. */
  readonly exit?: number | undefined
}

/** An error of the command line itself, which may have its own hint and exit code. */
export class CliError extends OAuthError {
  readonly hint: string | undefined
  readonly exit: number | undefined

  constructor(code: ErrorCode, message: string, { hint, exit, ...details }: CliErrorDetails = {}) {
    super(code, message, details)
    this.hint = hint
    this.exit = exit
  }

  /** Keeps the hint unless the facts change: a hint is about the facts. */
  override with(changes: ErrorChanges): CliError {
    const { code, message, cause, facts, session, hasExplicitState } = super.with(changes)
    return new CliError(code, message, {
      cause,
      facts,
      session: hasExplicitState ? session : undefined,
      hint: changes.facts ? undefined : this.hint,
      exit: this.exit,
    })
  }
}

/** A finding whose fix can be shown. */
export type Worded<T extends { readonly fix?: Fix | undefined }> = Omit<T, 'fix'> & { readonly fix?: string }

/** A fix that is more than a sentence becomes one, with this program's flags and commands. */
export function worded<T extends { readonly fix?: Fix | undefined }>({ fix, ...rest }: T): Worded<T> {
  return fix === undefined ? rest : { ...rest, fix: typeof fix === 'string' ? fix : hintOf(fix) }
}

/**
 * The exit code of the process.
 *
 * @param command the one that was running, as in {@link hintOf}
 */
export function exitOf(error: Pick<OAuthError, 'code'>, command = ''): number {
  if (error instanceof CliError && error.exit !== undefined) return error.exit
  return command === 'run' ? NOT_STARTED : catalogue()[error.code].exit
}

/**
 * What to type next.
 *
 * @param command the one that was running, without the program's name, such as `client new`; nothing if none was
 * @param isAccountGiven whether it has the option `--account`
 */
export function hintOf(error: Advice, command = '', isAccountGiven = false): string {
  return sanitize(wordHint(error, command, isAccountGiven), 4000)
}

function wordHint(error: Advice, command: string, isAccountGiven: boolean): string {
  if (error instanceof CliError && error.hint !== undefined) return error.hint
  const { code, facts } = error
  if (facts.reason !== undefined) return reasonHint(facts, command, isAccountGiven)
  const { hint } = catalogue()[code]
  return typeof hint === 'string' ? hint : hint(facts, command)
}
