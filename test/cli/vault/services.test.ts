/** What services of git say to `vault new`: each gets its sentence, and nothing is changed. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { expect, onTestFinished, test, vi } from 'vitest'
import { tempFolder } from '../../node/helpers.ts'
import { fakeNodeRuntime, run } from '../../support/cli.ts'
import { createFakeWorld } from '../../support/fake-atproto.ts'
import { READER, startGitServer, WRITER } from '../../support/git-server.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => {
  const { nodeRuntime } = await load<typeof import('../../../src/node/runtime.ts')>()
  return {
    nodeRuntime(options: Parameters<typeof nodeRuntime>[0]) {
      const runtime = fakeNodeRuntime(options ?? {})
      return { ...runtime, saving: { ...runtime.saving, targets: nodeRuntime(options).saving.targets } }
    },
  }
})

async function createService() {
  const server = await startGitServer()
  onTestFinished(() => server.close())
  const repository = server.repository()
  const [home, folder] = [await tempFolder(), await tempFolder()]
  const address = `git:${server.url()}`
  const env = (token: string) => ({
    ATPROTO_OAUTH_HOME: home,
    PATH: process.env['PATH']!,
    ATPROTO_OAUTH_VAULT_TOKEN: token,
  })
  const vault = (args: readonly string[], token: string = WRITER.password) =>
    run(createFakeWorld(), ['vault', ...args], { env: env(token) })
  return { server, repository, home, address, file: join(folder, 'vault.env'), vault }
}

test('with a token that may push, over HTTP; the token is in no output and no file', async () => {
  const { address, vault, home, file } = await createService()
  const made = await vault(['new', address, '--save', `file:${file}`])
  expect(made.code, made.stderr).toBe(0)
  const checked = await vault(['check'])
  expect(checked.code, checked.stdout).toBe(0)
  const read = (await readdir(home, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())
  const files = await Promise.all(read.map((entry) => readFile(join(entry.parentPath, entry.name), 'latin1')))
  const all = [made.stdout, made.stderr, checked.stdout, await readFile(file, 'utf8'), ...files].join('\n')
  expect(all).not.toContain(WRITER.password)
  expect(all).not.toContain(Buffer.from(`${WRITER.user}:${WRITER.password}`).toString('base64'))
})

const RULE = 'echo "error: GH006: Protected branch update failed for refs/heads/atproto-oauth." >&2; exit 1'

test.each([
  [
    'no token at all',
    '',
    undefined,
    /\[VAULT_REFUSED\]\n(?:.*\n)?.*hint: check the address.*: git ls-remote http:\/\/127\.0\.0\.1:\d+\/vault; /,
  ],
  ['a wrong token', 'nonsense', undefined, /\[VAULT_REFUSED\]\n(?:.*\n)?.*hint: check the address/],
  [
    'a token that may only read',
    READER.password,
    undefined,
    /\[VAULT_REFUSED\]\n(?:.*\n)?.*hint: use credentials that may push/,
  ],
  ['a protected branch', WRITER.password, RULE, /\[VAULT_REFUSED\]\n(?:.*\n)?.*hint: exclude the branch of the vault/],
])('%s', async (_, token, hook, expected) => {
  const { repository, address, vault, home, file } = await createService()
  if (hook !== undefined) repository.hook('pre-receive', hook)
  const { code, stdout, stderr } = await vault(['new', address], token)
  expect({ code, stdout }).toStrictEqual({ code: 4, stdout: '' })
  expect(stderr).toMatch(expected)
  expect(repository.refs()).toBe('')
  await expect(readFile(join(home, 'vault.json'))).rejects.toThrow('ENOENT')
  if (hook !== undefined) return // a rule is found by a push only
  expect(await vault(['new', address, '--save', `file:${file}`], token)).toMatchObject({ code: 4, stdout: '' })
  await expect(readFile(file)).rejects.toThrow('ENOENT')
})

test('a service that went away after it had the key: the same command finishes later', async () => {
  const { server, repository, address, vault, file } = await createService()
  server.onRequest = ({ isPush }) => (isPush ? 503 : undefined)
  const failed = await vault(['new', address, '--save', `file:${file}`])
  expect(failed.code, failed.stderr).not.toBe(0)
  server.onRequest = undefined
  const done = await vault(['new', address, '--save', `file:${file}`, '--format', 'json'])
  expect(done.code, done.stderr).toBe(0)
  expect(parse(await readFile(file))).toStrictEqual(JSON.parse(done.stdout))
  expect(repository.tip()).toBeDefined()
  expect(await vault(['check'])).toMatchObject({ code: 0 })
})
