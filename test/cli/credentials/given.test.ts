/** `ATPROTO_OAUTH_SOURCE`: when its program runs, and what comes before it. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { formatEntries } from '../../../src/credentials/write.ts'
import { callbackFor, fakeNodeRuntime, run, signIn } from '../../support/cli.ts'
import { createFakeWorld } from '../../support/fake-atproto.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'source-'))
})

/** A program that prints the variables, and counts its runs. */
function sourceOf(variables: Readonly<Record<string, string>>): string {
  writeFileSync(join(folder, 'kept'), formatEntries(Object.entries(variables), 'dotenv'))
  writeFileSync(join(folder, 'runs'), '')
  return `exec:echo run >> '${folder}/runs'; cat '${folder}/kept'`
}

const runs = () => readFileSync(join(folder, 'runs'), 'utf8').split('\n').length - 1

describe('the program is run', () => {
  test('once for a command that needs the session', async () => {
    const world = createFakeWorld()
    const env = { ATPROTO_OAUTH_SOURCE: sourceOf(await signIn(world)) }
    const status = await run(world, ['status'], { env })
    expect(status.stdout).toMatch(/^stored in {5}what ATPROTO_OAUTH_SOURCE prints only$/m)
    expect(runs()).toBe(1)
    expect(await run(world, ['call', 'com.atproto.server.getSession'], { env })).toMatchObject({ code: 0 })
    expect(runs()).toBe(2)
  })

  test.each([
    ['--help', ['call', '--help']],
    ['a login', ['init', 'alice.fake.dev']],
    ['the stored session that was chosen', ['status', '--account', 'did:plc:ewvi7nxzyoun6zhxrhs64oiz']],
  ])('never for %s', async (_, args) => {
    const world = createFakeWorld()
    await run(world, args, { env: { ATPROTO_OAUTH_SOURCE: sourceOf(await signIn(world)) } })
    expect(runs()).toBe(0)
  })

  test('never where variables have a session', async () => {
    const world = createFakeWorld()
    const variables = await signIn(world)
    const env = { ...variables, ATPROTO_OAUTH_SOURCE: sourceOf(variables) }
    const { stdout } = await run(world, ['status'], { env })
    expect(stdout).toContain('environment variables only')
    expect(runs()).toBe(0)
  })
})

test('it comes before the store, and its old copy of a session is not used', async () => {
  const world = createFakeWorld()
  const variables = await signIn(world)
  const env = { ATPROTO_OAUTH_SOURCE: sourceOf(variables) }
  expect(await run(world, ['refresh'], { env })).toMatchObject({ code: 0 })
  expect(await run(world, ['refresh'], { env })).toMatchObject({ code: 0 })
  expect(await run(world, ['call', 'com.atproto.server.getSession'], { env })).toMatchObject({ code: 0 })
})

describe('errors', () => {
  test('another kind of source', async () => {
    const { code, stderr } = await run(createFakeWorld(), ['status'], { env: { ATPROTO_OAUTH_SOURCE: 'pass show a' } })
    expect(code).toBe(2)
    expect(stderr).toContain('ATPROTO_OAUTH_SOURCE has to be exec: and a command [USAGE]')
    expect(stderr).toContain("hint: write it as in: ATPROTO_OAUTH_SOURCE='exec:pass show atproto/alice'")
  })

  test('a program that fails: no session is said to be valid', async () => {
    const env = { ATPROTO_OAUTH_SOURCE: 'exec:exit 4' }
    const { code, stderr } = await run(createFakeWorld(), ['status'], { env })
    expect(code).toBe(2)
    expect(stderr).toContain('from the command in ATPROTO_OAUTH_SOURCE: exit code 4 [SOURCE_FAILED]')
    expect(stderr).not.toContain('session:')
  })

  test.each([
    ['half of them', 'ATPROTO_OAUTH_REFRESH_TOKEN=ref-canary', 'CREDENTIALS_INCOMPLETE', 'DPOP_PRIVATE_JWK'],
    ['a bundle that was cut', 'eyJjYW5hcnkiOi', 'CREDENTIALS_INVALID', ': it is not a valid bundle, or was truncated'],
    ['one that is named', 'ATPROTO_OAUTH_SESSION=canary', 'CREDENTIALS_INVALID', ': ATPROTO_OAUTH_SESSION is not a'],
    ['a bundle of half of them', 'eyJ2ZXJzaW9uIjoxfQ', 'CREDENTIALS_INVALID', /: \w+ in the bundle is missing \[/],
    ['only a name', 'ATPROTO_OAUTH_DID=did:plc:canary', 'CREDENTIALS_INCOMPLETE', 'it contains no token and no key'],
  ])('%s: said of the program', async (_, text, code, why) => {
    const env = { ATPROTO_OAUTH_SOURCE: `exec:echo '${text}'` }
    const { stderr } = await run(createFakeWorld(), ['call', 'com.atproto.server.getSession'], { env })
    expect(stderr).toContain('what the command of ATPROTO_OAUTH_SOURCE printed cannot be used: ')
    expect(stderr).toMatch(why)
    expect(stderr).toContain(`[${code}]`)
    expect(stderr).toContain('hint: make the command of ATPROTO_OAUTH_SOURCE print all that `complete` printed')
    expect(stderr).not.toContain('canary')
  })

  test('with --json, what it printed to stderr is in the object', async () => {
    const env = { ATPROTO_OAUTH_SOURCE: 'exec:echo locked >&2; exit 1' }
    const { stderr } = await run(createFakeWorld(), ['status', '--json'], { env })
    expect(JSON.parse(stderr)).toMatchObject({ code: 'SOURCE_FAILED', stderr: 'locked' })
  })

  test('a session that was revoked here: the variable is unset, whatever the program printed', async () => {
    const world = createFakeWorld()
    const env = { ATPROTO_OAUTH_SOURCE: sourceOf(await signIn(world)) }
    const revoked = await run(world, ['revoke'], { env })
    expect(revoked.stderr).toContain(
      'delete it from the secret store that the command of ATPROTO_OAUTH_SOURCE reads too',
    )
    const { code, stderr } = await run(world, ['call', 'com.atproto.server.getSession'], { env })
    expect(code).toBe(5)
    expect(stderr).toContain('hint: unset ATPROTO_OAUTH_SOURCE; if no other session is stored here, sign in again:')
    const { stderr: told } = await run(world, ['status'], { env })
    expect(told).toContain('Unset ATPROTO_OAUTH_SOURCE, then sign in again:')
  })

  test('doctor reports a program that fails', async () => {
    const { stdout } = await run(createFakeWorld(), ['doctor'], { env: { ATPROTO_OAUTH_SOURCE: 'exec:exit 4' } })
    expect(stdout).toMatch(/^xx +environment +cannot read credentials from the command/m)
  })
})

test('a bundle is read as one', async () => {
  const world = createFakeWorld()
  const callback = await callbackFor(world)
  const { stdout } = await run(world, ['complete', callback, '--format', 'bundle'])
  const env = { ATPROTO_OAUTH_SOURCE: `exec:echo ${stdout.trim()}` }
  const { stdout: status } = await run(world, ['status', '--json'], { env })
  expect(JSON.parse(status)).toMatchObject({ createdAt: expect.any(Number) })
})
