import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { explainRequest } from '../../../src/cli/call/explain.ts'
import type { Context } from '../../../src/cli/context.ts'
import type { CliIO } from '../../../src/cli/io.ts'
import { createOutput } from '../../../src/cli/output.ts'
import type { SessionRecord } from '../../../src/model.ts'
import type { XrpcRequest } from '../../../src/protocol/xrpc/request.ts'

const POST = 'app.bsky.feed.post'
const PUT: XrpcRequest = { nsid: 'com.atproto.repo.putRecord', body: JSON.stringify({ collection: POST }) }
const [CREATE, UPDATE] = [`repo:${POST}?action=create`, `repo:${POST}?action=update`]

/** There is nothing in this session that could send. */
async function explained(request: XrpcRequest, scope: string | undefined, { json = false } = {}) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const output = createOutput({ stdout, stderr, environment: {} } as unknown as CliIO, { json })
  output.sessionInvolved()
  const record = () => ({ handle: 'alice.fake.dev', scope }) as unknown as SessionRecord
  const code = await explainRequest(request, { record }, { output } as unknown as Context).then(
    () => output.finish(),
    (error) => output.finish(error),
  )
  return { code, stdout: await text(stdout.end()), stderr: await text(stderr.end()) }
}

test('all granted: 0, a line for each permission', async () => {
  expect(await explained(PUT, `atproto repo:${POST}`)).toStrictEqual({
    code: 0,
    stdout: `granted  ${CREATE}\ngranted  ${UPDATE}\n`,
    stderr: '',
  })
})

test('14.6 one missing: 7, with the command that asks for it on top of what there is', async () => {
  const { code, stdout, stderr } = await explained(PUT, `atproto ${CREATE}`)
  expect(code).toBe(7)
  expect(stdout).toBe(`granted  ${CREATE}\nmissing  ${UPDATE}\n`)
  expect(stderr).toContain('[PERMISSION_MISSING]')
  expect(stderr).toContain('session: still valid')
  expect(stderr).toContain(`init alice.fake.dev --scope 'atproto ${CREATE} ${UPDATE}'`)
})

test('--json: one object on stdout, and the error on stderr', async () => {
  const { code, stdout, stderr } = await explained(PUT, `atproto ${CREATE}`, { json: true })
  expect(code).toBe(7)
  expect(JSON.parse(stdout)).toStrictEqual({
    nsid: PUT.nsid,
    needs: 'scopes',
    scopes: [
      { scope: CREATE, state: 'granted' },
      { scope: UPDATE, state: 'missing' },
    ],
  })
  expect(JSON.parse(stderr)).toMatchObject({ code: 'PERMISSION_MISSING', exit: 7, session: 'alive' })
})

test('a session of which nobody knows what it was granted: unknown, and not missing', async () => {
  const { code, stdout, stderr } = await explained(PUT, undefined)
  expect(code).toBe(0)
  expect(stdout).toBe(`unknown  ${CREATE}\nunknown  ${UPDATE}\n`)
  expect(stderr).toContain('the granted scope is unknown')
})

test('26.6 a permission set that is not expanded: unknown, and not missing, beside what is known', async () => {
  const { code, stdout, stderr } = await explained(PUT, `atproto include:app.bsky.authFullApp ${CREATE}`)
  expect(code).toBe(0)
  expect(stdout).toBe(`granted  ${CREATE}\nunknown  ${UPDATE}\n`)
  expect(stderr).toContain('did not expand: what it contains is unknown')
  const { stdout: json } = await explained(PUT, 'atproto include:app.bsky.authFullApp', { json: true })
  expect(JSON.parse(json).scopes.map(({ state }: { state: string }) => state)).toStrictEqual(['unknown', 'unknown'])
})

test('26.6 what no permission set can contain is missing', async () => {
  const upload = { nsid: 'com.atproto.repo.uploadBlob', headers: { 'content-type': 'image/png' } }
  const { code, stdout } = await explained(upload, 'atproto include:app.bsky.authFullApp')
  expect({ code, stdout }).toStrictEqual({ code: 7, stdout: 'missing  blob:image/png\n' })
})

test.each([
  ['com.atproto.server.getSession', 'none', 'requires no permission'],
  ['com.example.getThing', 'unknown', 'its permissions are unknown'],
])('%s: %s', async (nsid, needs, note) => {
  expect(await explained({ nsid }, 'atproto')).toMatchObject({
    code: 0,
    stdout: '',
    stderr: expect.stringContaining(note),
  })
  expect(JSON.parse((await explained({ nsid }, 'atproto', { json: true })).stdout)).toStrictEqual({
    nsid,
    needs,
    scopes: [],
  })
})

test('26.1 of a method that servers may reject for OAuth sessions, that is said, and no more is known', async () => {
  const { code, stdout, stderr } = await explained({ nsid: 'com.atproto.server.createAppPassword' }, 'atproto')
  expect({ code, stdout }).toStrictEqual({ code: 0, stdout: '' })
  expect(stderr).toMatch(/^atproto-oauth: warning: com\.atproto\.server\.createAppPassword: .*account password\n$/)
})

test('26.1 deactivateAccount has a permission', async () => {
  const { code, stdout, stderr } = await explained({ nsid: 'com.atproto.server.deactivateAccount' }, 'atproto')
  expect({ code, stdout }).toStrictEqual({ code: 7, stdout: 'missing  account:status?action=manage\n' })
  expect(stderr).toContain('it ends all sessions of the account')
  expect(stderr).toContain("--scope 'atproto account:status?action=manage'")
})
