import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { fakeNodeRuntime, run, signIn } from '../../support/cli.ts'
import { createFakeWorld } from '../../support/fake-atproto.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({
  ...(await load<object>()),
  nodeRuntime: fakeNodeRuntime,
}))

const CREATE = 'com.atproto.repo.createRecord'
const LIST = 'com.atproto.repo.listRecords'
const LISTED = [LIST, 'repo={did}', 'collection=a.b.c']

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'usage-first-'))
  await writeFile(join(folder, 'full.jsonl'), '{"line":1}\n')
  await writeFile(join(folder, 'batch.jsonl'), '{"nsid":"com.atproto.server.getSession"}\n')
})
afterAll(() => rm(folder, { recursive: true }))

/** `DIR` in an argument is the folder. */
const call = (...args: string[]) => run(createFakeWorld(), ['call', ...args.map((word) => word.replace('DIR', folder))])

test.each([
  ['an invalid method', ['foo'], 'NSID_INVALID'],
  ['a subscription', ['com.atproto.sync.subscribeRepos'], 'USAGE'],
  ['a method in another case', ['com.atproto.repo.createrecord'], 'USAGE'],
  ['a missing field', [CREATE, 'repo={did}'], 'USAGE'],
  ['an unknown field', [...LISTED, 'limt=5'], 'USAGE'],
  ['an unknown placeholder', [LIST, 'repo={dod}', 'collection=a.b.c'], 'USAGE'],
  ['text for a number', [...LISTED, 'limit=many'], 'USAGE'],
  ['a placeholder for a number', [...LISTED, 'limit={did}'], 'USAGE'],
  ['a body that is not JSON', [CREATE, '-d', '{'], 'USAGE'],
  ['a body for a query', [...LISTED, '-d', '{}'], 'USAGE'],
  ['a reserved header', [...LISTED, '-H', 'dpop: x'], 'USAGE'],
  ['a malformed service', [...LISTED, '--proxy', 'nowhere'], 'USAGE'],
  ['--items without --paginate', [...LISTED, '--items'], 'USAGE'],
  ['--paginate for a procedure', ['com.atproto.server.requestEmailConfirmation', '--paginate'], 'USAGE'],
  ['an output file in a missing folder', [...LISTED, '-o', 'DIR/none/x'], 'USAGE'],
  ['a batch into a file with content', ['--batch', 'DIR/batch.jsonl', '-o', 'DIR/full.jsonl'], 'USAGE'],
  [
    'a batch resumed from a file that is no result',
    ['--batch', 'DIR/batch.jsonl', '-o', 'DIR/batch.jsonl', '--resume'],
    'USAGE',
  ],
])('%s is reported before the session is looked for', async (_, args, code) => {
  const result = await call(...args)
  expect(result).toMatchObject({ code: 2, stdout: '' })
  expect(result.stderr).toContain(`[${code}]`)
  expect(result.stderr).not.toContain('session:')
})

test.each([
  ['an invalid method', ['foo', '-d', '@-'], '[NSID_INVALID]'],
  ['a range of media types', ['com.example.send', '-d', '@-', '-H', 'content-type: */*'], 'not a range [USAGE]'],
  [
    'a range of media types for a missing file',
    ['com.example.send', '--upload', 'none', '-H', 'content-type: */*'],
    'not a range [USAGE]',
  ],
])('%s is reported before stdin or a file is read', async (_, args, message) => {
  const stdin = { [Symbol.asyncIterator]: () => expect.unreachable() } as unknown as import('node:stream').Readable
  const { code, stderr } = await run(createFakeWorld(), ['call', ...args], { stdin })
  expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining(message) })
})

test('without a session, no output file is left behind', async () => {
  expect(await call(...LISTED, '-o', 'DIR/new')).toMatchObject({ code: 5 })
  expect(await call('--batch', 'DIR/batch.jsonl', '-o', 'DIR/new.jsonl')).toMatchObject({ code: 5 })
  await writeFile(join(folder, 'empty.jsonl'), '')
  expect(await call('--batch', 'DIR/batch.jsonl', '-o', 'DIR/empty.jsonl')).toMatchObject({ code: 5 })
  expect(existsSync(join(folder, 'empty.jsonl'))).toBe(true)
  await rm(join(folder, 'empty.jsonl'))
  expect((await readdir(folder)).sort()).toStrictEqual(['batch.jsonl', 'full.jsonl'])
})

describe('without a session', () => {
  test('--dry-run prints the request with its placeholders, and says so', async () => {
    const { code, stdout, stderr } = await call(...LISTED, '--dry-run')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^GET \/xrpc\/com\.atproto\.repo\.listRecords\?repo=\{did\}&collection=a\.b\.c\n/)
    expect(stderr).toBe('no session: the PDS and {did} are not filled in\n')
    const body = await call(CREATE, 'repo={did}', 'collection=a.b.c', 'record={"by":"{handle}"}', '--dry-run')
    expect(body.stdout).toContain('\n{"repo":"{did}","collection":"a.b.c","record":{"by":"{handle}"}}\n')
    expect(body.stderr).toBe('no session: the PDS, {did} and {handle} are not filled in\n')
  })

  test('--explain prints what the request requires, as unknown', async () => {
    const { code, stdout, stderr } = await call(CREATE, 'repo={did}', 'collection=a.b.c', 'record={}', '--explain')
    expect({ code, stdout }).toStrictEqual({ code: 0, stdout: 'unknown  repo:a.b.c?action=create\n' })
    expect(stderr).toBe('no session: which permissions are granted is unknown\n')
  })

  test('an account that is named is looked for', async () => {
    const { code, stderr } = await call(...LISTED, '--dry-run', '--account', 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa')
    expect({ code, stderr }).toMatchObject({ code: 5, stderr: expect.stringContaining('[SESSION_MISSING]') })
  })
})

test('with a session, --dry-run fills placeholders in', async () => {
  const world = createFakeWorld()
  const env = await signIn(world)
  const { stdout } = await run(world, ['call', ...LISTED, '--dry-run'], { env })
  expect(stdout).toContain(`repo=${encodeURIComponent(world.alice.did)}&collection=a.b.c\n`)
  expect(stdout).toMatch(/^GET https:/)
})

test('a scope of an unknown permission is rejected before the handle is resolved', async () => {
  const world = createFakeWorld()
  const { code, stderr } = await run(world, ['init', 'nobody.fake.dev', '--scope', 'foo'])
  expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('unknown permission "foo"') })
  const task = await run(world, ['init', 'nobody.fake.dev', '--scope', 'post'])
  expect(task.stderr).toContain('hint: request it as a task: --for post\n')
})

test('a misspelt method is not sent, unless -X insists', async () => {
  const world = createFakeWorld()
  const env = await signIn(world)
  const before = world.requests.length
  const words = ['call', 'com.atproto.repo.createRecrod', 'repo={did}', 'collection=a.b.c', 'record:={}']
  const refused = await run(world, words, { env })
  expect(refused).toMatchObject({ code: 2, stdout: '' })
  expect(refused.stderr).toContain('did you mean com.atproto.repo.createRecord? [USAGE]\n')
  expect(refused.stderr).toContain('hint: write com.atproto.repo.createRecord; to send the method as written, add -X')
  expect(world.requests.length).toBe(before)
  await run(world, [...words, '-X', 'POST'], { env })
  expect(world.requests.at(-1)?.url).toContain('/xrpc/com.atproto.repo.createRecrod')
})

test('--describe names the method that was meant', async () => {
  const { code, stderr } = await call('com.atproto.repo.createRecrod', '--describe')
  expect(code).toBe(2)
  expect(stderr).toContain('hint: atproto-oauth call com.atproto.repo.createRecord --describe\n')
})

test.each(['0', '-1', '1.5', 'soon', ''])('--timeout %j is no timeout', async (text) => {
  expect(await call('com.atproto.server.getSession', '--timeout', text)).toMatchObject({ code: 2, stdout: '' })
})

test.each([['--proxy', 'chat'], ['--accept-labelers', 'did:web:x.y'], ['--items'], ['--list'], ['--describe']])(
  '%s cannot be used with --batch',
  async (...words) => {
    const { code, stderr } = await call('--batch', 'DIR/batch.jsonl', '--timeout', '2m', ...words)
    expect(code).toBe(2)
    expect(stderr).toContain(`${words[0]} cannot be used with --batch [USAGE]`)
    expect(stderr).toContain(`batch.jsonl --timeout 120\n`)
  },
)
