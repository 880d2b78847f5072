import { expect, test, vi } from 'vitest'
import { fakeNodeRuntime, run } from '../support/cli.ts'
import { createFakeWorld } from '../support/fake-atproto.ts'

vi.mock('../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

const NSID = 'com.atproto.server.getSession'
const ASKED = ['--home', '/nowhere']

test.each([
  ['an option that the parser does not know', ['call', '--bogus'], 'call --help'],
  ['one of a command below a command', ['client', 'new', '--bogus'], 'client new --help'],
  ['an argument too many', ['status', 'alice'], 'status --help'],
  ['an argument too few', ['proof', 'GET'], 'proof --help'],
  ['a choice that is none', ['lease', '--format', 'xml'], 'lease --help'],
  ['a value that its option refuses', ['init', 'alice.fake.dev', '--for', 'everything'], 'init --help'],
  ['a command below it left out', ['client'], 'client --help'],
  ['a command that is none', ['cal'], '--help'],
  ['a command left out', [], '--help'],
  ['an option with a value before the command', [...ASKED, 'call', '--bogus'], 'call --help'],
  ['found out by the command', ['call', '--batch', 'f', '--concurrency', '0'], 'call --help'],
  ['found out by a command below a command', ['client', 'new'], 'client new --help'],
])('a usage error names the help of its own command: %s', async (_, args, hint) => {
  const { code, stdout, stderr } = await run(createFakeWorld(), args)
  expect({ code, stdout }).toStrictEqual({ code: 2, stdout: '' })
  expect(stderr).toContain(`\natproto-oauth: hint: atproto-oauth ${hint}\n`)
  const asJson = await run(createFakeWorld(), [...args, '--json'])
  expect(JSON.parse(asJson.stderr)).toMatchObject({ code: 'USAGE', hint: `atproto-oauth ${hint}` })
})

test.each([
  ['JSON that the shell has split', [NSID, 'repo={did}', 'record={', 'text: x', '}'], `record:='{"text":"hello"}'`],
  [
    'an option for one request beside --batch',
    ['--batch', 'r.jsonl', '-X', 'GET'],
    'omit --method: atproto-oauth call --batch r.jsonl',
  ],
])('what is wrong with the words of call comes before the session, with what to type: %s', async (_, args, hint) => {
  const { code, stdout, stderr } = await run(createFakeWorld(), ['call', ...args])
  expect({ code, stdout }).toStrictEqual({ code: 2, stdout: '' })
  expect(stderr).toContain(hint)
})

test('a hint that says more stays as it is', async () => {
  const { stderr } = await run(createFakeWorld(), ['call'])
  expect(stderr).toContain('\natproto-oauth: hint: atproto-oauth call --list\n')
})

test.each(['init', 'login', 'doctor'])('%s: what is no account is hinted with the same command', async (command) => {
  for (const [identifier, meant] of [
    ['a', 'alice.bsky.social'],
    ['bob', 'bob.bsky.social'],
    ['https://pds.fake.dev/x', 'https://pds.fake.dev'],
    ['https://bsky.app/profile/alice.example', 'alice.example'],
    ['bsky.social', 'https://bsky.social'],
  ]) {
    const { code, stderr } = await run(createFakeWorld(), [command, identifier!, '--dev'])
    expect(code).toBe(2)
    expect(stderr).toContain(`\natproto-oauth: hint: atproto-oauth ${command} ${meant} --dev\n`)
  }
})

test.each(['init', 'login'])('%s: the hint keeps the options of the command', async (command) => {
  const options = ['--for', 'post', '--for', 'dm', '--scope', 'account:email identity:*', '--prompt', 'login']
  const flags = "--for post --for dm --scope 'account:email identity:*' --prompt login"
  for (const [identifier, meant] of [
    ['bob', 'bob.bsky.social'],
    ['bob@example.com', 'https://bsky.social'],
  ]) {
    const { stderr } = await run(createFakeWorld(), [command, identifier!, ...options, '--dev'])
    expect(stderr).toContain(`atproto-oauth ${command} ${meant} ${flags} --dev\n`)
    expect(stderr).not.toContain('session:')
  }
  if (command === 'init') return
  const { stderr } = await run(createFakeWorld(), ['login', 'bob', '--save', 'store', '--format', 'json'])
  expect(stderr).toContain('hint: atproto-oauth login bob.bsky.social --format json --save store\n')
})

test.each(['init', 'doctor'])('%s: a client that is none is hinted with its own help', async (command) => {
  const { stderr } = await run(createFakeWorld(), [command, 'alice.fake.dev', '--client-id', 'https:'])
  expect(stderr).toContain('[CLIENT_INVALID]\n')
  expect(stderr).toContain(`\natproto-oauth: hint: atproto-oauth ${command} --help\n`)
})

test('an --account that is none is hinted with the flag', async () => {
  const { code, stderr } = await run(createFakeWorld(), ['call', NSID, '--account', 'alice'])
  expect(code).toBe(2)
  expect(stderr).toContain('[IDENTIFIER_INVALID]\n')
  expect(stderr).toContain('\natproto-oauth: hint: choose one of the accounts, as in: --account alice.bsky.social\n')
})

test.each([
  [['init', 'jane'], 'atproto-oauth init jane.bsky.social'],
  [['init', 'https://bsky.app/profile/jane.example.com/post/3k'], 'atproto-oauth init jane.example.com'],
  [
    ['doctor', 'https://bsky.app/profile/did:plc:y5vqoeppujadi5nyd2ryfqsm'],
    'atproto-oauth doctor did:plc:y5vqoeppujadi5nyd2ryfqsm',
  ],
  [
    ['init', 'jane@example.com'],
    'use the handle, or type the e-mail address on the sign-in page of your server: atproto-oauth init https://bsky.social',
  ],
  [
    ['init', 'did:plc:y5vqoeppujadi5nyd2ryfq'],
    'check the spelling of the DID (did:plc: and 24 characters of a-z and 2-7), or use the handle of the account',
  ],
  [['call', 'https://pds.example.com/xrpc/com.example.getThing?x=1'], 'atproto-oauth call com.example.getThing x=1'],
  [['call', 'GET', 'com.atproto.server.getSession'], 'atproto-oauth call com.atproto.server.getSession'],
  [['call', 'listrecords'], 'atproto-oauth call com.atproto.repo.listRecords repo={did} collection=app.bsky.feed.post'],
  [['call', 'nothing'], 'atproto-oauth call --list'],
  [
    ['call', 'com.atproto.repo.createRecord', '--batch', 'all.jsonl', '--resume', '-o', 'out.jsonl'],
    'atproto-oauth call --batch all.jsonl -o out.jsonl --resume',
  ],
])('%j is hinted with what was meant', async (args, hint) => {
  const { code, stderr } = await run(createFakeWorld(), args)
  expect(code).toBe(2)
  expect(stderr).toContain(`\natproto-oauth: hint: ${hint}\n`)
  expect(stderr).not.toContain('session:')
})

test('an --account that only --dev allows is hinted with --dev', async () => {
  const { stderr } = await run(createFakeWorld(), ['call', NSID, '--account', 'alice.test'])
  expect(stderr).toContain('\natproto-oauth: hint: for a server on this machine, add --dev\n')
})

test.each([
  [['help', 'cal'], 'unknown command "cal": did you mean call? [USAGE]'],
  [['client', 'help', 'nope'], 'unknown command "nope" [USAGE]'],
  [['init', 'a.dev', '--scopes', 'atproto'], 'unknown option "--scopes": did you mean --scope? [USAGE]'],
  [
    ['init', 'a.dev', '--prompt', 'none'],
    'invalid value "none" for --prompt: use one of login, consent, select_account, create [USAGE]',
  ],
  [
    ['call', NSID, '--limit-pages', '0'],
    'invalid value "0" for --limit-pages: it must be a whole number of pages, at least 1 [USAGE]',
  ],
  [['call', '-d'], '--data needs a value [USAGE]'],
  [['proof', 'GET'], 'missing argument url [USAGE]'],
  [['init', 'a.dev', 'b.dev'], 'too many arguments for init: expected 1 argument, got 2 [USAGE]'],
  [['refresh', '--adopt', '--shared'], '--shared cannot be used with --adopt [USAGE]'],
  [
    ['init', 'al\u202eice.dev'],
    '"alice.dev" is not a handle, a DID or a server URL: it contains invisible characters [IDENTIFIER_INVALID]',
  ],
])('%j: %s, and no session is spoken of', async (args, message) => {
  const { code, stdout, stderr } = await run(createFakeWorld(), args)
  expect({ code, stdout }).toStrictEqual({ code: 2, stdout: '' })
  expect(stderr.replace(/\s+/g, ' ')).toContain(message)
  expect(stderr).not.toContain('session: ')
})

test.each([
  ['logout', 'revoke'],
  ['list', 'accounts'],
  ['sessions', 'accounts'],
  ['version', '--version'],
  ['scopes', 'scope explain --help'],
  ['permissions', 'scope explain --help'],
])('%s is a command of other programs: the hint is %s', async (command, hint) => {
  const { code, stderr } = await run(createFakeWorld(), [command])
  expect(code).toBe(2)
  expect(stderr).toBe(
    `atproto-oauth: error: unknown command "${command}" [USAGE]\natproto-oauth: hint: atproto-oauth ${hint}\n`,
  )
})

test.each([
  [['scope', 'atproto blob:*/*'], "scope explain 'atproto blob:*/*'"],
  [['scope', 'atproto', 'blob:*/*'], "scope explain 'atproto blob:*/*'"],
  [['scope', 'show'], 'scope explain'],
])('the name of the subcommand was omitted, or guessed: %j', async (args, hint) => {
  const { code, stderr } = await run(createFakeWorld(), args)
  expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining(`hint: atproto-oauth ${hint}\n`) })
})

test.each([
  [['status', 'alice.example'], 'status --account alice.example'],
  [['status', '--json', '@alice.example'], 'status --json --account alice.example'],
  [['--home', '/a b', 'revoke', 'did:web:a.dev'], "--home '/a b' revoke --account did:web:a.dev"],
])('an account as an argument: %j', async (args, hint) => {
  const { code, stderr } = await run(createFakeWorld(), args)
  expect(code).toBe(2)
  if (args.includes('--json')) expect(JSON.parse(stderr)).toMatchObject({ hint: `atproto-oauth ${hint}` })
  else expect(stderr).toContain(`hint: atproto-oauth ${hint}\n`)
})

test.each([
  ['alice.example/', 'choose one of the accounts, as in: --account alice.example'],
  ['https://bsky.app/profile/alice.example', 'choose one of the accounts, as in: --account alice.example'],
  ['alice@fake.dev', 'choose one of the accounts, as in: --account alice.bsky.social'],
])('--account %s', async (account, hint) => {
  const { code, stderr } = await run(createFakeWorld(), ['status', '--account', account])
  expect(code).toBe(2)
  expect(stderr).toContain(`hint: ${hint}`)
})
