import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { CliError, exitOf, hintOf } from '../../src/cli/errors.ts'
import { type ErrorCode, type ErrorFacts, loginFacts, OAuthError, USUAL_STATE } from '../../src/errors.ts'

/** docs/commands.md#errors: scripts are written against these. */
const EXITS: Readonly<Record<number, string>> = {
  1: 'UNEXPECTED',
  2: `USAGE IDENTIFIER_INVALID DID_METHOD_UNSUPPORTED CLIENT_INVALID SCOPE_INVALID NSID_INVALID CALLBACK_UNREADABLE
    CALLBACK_INCOMPLETE CREDENTIALS_INCOMPLETE CREDENTIALS_INVALID CREDENTIALS_MISMATCH SOURCE_FAILED SAVE_TARGET_MISSING
    ACCOUNT_UNCLEAR SETTING_MISSING COPIES_DIFFER SESSION_OUTDATED STORE_COPIED STORE_INVALID STORE_LOCKED STORE_UNAVAILABLE
    VAULT_INVALID VAULT_KEY_WRONG`,
  3: 'NETWORK_UNREACHABLE NETWORK_LOST HOST_NOT_FOUND HANDLE_LOOKUP_FAILED SERVER_UNAVAILABLE SESSION_BUSY VAULT_UNREACHABLE',
  4: `ADDRESS_REFUSED HANDLE_NOT_FOUND HANDLE_AMBIGUOUS HANDLE_NOT_CLAIMED DID_NOT_FOUND DID_DOCUMENT_INVALID
    OAUTH_UNSUPPORTED METADATA_INVALID RESPONSE_INVALID CLIENT_BROKEN PAR_REFUSED PERMISSION_SET_UNRESOLVED DPOP_URL_INVALID DPOP_NONCE_INVALID
    CALLBACK_STATE_UNKNOWN CALLBACK_REFUSED AUTHORIZATION_DENIED AUTHORIZATION_EXPIRED CODE_USED EXCHANGE_REFUSED
    TOKEN_RESPONSE_INVALID ACCOUNT_MISMATCH ACCOUNT_UNVERIFIED ISSUER_MISMATCH REVOCATION_UNCONFIRMED DOCTOR_FOUND
    REFRESH_REFUSED VAULT_REFUSED`,
  5: 'SESSION_MISSING SESSION_DEAD SESSION_NOT_REFRESHABLE',
  6: 'EXCHANGE_AMBIGUOUS REFRESH_AMBIGUOUS',
  7: 'PERMISSION_MISSING',
  8: 'XRPC_ERROR',
  9: 'RATE_LIMITED',
  10: 'OUTPUT_FAILED SAVE_FAILED',
  11: 'DEADLINE_NEAR',
  130: 'INTERRUPTED',
}

test('each code has the exit code that is documented', () => {
  const codes = Object.keys(USUAL_STATE) as ErrorCode[]
  const actual = Object.keys(EXITS).map((exit) => [exit, codes.filter((code) => exitOf({ code }) === Number(exit))])
  expect(actual).toStrictEqual(Object.entries(EXITS).map(([exit, names]) => [exit, names.split(/\s+/)]))
  expect(actual.flatMap(([, names]) => names)).toHaveLength(codes.length)
})

test('an error of run exits with 125, whatever its code, unless it says otherwise', () => {
  expect(exitOf({ code: 'SESSION_DEAD' }, 'run')).toBe(125)
  expect(exitOf(new OAuthError('USAGE', 'x'), 'run')).toBe(125)
  expect(exitOf(new CliError('USAGE', 'x', { exit: 127 }), 'run')).toBe(127)
  expect(exitOf(new CliError('USAGE', 'x', { exit: 0 }).with({ session: 'dead' }), 'run')).toBe(0)
  expect(exitOf({ code: 'SESSION_DEAD' }, 'refresh')).toBe(5)
})

test('with --account, the credentials in the variables would not be used', () => {
  const error = { code: 'CREDENTIALS_INCOMPLETE', facts: { reason: 'token-elsewhere', targets: ['gh:a/b'] } } as const
  expect(hintOf(error, 'refresh', true)).toBe(
    'set the variables to the credentials in gh:a/b, then run the same command without --account',
  )
})

describe('the hint follows from the code and the facts', () => {
  const cases: [code: ErrorCode, facts: ErrorFacts, hint: string | RegExp][] = [
    ['SOURCE_FAILED', {}, /^run the command of ATPROTO_OAUTH_SOURCE by itself: /],
    ['USAGE', { reason: 'store-excluded' }, /^add --save file:PATH, .* or omit --no-store \(ATPROTO_OAUTH_NO_STORE\)$/],
    [
      'CREDENTIALS_INCOMPLETE',
      { reason: 'token-elsewhere', targets: ['gh:a/b', "file:/home/a/it's.env"] },
      "load it, then run the same command again: set -a; . '/home/a/it'\\''s.env'; set +a",
    ],
    [
      'CREDENTIALS_INCOMPLETE',
      { reason: 'token-elsewhere', targets: ['gh:a/b'] },
      'set the variables to the credentials in gh:a/b, then run the same command again',
    ],
    [
      'CLIENT_INVALID',
      { reason: 'redirect-uri-completed', redirectUri: 'https://a.dev/cb' },
      'write it as --redirect-uri https://a.dev/cb',
    ],
    ['USAGE', { reason: 'source-malformed' }, "write it as in: ATPROTO_OAUTH_SOURCE='exec:pass show atproto/alice'"],
    ['SESSION_DEAD', {}, 'sign in with your own handle, as in: atproto-oauth init alice.bsky.social'],
    ['SESSION_DEAD', { did: 'did:web:a.dev', handle: 'a.dev', scope: 'atproto' }, 'atproto-oauth init a.dev'],
    ['ADDRESS_REFUSED', {}, 'for a server on this machine or network, add --dev'],
    ['PERMISSION_MISSING', {}, 'sign in again with a --scope that includes the missing permission'],
    ['PERMISSION_MISSING', { handle: 'a.dev', scope: 'atproto x' }, "atproto-oauth init a.dev --scope 'atproto x'"],
    ['PAR_REFUSED', { serverError: 'invalid_request' }, 'find the cause with: atproto-oauth doctor'],
    [
      'PAR_REFUSED',
      { serverError: 'invalid_scope' },
      'request fewer permissions with --scope, or add them to the scope of your client metadata document',
    ],
    [
      'PAR_REFUSED',
      { serverError: 'invalid_client', handle: 'a.dev', clientId: 'https://a.dev/c' },
      'find the cause with: atproto-oauth doctor a.dev --client-id https://a.dev/c',
    ],
    [
      'PAR_REFUSED',
      { serverError: 'invalid_client_metadata' },
      'check that the client metadata document at your client_id is public and valid',
    ],
    ['PAR_REFUSED', { serverError: 'invalid_redirect_uri' }, /^use a --redirect-uri /],
    ['PAR_REFUSED', { reason: 'request-too-large', status: 413 }, /^request fewer permissions with --scope/],
    ['OAUTH_UNSUPPORTED', { reason: 'prompt-unsupported' }, /then omit --prompt$/],
    ['PERMISSION_SET_UNRESOLVED', {}, /^check the name after include: in --scope/],
    [
      'PERMISSION_SET_UNRESOLVED',
      { reason: 'permission-set-broken', nsid: 'a.b.authC', step: 'server', why: 'x' },
      /^servers keep .* run the same command again later, or .* with: atproto-oauth scope resolve a\.b\.authC$/,
    ],
    [
      'PERMISSION_SET_UNRESOLVED',
      { reason: 'permission-set-broken', nsid: 'a.b.authC', step: 'txt-missing', why: 'x' },
      /^correct the name a\.b\.authC in --scope, .* for the author of the set: atproto-oauth scope resolve a\.b\.authC$/,
    ],
    ['PAR_REFUSED', { serverError: 'temporarily_unavailable' }, 'run the same command again in a few minutes'],
    ['PAR_REFUSED', { serverError: 'constructor' }, 'find the cause with: atproto-oauth doctor'],
    ['PAR_REFUSED', { serverError: '__proto__' }, 'find the cause with: atproto-oauth doctor'],
    [
      'PERMISSION_MISSING',
      { handle: 'a.dev', scope: "atproto x'; rm -rf ~; '" },
      `atproto-oauth init a.dev --scope 'atproto x'\\''; rm -rf ~; '\\'''`,
    ],
    ['HANDLE_NOT_CLAIMED', {}, 'use the DID of the account instead of the handle'],
    ['HANDLE_NOT_CLAIMED', { did: 'did:web:a.dev' }, 'if this is your account: atproto-oauth init did:web:a.dev'],
    ['XRPC_ERROR', { status: 400 }, 'correct the request; the session is not the cause'],
    ['XRPC_ERROR', { status: 413 }, 'send less: the server limits the size of a request; the session is not the cause'],
    [
      'XRPC_ERROR',
      { status: 500 },
      'check the values of the request, or run the same command again later; the server failed',
    ],
    ['XRPC_ERROR', { status: 503 }, 'run the same command again later; the server failed'],
    ['USAGE', { reason: 'websocket-needed' }, 'use a WebSocket client, such as websocat'],
    [
      'CLIENT_INVALID',
      { reason: 'redirect-host-localhost', redirectUri: 'http://127.0.0.1:1/a' },
      'write it as --redirect-uri http://127.0.0.1:1/a',
    ],
    [
      'XRPC_ERROR',
      { reason: 'new-token-refused', isClockRight: false },
      'check the clock of this machine; if it is right, find out whether the session has ended: atproto-oauth refresh',
    ],
    [
      'XRPC_ERROR',
      { reason: 'new-token-refused', isClockRight: true },
      'find out whether the session has ended: atproto-oauth refresh',
    ],
    [
      'XRPC_ERROR',
      {
        reason: 'account-moved',
        did: 'did:web:a.dev',
        scope: 'atproto x',
        clientId: 'https://a.dev/c',
        redirectUri: 'http://127.0.0.1/',
      },
      "sign in at the new PDS: atproto-oauth init did:web:a.dev --scope 'atproto x' --client-id https://a.dev/c --redirect-uri http://127.0.0.1/",
    ],
    [
      'XRPC_ERROR',
      { reason: 'account-moved-within-issuer', did: 'did:web:a.dev' },
      'atproto-oauth refresh --account did:web:a.dev',
    ],
    [
      'XRPC_ERROR',
      { reason: 'account-deactivated', pds: 'https://a.dev' },
      /^reactivate the account with its password, in an app .* settings of https:\/\/a\.dev; an OAuth session cannot$/,
    ],
    [
      'XRPC_ERROR',
      { reason: 'account-taken-down', pds: 'https://a.dev' },
      'only the operator of https://a.dev can restore the account; their contact: atproto-oauth call com.atproto.server.describeServer',
    ],
    [
      'XRPC_ERROR',
      { reason: 'account-unclear', did: 'did:web:a.dev' },
      'find out where the account is: atproto-oauth doctor did:web:a.dev',
    ],
    [
      'XRPC_ERROR',
      { reason: 'app-view-missing' },
      'if no AppView is behind this PDS, send the request to one: add --proxy appview',
    ],
    [
      'PERMISSION_MISSING',
      { reason: 'audience-bare', audience: 'did:web:a.dev#x', handle: 'a.dev', scope: 'atproto rpc:x.y.z?aud=*' },
      "name the service, as in aud='did:web:a.dev#x' (PDS 0.5.1 and newer), or sign in for all services: atproto-oauth init a.dev --scope 'atproto rpc:x.y.z?aud=*'",
    ],
    [
      'PERMISSION_MISSING',
      { reason: 'audience-bare', audience: undefined },
      /^name the service, as in aud='did:web:api/,
    ],
    [
      'USAGE',
      { reason: 'media-type-unclear' },
      "write the media type of the file, as in: -H 'content-type: image/png'",
    ],
    [
      'SCOPE_INVALID',
      { reason: 'permission-malformed', permission: 'transition:foo' },
      'use transition:generic, transition:email or transition:chat.bsky',
    ],
    [
      'SCOPE_INVALID',
      { reason: 'permission-malformed', permission: 'ATPROTO' },
      'write atproto in lower case, followed by a space',
    ],
    [
      'SCOPE_INVALID',
      { reason: 'permission-malformed', permission: 'a*b' },
      "see how permissions are written: atproto-oauth scope explain 'a*b'",
    ],
    [
      'USAGE',
      { reason: 'json-malformed' },
      `write names and text in double quotes, and the whole JSON in single quotes, as in: '{"text":"hello"}'`,
    ],
    ['USAGE', { reason: 'json-needed' }, 'pass a JSON file, as in: -d @body.json'],
    [
      'USAGE',
      { reason: 'method-unavailable' },
      'use a sign-in with that password, as in an app or in the account settings of the PDS',
    ],
    [
      'USAGE',
      { reason: 'method-misspelt', meant: 'a.b.c' },
      'write a.b.c; to send the method as written, add -X with its HTTP method, as in: -X GET',
    ],
    ['NETWORK_UNREACHABLE', { reason: 'proxy-unreachable' }, /^check HTTPS_PROXY and HTTP_PROXY/],
    [
      'USAGE',
      { reason: 'proxy-password-unencoded', variable: 'https_proxy' },
      /^percent-encode .* in https_proxy: # is %23/,
    ],
    ['STORE_INVALID', { reason: 'file-irregular', path: '/a b' }, "use another path: '/a b' has to be a regular file"],
    ['STORE_INVALID', { reason: 'kubernetes-volume', path: '/a' }, /--save exec:COMMAND$/],
    ['STORE_UNAVAILABLE', { reason: 'file-immutable', path: '/a', isEmpty: false }, 'sudo chattr -i /a'],
    [
      'STORE_UNAVAILABLE',
      { reason: 'file-mounted', path: '/a', isEmpty: false },
      'mount the directory of /a instead of the file, then run the same command again',
    ],
    ['USAGE', { reason: 'service-malformed' }, 'write it as -H "atproto-proxy: did:web:api.bsky.app#bsky_appview"'],
    [
      'USAGE',
      {
        reason: 'method-misused',
        nsid: 'a.b.c',
        fields: [{ name: 'repo', type: 'text', isList: false }],
        isUpload: true,
      },
      'atproto-oauth call a.b.c repo={did} --upload picture.png',
    ],
    [
      'CLIENT_INVALID',
      { reason: 'client-id-superfluous' },
      'omit --client-id (ATPROTO_OAUTH_CLIENT_ID): each login creates its own loopback client_id',
    ],
    [
      'CLIENT_INVALID',
      { reason: 'client-key-differs' },
      'set ATPROTO_OAUTH_CLIENT_JWK to the private key of the published key with the same kid',
    ],
    [
      'CLIENT_INVALID',
      { reason: 'client-key-foreign' },
      'publish its public key in the client metadata document, or set ATPROTO_OAUTH_CLIENT_JWK to a key that is published there',
    ],
    [
      'CLIENT_INVALID',
      { reason: 'client-key-unpublished' },
      'unset ATPROTO_OAUTH_CLIENT_JWK, or make the client confidential with `client new --confidential`',
    ],
    [
      'CLIENT_INVALID',
      { reason: 'client-key-unset' },
      'set ATPROTO_OAUTH_CLIENT_JWK to the private key of the client, then run the same command again',
    ],
    ['CLIENT_INVALID', { reason: 'client-not-confidential' }, 'add --confidential'],
    ['CLIENT_INVALID', { reason: 'hosted-client-needed' }, /^add --client-id /],
    [
      'CLIENT_INVALID',
      { reason: 'keys-would-be-lost' },
      'add --confidential to keep the keys, or --force to discard them',
    ],
    ['CLIENT_INVALID', { reason: 'last-key' }, 'add another key first with --add-key'],
    [
      'CLIENT_INVALID',
      { reason: 'loopback-client-id-unusable' },
      'omit --client-id: `init` creates a loopback client_id itself',
    ],
    [
      'CLIENT_INVALID',
      { reason: 'origin-unusable' },
      'pass the https URL of your site, as in: --origin https://alice.github.io/bot',
    ],
    [
      'CLIENT_INVALID',
      { reason: 'redirect-uri-needed' },
      'add --redirect-uri with one of the redirect_uris of the client metadata document',
    ],
    [
      'CLIENT_INVALID',
      { reason: 'redirect-uri-unusable', scheme: 'dev.fake.app:' },
      'use a redirect URI that begins with https:, http://127.0.0.1/ or dev.fake.app:/',
    ],
    ['CREDENTIALS_INCOMPLETE', { reason: 'client-id-unknown' }, /^set ATPROTO_OAUTH_CLIENT_ID /],
    [
      'HANDLE_NOT_FOUND',
      { reason: 'handle-lookup-failed' },
      'check the spelling of the handle, and --handle-resolver if you set it; a deactivated account can be checked by its DID',
    ],
    [
      'HANDLE_NOT_CLAIMED',
      { reason: 'handle-unclaimed', handle: 'a.dev', did: 'did:web:b.dev' },
      'set the handle of the account to a.dev in its settings, or use the DID: atproto-oauth init did:web:b.dev',
    ],
    ['USAGE', { reason: 'list-unclear', lists: ['feed', 'a b'] }, "add --items feed or --items 'a b'"],
    [
      'REFRESH_AMBIGUOUS',
      { reason: 'refresh-unanswered', did: 'did:web:a.dev' },
      'atproto-oauth refresh --account did:web:a.dev',
    ],
    [
      'REFRESH_REFUSED',
      { reason: 'client-rejected', clientId: 'https://a.dev/c', serverError: 'invalid_client' },
      /^servers may keep .*: atproto-oauth client check https:\/\/a\.dev\/c$/,
    ],
    [
      'REFRESH_REFUSED',
      { reason: 'client-rejected', clientId: 'http://localhost', did: 'did:web:a.dev' },
      'atproto-oauth init did:web:a.dev',
    ],
    [
      'REFRESH_REFUSED',
      {
        reason: 'client-key-retired',
        clientId: 'https://a.dev/c',
        kid: 'k',
        did: 'did:web:a.dev',
        redirectUri: 'https://a.dev/',
      },
      'the key k is retired: publish it again, or sign in again: atproto-oauth init did:web:a.dev --client-id https://a.dev/c --redirect-uri https://a.dev/',
    ],
    [
      'EXCHANGE_REFUSED',
      { reason: 'code-rejected', handle: 'a.dev' },
      'the login is still open: copy the whole callback URL again, and paste it into: atproto-oauth complete',
    ],
    [
      'SESSION_MISSING',
      { reason: 'exported', handle: 'a.dev', scope: 'atproto repo:*' },
      "use the session in the other program, or sign in here too: atproto-oauth init a.dev --scope 'atproto repo:*'",
    ],
    ['NETWORK_UNREACHABLE', { reason: 'http1-unsupported' }, /^enable HTTP\/1\.1 on the server/],
    ['NETWORK_UNREACHABLE', { reason: 'certificate-untrusted' }, /^set NODE_EXTRA_CA_CERTS to a PEM file/],
    ['NETWORK_UNREACHABLE', { reason: 'proxy-refused', proxyStatus: 407 }, /^put the user name and password .*NTLM/],
    ['NETWORK_UNREACHABLE', { reason: 'proxy-refused', proxyStatus: 403 }, /NO_PROXY to connect directly$/],
    ['NETWORK_UNREACHABLE', { reason: 'proxy-refused', proxyStatus: undefined }, /^check HTTPS_PROXY/],
    [
      'HOST_NOT_FOUND',
      { reason: 'pds-not-found', did: 'did:web:a.dev' },
      'check the network connection, then: atproto-oauth doctor did:web:a.dev',
    ],
    ['HOST_NOT_FOUND', {}, 'check the network connection, then: atproto-oauth doctor'],
    [
      'PAR_REFUSED',
      {
        reason: 'loopback-client-refused',
        serverError: 'invalid_scope',
        handle: 'a.dev',
        scope: 'atproto include:a.b.c',
      },
      "request other permissions, as in: atproto-oauth init a.dev --scope 'atproto transition:generic'",
    ],
    [
      'PAR_REFUSED',
      { reason: 'loopback-client-refused', serverError: 'invalid_client_metadata', scope: 'atproto' },
      /^this server rejects loopback clients: add --client-id /,
    ],
    [
      'PAR_REFUSED',
      {
        reason: 'loopback-client-refused',
        serverError: 'invalid_redirect_uri',
        redirectUri: 'http://127.0.0.1:8080/x',
      },
      'omit --redirect-uri: atproto-oauth init alice.bsky.social',
    ],
    [
      'PAR_REFUSED',
      { reason: 'loopback-client-refused', serverError: 'x', did: 'did:web:a.dev', clientId: 'http://localhost?' },
      'find the cause with: atproto-oauth doctor did:web:a.dev',
    ],
    ['CREDENTIALS_INCOMPLETE', { reason: 'client-id-missing' }, /^set ATPROTO_OAUTH_CLIENT_ID to the exact client_id /],
    [
      'CREDENTIALS_MISMATCH',
      { reason: 'client-id-differs', clientId: 'https://a.dev/c' },
      'add --client-id https://a.dev/c',
    ],
    ['CLIENT_INVALID', { reason: 'client-key-malformed' }, /^set ATPROTO_OAUTH_CLIENT_JWK to the private JWK .*kid/],
    [
      'CREDENTIALS_INCOMPLETE',
      { reason: 'client-key-needed', clientId: 'https://a.dev/c', kid: 'k1' },
      'set ATPROTO_OAUTH_CLIENT_JWK to the private key that https://a.dev/c publishes with the kid k1; if that key is retired, sign in again',
    ],
    [
      'CREDENTIALS_MISMATCH',
      { reason: 'account-in-vault', did: 'did:plc:a', handle: 'alice.test' },
      /end it first: atproto-oauth revoke --account alice\.test$/,
    ],
    ['CREDENTIALS_MISMATCH', { reason: 'client-key-unwanted' }, 'unset ATPROTO_OAUTH_CLIENT_JWK for this session'],
    [
      'CREDENTIALS_INVALID',
      { reason: 'node-session-expected' },
      'pass the stored value of one account: a JSON object with the members dpopJwk, authMethod and tokenSet',
    ],
    [
      'SAVE_FAILED',
      { reason: 'delivery-pending', did: 'did:web:a.dev' },
      'to save them now: atproto-oauth refresh --account did:web:a.dev --if-older-than 1h',
    ],
    ['USAGE', { reason: 'dotenv-unfit' }, 'use --format json or --format bundle'],
    ['USAGE', { reason: 'home-needed' }, 'set ATPROTO_OAUTH_HOME (--home) to a directory for the sessions'],
    ['STORE_UNAVAILABLE', { reason: 'access-missing', path: '/a b', isEmpty: false }, "chmod u+rwX '/a b'"],
    [
      'STORE_UNAVAILABLE',
      { reason: 'owner-foreign', path: '/a b', owner: 'root', isEmpty: false },
      `sudo chown -R "$(id -un)" '/a b'`,
    ],
    [
      'STORE_UNAVAILABLE',
      { reason: 'owner-foreign', path: '/a', owner: 'bob', isEmpty: false },
      'run the command as bob',
    ],
    [
      'STORE_UNAVAILABLE',
      { reason: 'directory-foreign', path: '/etc', owner: 'root', isEmpty: false },
      'ask root for write access to /etc, then run the same command again',
    ],
    [
      'STORE_UNAVAILABLE',
      { reason: 'directory-missing', path: '/srv/a', isEmpty: true },
      'sudo install -d -m 700 -o "$(id -un)" /srv/a',
    ],
    [
      'STORE_UNAVAILABLE',
      { reason: 'directory-expected', path: '/a', isEmpty: true },
      'rename /a to make room for a directory, then run the same command again',
    ],
    [
      'STORE_UNAVAILABLE',
      { reason: 'file-expected', path: '/a', isEmpty: true },
      'rename /a to make room for a file, then run the same command again',
    ],
    [
      'STORE_UNAVAILABLE',
      { reason: 'disk-full', path: '/a', isEmpty: false },
      'free some disk space, then run the same command again',
    ],
    [
      'STORE_UNAVAILABLE',
      { reason: 'file-size-limited', path: '/a', isEmpty: false },
      'raise the file size limit (ulimit -f), then run the same command again',
    ],
    [
      'STORE_UNAVAILABLE',
      { reason: 'file-system-read-only', path: '/a', isEmpty: false },
      'mount the file system of /a writable, then run the same command again',
    ],
    [
      'STORE_INVALID',
      { reason: 'link-unsupported', path: '/a' },
      'replace the link with the file that it points to: mv "$(readlink -f /a)" /a',
    ],
    [
      'USAGE',
      { reason: 'setting-invalid', key: 'plc-url' },
      'correct it with `atproto-oauth config set`, or remove it: atproto-oauth config unset plc-url',
    ],
    [
      'STORE_INVALID',
      { reason: 'settings-damaged', path: '/a b' },
      "correct the file, or delete it to start without settings: rm '/a b'",
    ],
    ['STORE_INVALID', { reason: 'state-file-foreign' }, 'pass another --state-file'],
    ['STORE_INVALID', { reason: 'file-mode', path: '/a b' }, "chmod 600 '/a b'"],
    ['STORE_INVALID', { reason: 'folder-mode', path: '/a' }, 'chmod 700 /a'],
    [
      'STORE_INVALID',
      { reason: 'record-damaged', path: '/a', kind: 'pending' },
      'undo the change, or start the login again with `init`',
    ],
    [
      'STORE_INVALID',
      { reason: 'record-damaged', path: '/a', kind: 'client-key' },
      'remove the file, and set ATPROTO_OAUTH_CLIENT_JWK to the private key of the client',
    ],
    [
      'STORE_INVALID',
      { reason: 'record-damaged', path: '/a', kind: 'vault' },
      /^undo the change; the file may hold the only key of the vault\. .*: atproto-oauth vault use git:https:\/\/github\.com\/OWNER\/REPO$/,
    ],
    [
      'STORE_INVALID',
      { reason: 'record-damaged', path: '/a b', kind: 'sessions' },
      /; do not delete the file, which may hold the only valid token$/,
    ],
    [
      'SESSION_BUSY',
      { reason: 'lock-held', folder: '/a' },
      'wait for the other process; if it no longer exists, remove the directory /a',
    ],
    [
      'SAVE_FAILED',
      { reason: 'session-elsewhere', from: '/a', to: '/b' },
      'free some disk space or correct the file permissions, then run the same command again, which moves the session back; until then, keep /a',
    ],
    ['SESSION_BUSY', { reason: 'lock-lost' }, /^run the same command again$/],
    [
      'SESSION_OUTDATED',
      { reason: 'copy-outdated', did: 'did:web:a.dev' },
      /or sign in again: atproto-oauth init did:web:a\.dev$/,
    ],
    [
      'STORE_COPIED',
      { reason: 'store-copied' },
      // At the end, where the flags of the run are added.
      /^if several machines share this store, use --shared .*: atproto-oauth refresh --adopt$/,
    ],
    [
      'COPIES_DIFFER',
      { reason: 'copies-differ', rotation: 8, thumbprint: 't' },
      /or set ATPROTO_OAUTH_ROTATION=8 together with the newer one$/,
    ],
    [
      'COPIES_DIFFER',
      { reason: 'copies-differ', rotation: undefined, thumbprint: 't' },
      'remove the older copy; that of the store is the file sessions/t.json in its directory',
    ],
    ['VAULT_UNREACHABLE', {}, 'check the network connection, then run the same command again'],
    ['USAGE', { reason: 'vault-address-malformed' }, /^write it as git:https:/],
    ['USAGE', { reason: 'vault-address-malformed', meant: 'git:./a' }, 'write it as git:./a'],
    ['USAGE', { reason: 'vault-address-secret' }, /set ATPROTO_OAUTH_VAULT_TOKEN to the password or token$/],
    ['SESSION_MISSING', { reason: 'in-vault' }, /: atproto-oauth status$/],
    ['SESSION_BUSY', { reason: 'moving-to-vault' }, /: atproto-oauth refresh --save vault$/],
    ['USAGE', { reason: 'vault-only' }, /^omit --save/],
    [
      'VAULT_INVALID',
      { reason: 'vault-exists', address: 'git:/a b' },
      /^if its key is lost, add --replace; .*: atproto-oauth vault use 'git:\/a b'$/,
    ],
    ['VAULT_INVALID', { reason: 'vault-not-found', address: 'git:/a' }, /: atproto-oauth vault new git:\/a$/],
    [
      'VAULT_INVALID',
      { reason: 'vault-moved', address: 'git:/a b' },
      "use the new address: atproto-oauth vault use 'git:/a b'; where ATPROTO_OAUTH_VAULT is set, set it to that address",
    ],
    [
      'VAULT_INVALID',
      { reason: 'vault-move-unfinished', from: 'git:/a', address: 'git:/b' },
      'finish it: ATPROTO_OAUTH_VAULT=git:/a atproto-oauth vault move git:/b',
    ],
    [
      'VAULT_INVALID',
      { reason: 'vault-target-taken', address: 'redis://redis.example?prefix=bot:' },
      "choose an unused address, such as 'redis://redis.example?prefix=bot-2:'",
    ],
    [
      'VAULT_INVALID',
      { reason: 'vault-foreign', address: 'redis://redis.example/1?prefix=a%26b%25' },
      "choose an unused address, such as 'redis://redis.example/1?prefix=a%26b%25-2:'",
    ],
    ['VAULT_INVALID', { reason: 'vault-copied' }, /^use the address that the vault was made for/],
    [
      'VAULT_INVALID',
      { reason: 'vault-foreign', address: 'git:/a b#c' },
      "choose an unused address, such as 'git:/a b#c-2'",
    ],
    ['VAULT_INVALID', { reason: 'vault-damaged' }, /^restore the branch or database/],
    ['VAULT_INVALID', { reason: 'vault-unset' }, /^create one, as in: atproto-oauth vault new git:https/],
    [
      'VAULT_INVALID',
      { reason: 'vault-key-missing', address: 'git:/a' },
      /^set ATPROTO_OAUTH_VAULT_KEY, .*: atproto-oauth vault use git:\/a$/,
    ],
    ['VAULT_INVALID', { reason: 'vault-key-malformed' }, /^copy the whole key again: it has 43 letters/],
    ['VAULT_KEY_WRONG', { reason: 'vault-key-wrong' }, /: atproto-oauth vault key$/],
    [
      'VAULT_KEY_WRONG',
      { reason: 'vault-key-replaced', address: 'git:/a b' },
      /: atproto-oauth vault key; .*: atproto-oauth vault use 'git:\/a b'$/,
    ],
    [
      'VAULT_INVALID',
      { reason: 'vault-rekey-begun', address: 'git:/a b' },
      /^run it on the machine that began .*: atproto-oauth vault use 'git:\/a b'$/,
    ],
    [
      'VAULT_INVALID',
      { reason: 'vault-lost', address: 'git:/a', account: 'alice.test' },
      'to store it there again, on the machine that refreshed last: atproto-oauth refresh --account alice.test; to give it up: atproto-oauth vault new git:/a --replace',
    ],
    ['VAULT_INVALID', { reason: 'vault-rekey-unfinished' }, /: atproto-oauth vault rekey --finish$/],
    ['VAULT_INVALID', { reason: 'vault-newer' }, 'update this tool: npx atproto-oauth@latest'],
    [
      'USAGE',
      { reason: 'proof-url-meant', method: 'GET', url: 'https://a.example/xrpc/a.b.c?d=e' },
      "atproto-oauth proof GET 'https://a.example/xrpc/a.b.c?d=e'",
    ],
    ['VAULT_INVALID', { reason: 'git-missing' }, 'install git, as in: apt-get install git'],
    ['VAULT_INVALID', { reason: 'git-outdated' }, 'install git 2.20 or newer'],
    ['VAULT_INVALID', { reason: 'git-remote-missing' }, /^run this inside a clone with a remote/],
    [
      'VAULT_REFUSED',
      { reason: 'vault-read-denied', address: 'git:https://git.example/bot#v' },
      /: git ls-remote https:\/\/git\.example\/bot; in a job/,
    ],
    ['VAULT_REFUSED', { reason: 'vault-write-denied' }, /permissions: contents: write$/],
    [
      'VAULT_REFUSED',
      { reason: 'vault-branch-protected', address: 'git:/a' },
      /another branch, such as 'git:\/a#atproto-oauth-2'$/,
    ],
    ['VAULT_REFUSED', { reason: 'vault-signature-required' }, /are not signed$/],
    ['USAGE', { reason: 'redis-address-malformed' }, /^write it as redis:\/\/HOST:PORT, or rediss:/],
    [
      'VAULT_REFUSED',
      { reason: 'redis-login-refused', address: 'redis://redis.example/3' },
      /^set ATPROTO_OAUTH_VAULT_TOKEN to the password.*: atproto-oauth vault use redis:\/\/USER:PASSWORD@redis\.example\/3$/,
    ],
    ['VAULT_REFUSED', { reason: 'redis-protected' }, /requirepass/],
    ['VAULT_REFUSED', { reason: 'redis-permission-missing' }, /ACL SETUSER: ~atproto-oauth:\* /],
    ['VAULT_REFUSED', { reason: 'redis-replica' }, 'use the address of the primary'],
    ['VAULT_REFUSED', { reason: 'redis-cluster-node' }, /^use the address of the node/],
    ['VAULT_REFUSED', { reason: 'redis-database-unknown' }, /^choose a lower number/],
    ['VAULT_REFUSED', { reason: 'redis-memory-full' }, /^raise maxmemory/],
    ['VAULT_REFUSED', { reason: 'redis-disk-failed' }, /log of the server/],
    ['VAULT_REFUSED', { reason: 'redis-replicas-missing' }, /^start the replicas/],
    ['VAULT_UNREACHABLE', { reason: 'redis-expected' }, /needs rediss:\/\/, and one without TLS redis:/],
    ['STORE_LOCKED', {}, 'unlock the keychain, then run the same command again'],
    ['STORE_LOCKED', { reason: 'store-key-missing' }, /^set ATPROTO_OAUTH_STORE_KEY to the passphrase/],
    [
      'STORE_LOCKED',
      { reason: 'store-key-wrong' },
      /^correct ATPROTO_OAUTH_STORE_KEY.*forgotten.*: move the directory/,
    ],
    ['STORE_LOCKED', { reason: 'keychain-locked' }, /^unlock the keychain/],
    ['STORE_LOCKED', { reason: 'keychain-missing' }, /install secret-tool/],
    ['STORE_LOCKED', { reason: 'keychain-entry-missing' }, /^run this as the user and on the machine that/],
    [
      'STORE_INVALID',
      { reason: 'store-encryption-damaged' },
      /^restore store-encryption\.json from a backup.*: move the directory/,
    ],
    [
      'STORE_INVALID',
      { reason: 'store-encryption-foreign' },
      /^restore store-encryption\.json from a backup.*: move the directory/,
    ],
    ['STORE_INVALID', { reason: 'store-encryption-newer' }, 'update this tool: npx atproto-oauth@latest'],
    [
      'STORE_INVALID',
      { reason: 'store-encryption-differs', mode: 'keychain' },
      'atproto-oauth config set encrypt-store keychain',
    ],
    ['VAULT_REFUSED', { reason: 'redis-evicting' }, /^set maxmemory-policy noeviction/],
    ['VAULT_REFUSED', { reason: 'redis-not-durable' }, /^set appendonly yes/],
    ['SESSION_DEAD', { reason: 'ended-elsewhere', handle: 'a.dev', did: 'did:web:a.dev' }, 'atproto-oauth init a.dev'],
    ['REFRESH_AMBIGUOUS', { reason: 'tokens-elsewhere', label: 'laptop' }, /^run any command on laptop, /],
    ['SAVE_FAILED', { reason: 'tokens-lost' }, /, then sign in again with `init`$/],
    ['STORE_UNAVAILABLE', { reason: 'state-file-missing' }, /^pass the path that `init --state-file` wrote to/],
    [
      'USAGE',
      { reason: 'proxy-malformed', variable: 'https_proxy' },
      'set https_proxy to the URL of an HTTP proxy, such as http://127.0.0.1:3128',
    ],
    ['USAGE', { reason: 'target-malformed' }, /^use --save store, /],
    ['USAGE', { reason: 'target-malformed', file: './a b' }, "for a file: --save 'file:./a b'"],
    ['USAGE', { reason: 'workflow-step-needed' }, 'use --format dotenv outside GitHub Actions'],
    [
      'CLIENT_INVALID',
      { reason: 'foreign-client-id' },
      'pass the exact client_id of the other program with --client-id',
    ],
    [
      'SESSION_DEAD',
      { reason: 'given-token-refused' },
      /^correct ATPROTO_OAUTH_REFRESH_TOKEN, or run the same command /,
    ],
    ['USAGE', { reason: 'working-directory-gone' }, 'change to a directory that exists, or use an absolute path'],
    ['SESSION_MISSING', { reason: 'handed-over' }, 'sign out in the other program'],
    [
      'SESSION_NOT_REFRESHABLE',
      { reason: 'leased', operation: 'lease' },
      'run `atproto-oauth lease` on the machine that keeps the session',
    ],
    [
      'CREDENTIALS_MISMATCH',
      { reason: 'newer-token-stored', did: 'did:web:a.dev' },
      /^atproto-oauth status --account did/,
    ],
    ['SAVE_FAILED', { reason: 'target-failed' }, 'correct the save target, then run the same command again'],
    ['SAVE_FAILED', { reason: 'target-taken' }, 'choose another save target'],
    [
      'SAVE_FAILED',
      { reason: 'undelivered' },
      'correct the save target, then run the same command again: it saves them first; to give that target up, add --save store',
    ],
    [
      'SAVE_FAILED',
      { reason: 'undelivered-login', did: 'did:web:a.dev' },
      'atproto-oauth refresh --account did:web:a.dev --if-older-than 1h',
    ],
    [
      'CALLBACK_INCOMPLETE',
      {},
      'nothing was sent; a shell cuts an unquoted URL at the first &, so paste the whole URL into: atproto-oauth complete',
    ],
    [
      'CALLBACK_UNREADABLE',
      {},
      'sign in, copy the whole URL from the browser’s address bar, and paste it into: atproto-oauth complete',
    ],
    ['CALLBACK_STATE_UNKNOWN', { reason: 'login-not-found' }, /same ATPROTO_OAUTH_HOME or --state-file as `init`/],
    [
      'CODE_USED',
      { reason: 'login-completed', did: 'did:web:a.dev' },
      'use the credentials that `complete` printed or saved then, or sign in again with `init`',
    ],
    ['CODE_USED', { did: 'did:web:a.dev' }, 'atproto-oauth init did:web:a.dev'],
    [
      'PAR_REFUSED',
      { reason: 'client-document-faulty', clientId: 'https://a.dev/c', serverError: 'invalid_client' },
      'atproto-oauth client check https://a.dev/c',
    ],
    [
      'SAVE_FAILED',
      { reason: 'kept-with-login' },
      'fix the cause, then run the same `complete` again with the same callback URL',
    ],
    [
      'SAVE_FAILED',
      { reason: 'session-not-stored', handle: 'a.dev', clientId: 'https://a.dev/c' },
      'free some disk space or correct the file permissions, then: atproto-oauth init a.dev --client-id https://a.dev/c',
    ],
    ['STORE_UNAVAILABLE', { reason: 'folder-missing', path: '/a b' }, "mkdir -p '/a b'"],
    ['IDENTIFIER_INVALID', { reason: 'identifier-meant', identifier: 'a.dev' }, 'atproto-oauth init a.dev'],
    [
      'IDENTIFIER_INVALID',
      { reason: 'identifier-email' },
      'use the handle, or type the e-mail address on the sign-in page of your server: atproto-oauth init https://bsky.social',
    ],
    ['IDENTIFIER_INVALID', { reason: 'dev-mode-needed' }, 'for a server on this machine, add --dev'],
    [
      'SESSION_DEAD',
      { reason: 'revoked', bundled: false, handle: 'a.dev', scope: 'atproto x' },
      "unset ATPROTO_OAUTH_REFRESH_TOKEN and ATPROTO_OAUTH_DPOP_PRIVATE_JWK; if no other session is stored here, sign in again: atproto-oauth init a.dev --scope 'atproto x'",
    ],
    [
      'SESSION_DEAD',
      { reason: 'revoked', bundled: true, did: 'did:web:a.dev' },
      'unset ATPROTO_OAUTH_SESSION; if no other session is stored here, sign in again: atproto-oauth init did:web:a.dev',
    ],
  ]
  test('and has a case for each reason', () => {
    const source = readFileSync('src/errors.ts', 'utf8')
    const declared = source.slice(source.indexOf('PlainReason ='), source.indexOf('interface MethodNeeds'))
    const reasons = new Set(declared.match(/(?<=[|:] )'[a-z\d-]+'(?! \| ')/g)?.map((quoted) => quoted.slice(1, -1)))
    for (const [, { reason }] of cases) if (reason !== undefined) reasons.delete(reason)
    expect(
      [...reasons].filter(
        (reason) => !['sessions', 'pending', 'vault', 'client-key', 'json', 'revoke'].includes(reason),
      ),
    ).toStrictEqual([])
  })

  test.each(cases)('%s %j', (code, facts, hint) => {
    const actual = hintOf(new OAuthError(code, 'message', { facts }), 'call')
    if (typeof hint === 'string') expect(actual).toBe(hint)
    else expect(actual).toMatch(hint)
    expect(actual).not.toMatch(/<[\w|-]+>|…/)
  })
})

test.each(Object.keys(USUAL_STATE) as ErrorCode[])('the hint of %s has no placeholder in angle brackets', (code) => {
  for (const facts of [{}, { handle: 'a.dev', did: 'did:web:a.dev', scope: 'atproto repo:*' }]) {
    expect(hintOf({ code, facts }, 'call')).not.toMatch(/<[\w|-]+>|…/)
  }
})

test('the hint is about the command that was running', () => {
  expect(hintOf({ code: 'USAGE', facts: {} })).toBe('atproto-oauth --help')
  expect(hintOf({ code: 'USAGE', facts: {} }, 'client new')).toBe('atproto-oauth client new --help')
  expect(hintOf({ code: 'IDENTIFIER_INVALID', facts: {} })).toBe('atproto-oauth init alice.bsky.social')
  expect(hintOf({ code: 'IDENTIFIER_INVALID', facts: {} }, 'doctor')).toBe('atproto-oauth doctor alice.bsky.social')
})

test('an error of the command line keeps its hint on the way, unless it gets other facts', () => {
  const error = new CliError('SAVE_FAILED', 'no', { hint: 'do this', cause: 'why', session: 'dead' })
  const copy = error.with({ message: 'no, again' })
  expect(copy).toMatchObject({ code: 'SAVE_FAILED', message: 'no, again', cause: 'why', session: 'dead' })
  expect(hintOf(copy)).toBe('do this')
  expect(hintOf(error.with({ facts: { reason: 'target-failed' } }))).toMatch(/^correct the save target/)
  expect(new CliError('USAGE', 'no').with({}).hasExplicitState).toBe(false)
})

test('20.8 a hint is clean, wherever it comes from', () => {
  const facts = { handle: '\u001b[31ma\u202eb.dev\n::set-output name=x::' }
  for (const error of [
    new OAuthError('SESSION_DEAD', 'gone', { facts }),
    new CliError('USAGE', 'no', { hint: '\u001b[31mtype\u202e this\n::error::' }),
  ]) {
    expect(hintOf(error)).not.toMatch(/[\p{Cc}\p{Cf}]|^::/u)
  }
})

test.each([
  [
    { handle: 'a.dev', clientId: 'http://localhost?scope=atproto+repo:x.y.z', scope: 'atproto' },
    "--scope 'atproto repo:x.y.z'",
  ],
  [
    {
      did: 'did:web:a.dev',
      clientId: 'https://a.dev/c',
      redirectUri: 'https://a.dev/back',
      requestedScope: 'atproto x',
      scope: 'atproto',
    },
    "--scope 'atproto x' --client-id https://a.dev/c --redirect-uri https://a.dev/back",
  ],
])('a session that has ended is signed in to again with what was requested: %j', (login, words) => {
  expect(hintOf(new OAuthError('SESSION_DEAD', 'message', { facts: loginFacts(login) }))).toContain(words)
})
