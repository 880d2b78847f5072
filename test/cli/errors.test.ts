import { describe, expect, test } from 'vitest'
import { CliError, exitOf, hintOf } from '../../src/cli/errors.ts'
import { type ErrorCode, type ErrorFacts, OAuthError, USUAL_STATE } from '../../src/errors.ts'

/** docs/commands.md#errors: scripts are written against these. */
const EXITS: Readonly<Record<number, string>> = {
  1: 'UNEXPECTED OUTPUT_FAILED',
  2: `USAGE IDENTIFIER_INVALID DID_METHOD_UNSUPPORTED CLIENT_INVALID SCOPE_INVALID NSID_INVALID CALLBACK_UNREADABLE
    CALLBACK_INCOMPLETE CREDENTIALS_INCOMPLETE CREDENTIALS_INVALID CREDENTIALS_MISMATCH SAVE_TARGET_MISSING
    ACCOUNT_UNCLEAR STORE_INVALID STORE_UNAVAILABLE`,
  3: 'NETWORK_UNREACHABLE NETWORK_LOST HOST_NOT_FOUND HANDLE_LOOKUP_FAILED SERVER_UNAVAILABLE SESSION_BUSY',
  4: `ADDRESS_REFUSED HANDLE_NOT_FOUND HANDLE_AMBIGUOUS HANDLE_NOT_CLAIMED DID_NOT_FOUND DID_DOCUMENT_INVALID
    OAUTH_UNSUPPORTED METADATA_INVALID RESPONSE_INVALID CLIENT_BROKEN PAR_REFUSED DPOP_URL_INVALID DPOP_NONCE_INVALID
    CALLBACK_STATE_UNKNOWN CALLBACK_REFUSED AUTHORIZATION_DENIED AUTHORIZATION_EXPIRED CODE_USED EXCHANGE_REFUSED
    TOKEN_RESPONSE_INVALID ACCOUNT_MISMATCH ACCOUNT_UNVERIFIED ISSUER_MISMATCH REVOCATION_UNCONFIRMED DOCTOR_FOUND
    REFRESH_REFUSED`,
  5: 'SESSION_MISSING SESSION_DEAD SESSION_NOT_REFRESHABLE',
  6: 'EXCHANGE_AMBIGUOUS REFRESH_AMBIGUOUS',
  7: 'PERMISSION_MISSING',
  8: 'XRPC_ERROR',
  9: 'RATE_LIMITED',
  10: 'SAVE_FAILED',
  11: 'DEADLINE_NEAR',
  130: 'INTERRUPTED',
}

test('each code has the exit code that is documented', () => {
  const codes = Object.keys(USUAL_STATE) as ErrorCode[]
  const actual = Object.keys(EXITS).map((exit) => [exit, codes.filter((code) => exitOf({ code }) === Number(exit))])
  expect(actual).toStrictEqual(Object.entries(EXITS).map(([exit, names]) => [exit, names.split(/\s+/)]))
  expect(actual.flatMap(([, names]) => names)).toHaveLength(codes.length)
})

describe('the hint follows from the code and the facts', () => {
  const cases: [code: ErrorCode, facts: ErrorFacts, hint: string | RegExp][] = [
    ['SESSION_DEAD', {}, 'atproto-oauth init <handle>'],
    ['SESSION_DEAD', { did: 'did:web:a.dev', handle: 'a.dev', scope: 'atproto' }, 'atproto-oauth init a.dev'],
    ['ADDRESS_REFUSED', {}, 'for a server on this machine or network add --dev'],
    ['PERMISSION_MISSING', {}, 'atproto-oauth init <handle> --scope "atproto …"'],
    ['PERMISSION_MISSING', { handle: 'a.dev', scope: 'atproto x' }, "atproto-oauth init a.dev --scope 'atproto x'"],
    ['PAR_REFUSED', { serverError: 'invalid_request' }, 'atproto-oauth init <handle>'],
    ['PAR_REFUSED', { serverError: 'invalid_scope' }, /^ask for less with --scope, /],
    ['PAR_REFUSED', { serverError: 'invalid_client' }, /check --client-id$/],
    ['PAR_REFUSED', { serverError: 'invalid_client_metadata' }, /at your client_id: check that it is public/],
    ['PAR_REFUSED', { serverError: 'invalid_redirect_uri' }, /^use a --redirect-uri /],
    ['PAR_REFUSED', { serverError: 'temporarily_unavailable' }, 'run the same command again in a few minutes'],
    ['PAR_REFUSED', { serverError: 'constructor' }, 'atproto-oauth init <handle>'],
    ['PAR_REFUSED', { serverError: '__proto__' }, 'atproto-oauth init <handle>'],
    [
      'PERMISSION_MISSING',
      { handle: 'a.dev', scope: "atproto x'; rm -rf ~; '" },
      `atproto-oauth init a.dev --scope 'atproto x'\\''; rm -rf ~; '\\'''`,
    ],
    ['HANDLE_NOT_CLAIMED', {}, 'start from the DID: atproto-oauth init did:plc:…'],
    [
      'HANDLE_NOT_CLAIMED',
      { did: 'did:web:a.dev' },
      'if that is the account you mean: atproto-oauth init did:web:a.dev',
    ],
    ['XRPC_ERROR', { status: 400 }, 'correct the request; the session is not the cause'],
    ['XRPC_ERROR', { status: 500 }, 'correct the request, or run it again later; the session is not the cause'],
    [
      'XRPC_ERROR',
      { reason: 'new-token-refused', handle: 'a.dev' },
      'check the clock of this machine; if it is right: atproto-oauth init a.dev',
    ],
    [
      'SCOPE_INVALID',
      { reason: 'permission-malformed', permission: 'transition:foo' },
      'there are transition:generic, transition:email and transition:chat.bsky',
    ],
    ['SCOPE_INVALID', { reason: 'permission-malformed', permission: 'ATPROTO' }, 'write atproto, then a space'],
    ['USAGE', { reason: 'json-malformed' }, 'put JSON in single quotes, or write it to a file and use @file'],
    ['USAGE', { reason: 'json-needed' }, 'give a file of JSON with -d @FILE'],
    ['USAGE', { reason: 'method-unavailable' }, 'with -X it is sent all the same'],
    ['USAGE', { reason: 'service-malformed' }, 'such as -H "atproto-proxy: did:web:api.bsky.app#bsky_appview"'],
    [
      'USAGE',
      {
        reason: 'method-misused',
        nsid: 'a.b.c',
        fields: [{ name: 'repo', type: 'text', isList: false }],
        isUpload: true,
      },
      'atproto-oauth call a.b.c repo={did} --upload FILE',
    ],
    ['CLIENT_INVALID', { reason: 'client-id-superfluous' }, /^leave --client-id \(ATPROTO_OAUTH_CLIENT_ID\) out: /],
    ['CLIENT_INVALID', { reason: 'client-key-differs' }, 'set ATPROTO_OAUTH_CLIENT_JWK to the key that belongs to it'],
    ['CLIENT_INVALID', { reason: 'client-key-foreign' }, /or set ATPROTO_OAUTH_CLIENT_JWK to one of theirs$/],
    ['CLIENT_INVALID', { reason: 'client-key-unpublished' }, /^unset ATPROTO_OAUTH_CLIENT_JWK, .* client new --confid/],
    ['CLIENT_INVALID', { reason: 'client-key-unset' }, 'set ATPROTO_OAUTH_CLIENT_JWK, then check again'],
    ['CLIENT_INVALID', { reason: 'client-not-confidential' }, 'add --confidential'],
    ['CLIENT_INVALID', { reason: 'hosted-client-needed' }, /^add --client-id /],
    ['CLIENT_INVALID', { reason: 'keys-would-be-lost' }, 'add --confidential; or add --force, to begin anew'],
    ['CLIENT_INVALID', { reason: 'last-key' }, 'first make another with --add-key'],
    ['CLIENT_INVALID', { reason: 'loopback-client-id-unusable' }, /^leave --client-id out: `init` /],
    ['CLIENT_INVALID', { reason: 'origin-unusable' }, /^give the address of your site, as https:/],
    ['CLIENT_INVALID', { reason: 'redirect-uri-needed' }, 'add --redirect-uri'],
    [
      'CLIENT_INVALID',
      { reason: 'redirect-uri-unusable', scheme: 'dev.fake.app:' },
      'use https, http://127.0.0.1/… or dev.fake.app:/…',
    ],
    ['CREDENTIALS_INCOMPLETE', { reason: 'client-id-unknown' }, /^set ATPROTO_OAUTH_CLIENT_ID /],
    ['HANDLE_NOT_FOUND', { reason: 'handle-lookup-failed' }, 'check the spelling of the handle, and --handle-resolver'],
    [
      'HANDLE_NOT_CLAIMED',
      { reason: 'handle-unclaimed', handle: 'a.dev', did: 'did:web:b.dev' },
      'give the account the handle a.dev in its settings, or start from the DID: atproto-oauth init did:web:b.dev',
    ],
    ['USAGE', { reason: 'list-unclear', lists: ['feed', 'a b'] }, "add --items feed or --items 'a b'"],
    ['REFRESH_AMBIGUOUS', { reason: 'refresh-unanswered' }, 'atproto-oauth refresh'],
    ['CREDENTIALS_INCOMPLETE', { reason: 'client-id-missing' }, /^set ATPROTO_OAUTH_CLIENT_ID to the exact client_id /],
    [
      'CREDENTIALS_MISMATCH',
      { reason: 'client-id-differs', clientId: 'https://a.dev/c' },
      '--client-id https://a.dev/c',
    ],
    ['CLIENT_INVALID', { reason: 'client-key-malformed' }, /^set ATPROTO_OAUTH_CLIENT_JWK to the private JWK .*kid/],
    [
      'CREDENTIALS_INCOMPLETE',
      { reason: 'client-key-needed', clientId: 'https://a.dev/c', kid: 'k1' },
      'set ATPROTO_OAUTH_CLIENT_JWK to the private key that https://a.dev/c has published as k1',
    ],
    ['CREDENTIALS_MISMATCH', { reason: 'client-key-unwanted' }, 'unset ATPROTO_OAUTH_CLIENT_JWK for this session'],
    ['CREDENTIALS_INVALID', { reason: 'node-session-expected' }, /as JSON: \{"dpopJwk": …, "authMethod": …/],
    ['SAVE_FAILED', { reason: 'delivery-pending' }, 'the next `call` or `refresh` on this machine delivers them first'],
    ['USAGE', { reason: 'dotenv-unfit' }, 'use --format json or --format bundle'],
    ['USAGE', { reason: 'home-needed' }, 'say where with ATPROTO_OAUTH_HOME (--home)'],
    ['STORE_INVALID', { reason: 'home-unusable' }, /^point ATPROTO_OAUTH_HOME \(--home\) at a folder /],
    ['STORE_INVALID', { reason: 'file-mode', path: '/a b' }, "chmod 600 '/a b'"],
    ['STORE_INVALID', { reason: 'folder-mode', path: '/a' }, 'chmod 700 /a'],
    ['STORE_INVALID', { reason: 'record-damaged', path: '/a', kind: 'pending', isWindows: false }, 'rm /a'],
    [
      'STORE_INVALID',
      { reason: 'record-damaged', path: '/a b', kind: 'sessions', isWindows: false },
      "put a copy of it back, or move it away: mv '/a b' '/a b.bad'",
    ],
    ['STORE_INVALID', { reason: 'record-damaged', path: 'C:\\a b', kind: 'pending', isWindows: true }, 'del "C:\\a b"'],
    ['SESSION_BUSY', { reason: 'lock-held', folder: '/a' }, /^wait for it; .* remove the folder \/a$/],
    ['SAVE_FAILED', { reason: 'session-elsewhere', from: '/a', to: '/b' }, /permissions, then: mv '\/a' '\/b'$/],
    ['SAVE_FAILED', { reason: 'tokens-lost' }, /, then sign in again with `init`$/],
    ['STORE_UNAVAILABLE', { reason: 'state-file-missing' }, 'give --state-file as to `init`'],
    ['USAGE', { reason: 'proxy-malformed', variable: 'https_proxy' }, 'set https_proxy to http://host:port'],
    ['USAGE', { reason: 'target-malformed' }, /^use --save store, /],
    ['USAGE', { reason: 'target-malformed', file: './a b' }, "for a file: --save 'file:./a b'"],
    ['USAGE', { reason: 'workflow-step-needed' }, 'use --format dotenv outside of GitHub Actions'],
    [
      'CLIENT_INVALID',
      { reason: 'foreign-client-id' },
      'give the exact client_id that the other program signs in with',
    ],
    [
      'SESSION_DEAD',
      { reason: 'given-token-refused' },
      /^correct ATPROTO_OAUTH_REFRESH_TOKEN, or run the same command /,
    ],
    ['SESSION_MISSING', { reason: 'handed-over' }, 'sign out there'],
    [
      'SESSION_NOT_REFRESHABLE',
      { reason: 'leased', operation: 'lease' },
      /^atproto-oauth lease, where the session is /,
    ],
    [
      'CREDENTIALS_MISMATCH',
      { reason: 'newer-token-stored', did: 'did:web:a.dev' },
      /^atproto-oauth status --account did/,
    ],
    ['SAVE_FAILED', { reason: 'target-failed' }, 'correct the save target, then run the same command again'],
    ['SAVE_FAILED', { reason: 'target-taken' }, 'name another place to save to, or move that one away'],
    ['SAVE_FAILED', { reason: 'undelivered' }, /, then run the same command again: it delivers them first$/],
    [
      'SAVE_FAILED',
      { reason: 'undelivered-login', did: 'did:web:a.dev' },
      'atproto-oauth refresh --account did:web:a.dev --if-older-than 1h',
    ],
    ['CALLBACK_INCOMPLETE', {}, /^put the URL in quotes /],
    [
      'CALLBACK_UNREADABLE',
      {},
      /copy the whole address from the browser’s address bar and run: atproto-oauth complete$/,
    ],
    ['CALLBACK_STATE_UNKNOWN', { reason: 'login-not-found' }, /same ATPROTO_OAUTH_HOME or --state-file as `init`/],
    ['CODE_USED', { reason: 'login-completed', did: 'did:web:a.dev' }, /^use the credentials that were printed then, /],
    ['CODE_USED', { did: 'did:web:a.dev' }, 'atproto-oauth init did:web:a.dev'],
    [
      'PAR_REFUSED',
      { reason: 'client-document-faulty', clientId: 'https://a.dev/c', serverError: 'invalid_client' },
      'atproto-oauth client check https://a.dev/c',
    ],
    ['SAVE_FAILED', { reason: 'kept-with-login' }, /^correct that, then run the same `complete` again, /],
    [
      'SAVE_FAILED',
      { reason: 'session-not-stored', handle: 'a.dev', clientId: 'https://a.dev/c' },
      'make room or correct the permissions, then: atproto-oauth init a.dev --client-id https://a.dev/c',
    ],
    ['IDENTIFIER_INVALID', { reason: 'dev-mode-needed' }, 'for a server on this machine add --dev'],
  ]
  test.each(cases)('%s %j', (code, facts, hint) => {
    const actual = hintOf(new OAuthError(code, 'message', { facts }), 'call')
    if (typeof hint === 'string') expect(actual).toBe(hint)
    else expect(actual).toMatch(hint)
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
  expect(hintOf({ code: 'IDENTIFIER_INVALID', facts: {} })).toBe('atproto-oauth init alice.example.com')
  expect(hintOf({ code: 'IDENTIFIER_INVALID', facts: {} }, 'doctor')).toBe('atproto-oauth doctor alice.example.com')
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
