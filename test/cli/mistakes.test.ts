/**
 * Mistakes of people at the keyboard, grouped by kind: what was typed, set or piped in, and the next step that helps.
 * Nothing is sent for any of them. Those that need a server are in test/e2e/mistakes.test.ts.
 */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { tempFolder } from '../node/helpers.ts'
import { fakeNodeRuntime, run } from '../support/cli.ts'
import { createFakeWorld } from '../support/fake-atproto.ts'

vi.mock('../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

interface Mistake {
  readonly typed: readonly string[]
  readonly stdin?: string
  readonly env?: Readonly<Record<string, string>>
  readonly exit?: number
  readonly code?: string
  /** In the message. */
  readonly says?: RegExp
  readonly hint: RegExp
}

const ALICE = 'alice.fake.dev'
const LIST = ['call', 'com.atproto.repo.listRecords', 'repo={did}', 'collection=app.bsky.feed.post']
const CREATE = ['call', 'com.atproto.repo.createRecord', 'repo={did}', 'collection=app.bsky.feed.post']
const UPLOAD = ['call', 'com.atproto.repo.uploadBlob']
const PROOF_URL = 'https://pds.fake.dev/xrpc/com.atproto.server.getSession'
const IDENTIFIER = { code: 'IDENTIFIER_INVALID' }
const SCOPE = { code: 'SCOPE_INVALID' }
const NOT_RUN = { exit: 125 }

const KINDS: Readonly<Record<string, readonly Mistake[]>> = {
  'an account as a chat program, a keyboard or another tool has it': [
    { typed: ['init', `[${ALICE}](https://bsky.app)`], ...IDENTIFIER, hint: /^atproto-oauth init alice\.fake\.dev$/ },
    { typed: ['init', '\uff20alice.fake.dev'], ...IDENTIFIER, hint: /init alice\.fake\.dev$/ },
    { typed: ['init', 'alice\u3002fake\u3002dev'], ...IDENTIFIER, hint: /init alice\.fake\.dev$/ },
    {
      typed: ['init', '\u0430lice.fake.dev'],
      ...IDENTIFIER,
      says: /letters other than a-z/,
      hint: /^(?!.*\blice\.fake\.dev)/,
    },
    { typed: ['init', `handle=${ALICE}`], ...IDENTIFIER, hint: /init alice\.fake\.dev$/ },
    { typed: ['init', 'alice\\.fake.dev'], ...IDENTIFIER, hint: /init alice\.fake\.dev$/ },
    { typed: ['init', 'wss://relay.fake.dev'], ...IDENTIFIER, hint: /init https:\/\/relay\.fake\.dev$/ },
    { typed: ['init', '127.0.0.1:2583'], ...IDENTIFIER, hint: /init https:\/\/127\.0\.0\.1:2583$/ },
    {
      typed: ['init', 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa#atproto_pds'],
      ...IDENTIFIER,
      hint: /init did:plc:a{24}$/,
    },
    { typed: ['init', 'did:plc:abc'], code: 'DID_METHOD_UNSUPPORTED', hint: /24 characters/ },
    { typed: ['init', 'did:key:z6Mk'], code: 'DID_METHOD_UNSUPPORTED', hint: /use a handle, a did:plc or a did:web/ },
  ],
  'a variable that is empty, or was not replaced': [
    { typed: ['init', ''], ...IDENTIFIER, says: /was its variable not set\?/, hint: /init alice\.bsky\.social$/ },
    {
      typed: ['init', '\u0024{{ secrets.HANDLE }}'],
      ...IDENTIFIER,
      says: /name of a variable/,
      hint: /^(?!.*secrets)/,
    },
    { typed: ['init', '%HANDLE%'], ...IDENTIFIER, says: /name of a variable/, hint: /alice\.bsky\.social$/ },
    {
      typed: ['init', ALICE, '--scope', ''],
      says: /--scope is empty: was its variable not set\?/,
      hint: /init --help$/,
    },
    { typed: [...LIST.slice(0, 3), 'collection='], says: /collection is empty/, hint: /collection=app\.bsky/ },
    { typed: [...CREATE, '-d', ''], says: /was its variable not set\?/, hint: /call --help$/ },
    { typed: ['--home', '', 'status'], says: /--home is empty/, hint: /status --help$/ },
    { typed: ['status', '--account', ''], ...IDENTIFIER, hint: /--account/ },
    {
      typed: ['status'],
      env: { ATPROTO_OAUTH_SESSION: '***' },
      code: 'CREDENTIALS_INVALID',
      hint: /exactly the value that `complete` printed/,
    },
    {
      typed: ['status'],
      env: { ATPROTO_OAUTH_REFRESH_TOKEN: 'ref-1' },
      code: 'CREDENTIALS_INCOMPLETE',
      hint: /set the missing variables/,
    },
  ],
  'a scope in the writing of another place': [
    {
      typed: ['init', ALICE, '--scope', 'atproto+transition:generic'],
      ...SCOPE,
      hint: /"atproto transition:generic"$/,
    },
    { typed: ['init', ALICE, '--scope', 'atproto%20blob:*/*'], ...SCOPE, hint: /"atproto blob:\*\/\*"$/ },
    { typed: ['init', ALICE, '--scope', '["atproto","blob:*/*"]'], ...SCOPE, hint: /"atproto blob:\*\/\*"$/ },
    {
      typed: ['init', ALICE, '--scope', 'atproto', 'transition:generic'],
      hint: / init alice\.fake\.dev --scope 'atproto transition:generic'$/,
    },
    { typed: ['init', ALICE, '--scope', 'atproto include:'], ...SCOPE, hint: /include:app\.bsky\.authFullApp/ },
    {
      typed: ['init', ALICE, '--scope', 'openid profile'],
      ...SCOPE,
      says: /does not exist in atproto/,
      hint: /--scope/,
    },
    { typed: ['init', ALICE, '--for', 'post,delete'], hint: /^repeat the option: --for post --for delete$/ },
    { typed: ['init', ALICE, '--for', 'Post'], hint: /^write it as --for post$/ },
  ],
  'options of goat, curl, gh, kubectl and aws': [
    { typed: ['config', 'show'], hint: /^atproto-oauth config list$/ },
    { typed: ['config', 'rm', 'account'], hint: /^atproto-oauth config unset --help$/ },
    { typed: ['settings'], hint: /^atproto-oauth config list$/ },
    { typed: ['config', 'init'], hint: /^atproto-oauth init --help$/ },
    { typed: ['config', 'get', 'account', 'save'], says: /too many arguments/, hint: /config get/ },
    { typed: ['--account', ALICE, 'init', ALICE], says: /cannot be used with init/, hint: /^omit --account$/ },
    { typed: ['init', '-u', ALICE], hint: /without a flag, as in: atproto-oauth init/ },
    { typed: ['login', '--username', ALICE, '--password', 'x'], hint: /without a flag, as in: atproto-oauth login/ },
    { typed: ['init', ALICE, '--password', 'hunter2'], hint: /typed on the sign-in page/ },
    { typed: ['init', ALICE, '--pds-host', 'https://pds.fake.dev'], hint: /URL of the server in place of the handle/ },
    { typed: ['login', ALICE, '--port', '80'], says: /^unknown option "--port"$/, hint: /a free port is used/ },
    { typed: ['login', ALICE, '--no-browser'], hint: /init and complete/ },
    { typed: ['status', '-o', 'json'], hint: /^add --json$/ },
    { typed: ['status', '--profile', 'bot'], hint: /--account/ },
    { typed: ['refresh', '--force'], says: /^unknown option "--force"$/, hint: /always refreshed/ },
    { typed: ['refresh', '--token', 'ref-1'], hint: /set a variable instead/ },
    { typed: ['revoke', '-y'], hint: /nothing is asked/ },
    { typed: ['lease', '--ttl', '1h'], hint: /--at-least 30m/ },
    { typed: ['complete', '-o', 'session.env'], hint: /redirect stdout/ },
    { typed: ['--debug', 'status'], hint: /--verbose/ },
    { typed: ['--no-color', 'status'], hint: /NO_COLOR=1/ },
    { typed: ['--json=true', 'status'], hint: /^omit the value: --json$/ },
    { typed: [...LIST.slice(0, 2), '--repo', 'x'], hint: /^write fields without hyphens: repo=value$/ },
    { typed: [...UPLOAD, '--data-binary', '@cat.png'], hint: /--upload/ },
    { typed: [...UPLOAD, '-F', 'file=@cat.png'], hint: /--upload/ },
  ],
  'words in the wrong order, or of a prompt': [
    { typed: ['--scope', 'atproto', 'init', ALICE], hint: /options of init after it/ },
    { typed: ['init', ALICE, '\u2014scope', 'atproto'], hint: /two hyphens: --scope$/ },
    { typed: ['init', ALICE, '-scope', 'atproto'], hint: /two hyphens: --scope$/ },
    { typed: ['INIT', ALICE], hint: /^atproto-oauth init --help$/ },
    { typed: ['npx', 'atproto-oauth', 'status'], hint: /atproto-oauth status --help$/ },
    { typed: ['init', 'complete', ALICE], hint: /one command at a time/ },
    { typed: ['export', 'session.json'], hint: /atproto-oauth export > session\.json$/ },
    { typed: ['proof', PROOF_URL, 'get'], hint: /proof GET https:\/\/pds\.fake\.dev/ },
    { typed: ['proof', PROOF_URL], says: /missing argument url/, hint: /^atproto-oauth proof GET https:\/\/pds\./ },
    {
      typed: ['proof', 'get', PROOF_URL.slice('https://'.length)],
      says: /invalid URL/,
      hint: /proof GET https:\/\/pds\./,
    },
    { typed: ['proof', 'GET', `'${PROOF_URL}'\n`], says: /invalid URL/, hint: /proof GET https:\/\/\S+getSession$/ },
    ...[
      ['GET', 'alice:canary@pds.fake.dev/xrpc/a.b.c'],
      ['GET', 'ftp://alice:canary@pds.fake.dev/xrpc/a.b.c'],
      ['https://alice:canary@pds.fake.dev/xrpc/a.b.c', 'GET'],
    ].map((words) => ({
      typed: ['proof', ...words],
      says: /^invalid (?:URL|HTTP method) "pds\.fake\.dev\/xrpc\/a\.b\.c"/,
      hint: /proof --help$/,
    })),
    { typed: ['proof', 'https://alice:canary@pds.fake.dev/xrpc/a.b.c'], hint: /proof --help$/ },
    {
      typed: ['proof', 'GET', 'pds.fake.dev:8443/xrpc/a.b.c'],
      says: /invalid URL/,
      hint: /proof GET https:\/\/pds\.fake\.dev:8443\/xrpc\/a\.b\.c$/,
    },
    { typed: ['proof', 'curl', PROOF_URL], says: /"curl": use one of GET, HEAD, POST/, hint: /proof --help$/ },
    { typed: ['init', ALICE, 'post'], hint: / init alice\.fake\.dev --for post$/ },
    { typed: ['init', ALICE, 'post', 'dm'], hint: / init alice\.fake\.dev --for post --for dm$/ },
    { typed: ['init', ALICE, 'post', '--for', 'post'], hint: / init alice\.fake\.dev --for post --for post$/ },
    { typed: ['lease', '1h'], hint: / lease --at-least 1h$/ },
    {
      typed: ['lease', '1h', '--account', ALICE],
      hint: / lease --at-least 1h --account alice\.fake\.dev$/,
    },
    { typed: ['proof', 'GET', 'com.atproto.server.getSession'], hint: /\/xrpc\/com\.atproto\.server\.getSession$/ },
    { typed: ['proof', 'GET', PROOF_URL, 'curl', '-s'], hint: /-- before curl/ },
    {
      typed: ['proof', 'GET', PROOF_URL.replace('://', '://me:hunter2@')],
      says: /user name or password/,
      hint: / proof GET https:\/\/[^@]*$/,
    },
    {
      typed: ['call', 'app.bsky.feed.getAuthorFeed?actor=a.example&filter=posts%20with'],
      code: 'NSID_INVALID',
      hint: /call app\.bsky\.feed\.getAuthorFeed actor=a\.example 'filter=posts with'$/,
    },
    { typed: ['completion', '/usr/bin/zsh'], hint: /completion zsh$/ },
    {
      typed: ['call', 'GET', 'com.atproto.server.getSession'],
      code: 'NSID_INVALID',
      hint: /call com\.atproto\.server/,
    },
  ],
  'numbers, times and truth values': [
    { typed: [...LIST, 'limit=ten'], says: /whole number/, hint: /listRecords/ },
    { typed: [...LIST, 'reverse=yes'], says: /true or false/, hint: /listRecords/ },
    { typed: [...LIST, '--timeout', '0'], says: /such as 5m/, hint: /call --help$/ },
    { typed: [...LIST, '--items'], hint: /^add --paginate$/ },
    { typed: ['refresh', '--if-older-than', 'PT5M'], hint: /--if-older-than 30m$/ },
    { typed: ['lease', '--at-least', '5 minutes'], hint: /--at-least 30m$/ },
    { typed: ['status', '--warn-days', '3d'], hint: /--warn-days 3$/ },
    { typed: ['status', '--warn-days', '1e9'], hint: /--warn-days 3$/ },
  ],
  'JSON, files and stdin as other tools write them': [
    { typed: [...CREATE, "record={'text':'x'}"], says: /record is not JSON/, hint: /double quotes/ },
    { typed: [...CREATE, 'record={\u201ctext\u201d:\u201cx\u201d}'], says: /typographic/, hint: /double quotes/ },
    { typed: [...CREATE, 'record={"text":NaN}'], says: /record is not JSON/, hint: /double quotes/ },
    { typed: [...CREATE, 'text=hello'], says: /has no field "text"/, hint: /record:=/ },
    { typed: [...CREATE, '-d', 'body.json'], says: /name of a file/, hint: /-d @body\.json$/ },
    { typed: [...CREATE, '-d', 'repo=x&collection=y'], says: /a form/, hint: /key=value/ },
    { typed: [...CREATE, '-d', '@-'], says: /stdin is empty/, hint: /< body\.json$/ },
    { typed: [...UPLOAD, '--upload', '@cat.png'], says: /no such file/, hint: /^omit the @: cat\.png$/ },
    { typed: [...UPLOAD, '--upload', 'https://a.dev/cat.png'], hint: /curl -fsSLO https:\/\/a\.dev\/cat\.png$/ },
    { typed: [...UPLOAD, '--upload', '~nobody/cat.png'], hint: /\$HOME/ },
    { typed: ['call', '--batch', 'requests.jsonl'], says: /no such file/, hint: /correct the path/ },
    { typed: ['complete', '-'], says: /stdin is empty/, hint: /at a terminal/ },
    { typed: ['complete', '--state-file', '-'], hint: /--state-file login\.json$/ },
    { typed: ['import', '-'], stdin: 'A=1', code: 'CREDENTIALS_INVALID', hint: /stored session of the account/ },
  ],
  'headers, services and clients': [
    { typed: [...LIST, '-H', 'accept-language=de'], hint: /-H 'accept-language: de'$/ },
    { typed: [...LIST, '-H', 'Authorization: Bearer x'], says: /set by this tool/, hint: /call --help$/ },
    { typed: [...LIST, '--proxy', 'http://127.0.0.1:3128'], hint: /HTTPS_PROXY/ },
    { typed: [...LIST, '--proxy', 'did:web:api.bsky.app'], says: /did#service/, hint: /--proxy appview/ },
    { typed: [...LIST, '--accept-labelers', 'mod.bsky.app'], hint: /resolveHandle handle=mod\.bsky\.app$/ },
    { typed: ['call', 'com.atproto.sync.subscribeRepos'], hint: /websocat/ },
    {
      typed: ['init', ALICE, '--redirect-uri', 'http://localhost:8080/cb'],
      code: 'CLIENT_INVALID',
      hint: /--redirect-uri http:\/\/127\.0\.0\.1:8080\/cb$/,
    },
    { typed: ['init', ALICE, '--client-id', './client.json'], code: 'CLIENT_INVALID', hint: /init --help$/ },
    { typed: ['status'], env: { ATPROTO_OAUTH_DEV: 'yes' }, says: /must be 1 or unset/, hint: /status --help$/ },
    { typed: ['--plc-url', 'plc.directory', 'status'], says: /https origin/, hint: /--plc-url https:\/\// },
  ],
  'a program to run': [
    { typed: ['exec', 'node', 'bot.js'], hint: /^atproto-oauth run --help$/ },
    { typed: ['run', '-p', '8080', 'node'], ...NOT_RUN, hint: /^choose the port with --listen 8080$/ },
    { typed: ['run', '--readonly', 'node'], ...NOT_RUN, hint: /^add --read-only$/ },
    { typed: ['run', '--password', 'hunter2', 'node'], ...NOT_RUN, hint: /gets a password for this run$/ },
    { typed: ['run', '--handle', ALICE, 'node'], ...NOT_RUN, hint: /^choose the session with --account$/ },
    { typed: ['run', '--env'], ...NOT_RUN, says: /^--env needs a value$/, hint: /^atproto-oauth run --help$/ },
    { typed: ['run', '--env', 'BSKY_HOST', 'node'], ...NOT_RUN, hint: /--env 'BSKY_HOST=\{url\}'$/ },
    { typed: ['run', '--env', 'P={pass}', 'node'], ...NOT_RUN, hint: /^write it as \{password\};/ },
    { typed: ['run', 'bot', '-p', '{password}'], ...NOT_RUN, says: /other users/, hint: /--env 'BSKY_PASSWORD=/ },
    { typed: ['run', '--as', 'goa', 'goat'], ...NOT_RUN, hint: /^write it as --as goat/ },
    { typed: ['run', '--allow', 'repo', 'node'], ...NOT_RUN, says: /invalid method pattern/, hint: /run --help$/ },
    { typed: ['run', '--listen', '--', 'node'], ...NOT_RUN, says: /^--listen needs a value$/, hint: /run --help$/ },
    { typed: ['run', '--allow', '--', 'node'], ...NOT_RUN, says: /^--allow needs a value$/, hint: /run --help$/ },
    { typed: ['run', '--for', 'post', 'node'], ...NOT_RUN, says: /"--for"$/, hint: /^permissions are .* --for post$/ },
    { typed: ['run', '--scope', 'atproto', 'node'], ...NOT_RUN, hint: /^permissions are requested at the login/ },
    { typed: ['run', '--env', 'export A={url}', 'node'], ...NOT_RUN, hint: /as in: --env 'A=\{url\}'$/ },
    { typed: ['run', '--env', 'A-B={url}', 'node'], ...NOT_RUN, hint: /as in: --env 'A_B=\{url\}'$/ },
    { typed: ['run', '--env', 'A={uri}', 'node'], ...NOT_RUN, hint: /^write it as \{url\};/ },
    {
      typed: ['run', '--allow', 'com.atproto.repo.createRecord,com.atproto.repo.*', 'node'],
      ...NOT_RUN,
      hint: /^repeat the option: --allow com\.atproto\.repo\.createRecord --allow 'com\.atproto\.repo\.\*'$/,
    },
    { typed: ['run', '--listen', '0.0.0.0:80', 'node'], ...NOT_RUN, says: /this machine only/, hint: /--listen 80$/ },
    { typed: ['run', '--format', 'json', 'node'], ...NOT_RUN, hint: /^omit it: the program gets the variables/ },
    { typed: ['run', 'node'], env: { ATPROTO_OAUTH_DEV: 'yes' }, ...NOT_RUN, hint: /run --help$/ },
  ],
  'a command of a group, and an option or a setting at the wrong place': [
    { typed: ['config', '--json', 'list'], hint: /^write options after list: atproto-oauth config list --json$/ },
    { typed: ['vault', '-q', 'list'], hint: /^write options after list: atproto-oauth vault list -q$/ },
    {
      typed: ['accounts', '--json', 'use', ALICE],
      hint: /^write options after use: atproto-oauth accounts use --json$/,
    },
    { typed: ['config', 'set', '--account', ALICE], hint: /^write the name of a setting without hyphens: account$/ },
    { typed: ['config', 'set', 'source', 'exec:true'], hint: /^set ATPROTO_OAUTH_SOURCE$/ },
    { typed: ['accounts', 'lst'], hint: /^atproto-oauth accounts$/ },
    { typed: ['accounts', 'remove', ALICE], says: /^unknown command "remove"$/, hint: /^atproto-oauth revoke --help$/ },
    { typed: ['accounts', 'us', ALICE], says: /^unknown command "us"$/, hint: /^atproto-oauth accounts --help$/ },
    { typed: ['accounts', 'use', ALICE, 'bob'], says: /for use:/, hint: /^atproto-oauth accounts use --help$/ },
    { typed: ['accounts', 'list', 'bogus'], says: /for list:/, hint: /^atproto-oauth accounts list --help$/ },
    { typed: ['accounts', 'rename', 'a', 'b'], hint: /^atproto-oauth accounts name --help$/ },
    { typed: ['accounts', 'name', ALICE, '--remove', 'posts'], hint: /accounts name alice\.fake\.dev --remove$/ },
    { typed: ['accounts', 'name', 'posts'], hint: /accounts name alice\.bsky\.social posts$/ },
    { typed: ['status', '--all', '--account', ALICE], says: /^--all cannot be used with --account$/, hint: /--help$/ },
  ],
}

describe.each(Object.entries(KINDS))('%s', (_, mistakes) => {
  test.each(mistakes.map((mistake) => [[...mistake.typed, mistake.env ?? ''].join(' ').trim(), mistake] as const))(
    '%s',
    async (_, { typed, stdin = '', env = {}, exit = 2, code = 'USAGE', says = /./, hint }) => {
      const world = createFakeWorld()
      const { stdout, stderr, ...ran } = await run(world, ['--json', ...typed], { env, stdin })
      const error = JSON.parse(stderr)
      expect({ ...error, ran: ran.code, stdout }).toMatchObject({
        ...{ exit, ran: exit, code, stdout: '', session: 'none' },
        message: expect.stringMatching(says),
        hint: expect.stringMatching(hint),
      })
      expect(stderr).not.toContain('hunter2')
      expect(world.requests).toStrictEqual([])
    },
  )
})

describe('save targets', () => {
  test.each([
    ['store,file:x.env', '--save store --save file:x.env'],
    ['gh:https://github.com/alice/blog.git', '--save gh:alice/blog'],
    ['session.env', '--save file:session.env'],
    ['keychain', '--save vault'],
  ])('--save %s', async (target, hint) => {
    const { normalizeTarget } = await import('../../src/node/save/targets.ts')
    const { hintOf } = await import('../../src/cli/errors.ts')
    const error = (() => {
      try {
        return normalizeTarget(target)
      } catch (thrown) {
        return thrown as Parameters<typeof hintOf>[0]
      }
    })()
    expect(hintOf(error as Parameters<typeof hintOf>[0])).toContain(hint)
  })
})

test('a text in another encoding, and a folder in place of a file', async () => {
  const folder = await tempFolder()
  await mkdir(join(folder, 'folder.json'))
  await writeFile(join(folder, 'utf16.json'), Buffer.from('\ufeff{}', 'utf16le'))
  const hintAt = async (name: string) => {
    const { stderr } = await run(createFakeWorld(), ['--json', ...CREATE, `record=@${join(folder, name)}`])
    return JSON.parse(stderr).hint
  }
  expect(await hintAt('utf16.json')).toMatch(/^save the text as UTF-8/)
  expect(await hintAt('folder.json')).toBe('name a file in this directory')
})
