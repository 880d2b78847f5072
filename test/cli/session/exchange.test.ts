/** `export` and `import` at the command line. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { parseDotenv } from '../../../src/credentials/dotenv.ts'
import { fakeNodeRuntime, run, signIn } from '../../support/cli.ts'
import { createFakeWorld, type FakeWorld } from '../../support/fake-atproto.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

const folder = await mkdtemp(join(tmpdir(), 'atproto-oauth-exchange-'))
afterAll(() => rm(folder, { recursive: true }))

/** A session in the environment, and what `export` prints of it. */
async function exported(...more: string[]) {
  const world = createFakeWorld()
  const env = await signIn(world)
  const ran = await run(world, ['export', ...more], { env })
  expect(ran.code, ran.stderr).toBe(0)
  return { world, env, ...ran, clientId: env['ATPROTO_OAUTH_CLIENT_ID']! }
}

const isHere = async (world: FakeWorld) => (await run(world, ['lease', '--quiet'], {})).code === 0

describe('export', () => {
  test('prints one line of JSON, and says what has to be done with it and with what is left', async () => {
    const { world, stdout, stderr, clientId } = await exported()
    expect(stdout).toMatch(/^\{.+\}\n$/)
    expect(JSON.parse(stdout)).toMatchObject({ tokenSet: { sub: world.alice.did } })
    expect(stderr).toContain(`atprotoLoopbackClientMetadata(client_id)):\n  ${clientId}\n`)
    expect(stderr).toMatch(/^atproto-oauth: warning: delete the session from the environment/m)
    expect(await isHere(world)).toBe(false)
    expect((await run(world, ['status'])).stdout).toContain('exported (handed over')
    expect(await run(world, ['status', '--warn-days', '1'])).toMatchObject({
      code: 5,
      stderr: expect.stringMatching(/\[SESSION_MISSING\]\n.+ still valid/),
    })
  })

  test('--keep says what becomes of two owners', async () => {
    const { world, stderr } = await exported('--keep')
    expect(stderr).toMatch(/^atproto-oauth: warning: the session was kept here too/m)
    expect(await isHere(world)).toBe(true)
  })

  test('of the store leaves nothing to be deleted elsewhere', async () => {
    const { world } = await exported('--keep')
    const { stderr, code } = await run(world, ['export', '--account', world.alice.did])
    expect(code).toBe(0)
    expect(stderr).not.toContain('warning')
    expect(await isHere(world)).toBe(false)
  })

  test.each(['EPIPE', 'ENOSPC'])('that nobody takes (%s) is no end of it', async (code) => {
    const world = createFakeWorld()
    const env = await signIn(world)
    const failing = Object.assign(new Error('x'), { code })
    const { code: exit, stderr } = await run(world, ['export'], { env, stdoutError: failing })
    expect(exit).toBe(10)
    expect(stderr).toMatch(/could not be exported \(.+\), and is still stored here \[OUTPUT_FAILED\]/)
    expect(stderr).toContain('session: still valid')
    expect(await isHere(world)).toBe(true)
  })
})

describe('import', () => {
  test('prints the credentials in a format, as complete does, and says to delete the original', async () => {
    const { world, env, stdout: stdin, clientId } = await exported()
    const tokens = world.sent('token').length
    const ran = await run(world, ['import', '-', '--client-id', clientId], { stdin })
    expect(ran.code, ran.stderr).toBe(0)
    expect(parseDotenv(ran.stdout)).toStrictEqual({
      ...env,
      ATPROTO_OAUTH_REFRESH_TOKEN: JSON.parse(stdin).tokenSet.refresh_token,
      ATPROTO_OAUTH_ROTATION: '1',
    })
    expect(ran.stderr).toContain(`imported the session of ${world.alice.did}`)
    expect(ran.stderr).toMatch(/^atproto-oauth: warning: delete this session in the other program/m)
    expect(world.sent('token')).toHaveLength(tokens)
    expect((await run(world, ['refresh'], { env: parseDotenv(ran.stdout) })).code).toBe(0)
  })

  test('reads a file, takes the client_id from its variable, and saves', async () => {
    const { world, stdout, clientId } = await exported()
    const file = join(folder, 'session.json')
    await writeFile(file, `\ufeff${stdout}`)
    const env = { ATPROTO_OAUTH_CLIENT_ID: clientId }
    const ran = await run(world, ['import', file, '--save', 'store'], { env })
    expect(ran, ran.stderr).toMatchObject({ code: 0, stdout: '' })
    expect(await isHere(world)).toBe(true)
  })

  test('needs the client_id, and knows which it probably is', async () => {
    const { world, stdout } = await exported()
    const none = await run(world, ['import'], { stdin: stdout })
    expect(none).toMatchObject({ code: 2, stdout: '' })
    expect(none.stderr).toContain('hint: pass the exact client_id')
    const value = JSON.parse(stdout)
    const claims = Buffer.from(JSON.stringify({ client_id: 'http://localhost?scope=atproto' })).toString('base64url')
    value.tokenSet.access_token = `e30.${claims}.e30`
    const named = await run(world, ['import'], { stdin: JSON.stringify(value) })
    expect(named.stderr).toContain("--client-id 'http://localhost?scope=atproto'")
  })

  test.each([
    ['nothing on stdin', [], '', 'the file argument is missing, and stdin is empty'],
    ['half a file', ['-'], '{"dpopJwk": {"d": "canary', 'is not valid JSON'],
    ['another file', [join(folder, 'none.json')], '', 'cannot read'],
    ['a folder', [folder], '', 'is a directory'],
    ['a whole database', ['-'], `"${'x'.repeat(300_000)}"`, 'stdin is too large'],
    ['a list', ['-'], '[]', 'the session is not an object'],
  ])('%s is refused with a hint', async (_, args, stdin, message) => {
    const ran = await run(createFakeWorld(), ['import', ...args, '--client-id', 'http://localhost'], { stdin })
    expect(ran).toMatchObject({ code: 2, stdout: '' })
    expect(ran.stderr).toContain(message)
    expect(ran.stderr).toMatch(/^atproto-oauth: hint: .+$/m)
    expect(ran.stderr).not.toContain('canary')
  })

  test('a client_id that no client can have is refused', async () => {
    const { world, stdout } = await exported()
    for (const clientId of ['alice', 'http://evil.example.com/', 'http://localhost?scope=x']) {
      const ran = await run(world, ['import', '--client-id', clientId], { stdin: stdout })
      expect(ran, clientId).toMatchObject({ code: 2, stderr: expect.stringContaining('[CLIENT_INVALID]') })
    }
  })
})
