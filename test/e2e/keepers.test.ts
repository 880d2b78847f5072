/**
 * The recipes of docs/ with a program that keeps the session: run as they stand there against the real PDS. pass and
 * systemd-creds are real; the others are stand-ins that keep what they are given, and note how they were called.
 */
import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { blocksToRun, pasted } from '../support/blocks.ts'
import { lacks } from '../support/machine.ts'
import { type Home, LAUNCHER, runCli, runShell } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { callbackFor, expectFailure, newHome } from './support.ts'

const world = connectWorld()
const run = promisify(execFile)
const RECIPES = new Map(
  (await blocksToRun())
    .filter(({ page, heading }) => page === 'docs/recipes.md' && heading.startsWith('Keep the session '))
    .map(({ heading, text }) => [heading, text]),
)
const PRINTS_TOKEN = 'atproto-oauth refresh --format json'

/** The whole recipe, a refresh that is saved back, and a use of what was saved without the store. */
async function follow(heading: string, { home, env = {} }: { home: Home; env?: Record<string, string> }) {
  const account = await world.createAccount()
  const script = RECIPES.get(heading)!
  const first = await runShell(pasted(script), { home, env, stdin: await callbackFor(account, home) })
  expect(first.code, first.stderr).toBe(0)
  // pass says on stdout what it waits for.
  expect(JSON.parse(first.stdout.slice(first.stdout.indexOf('{')))).toMatchObject({ did: account.did })

  const variables = script.split('\n').filter((line) => line.startsWith('export '))
  const again = pasted([...variables, PRINTS_TOKEN].join('\n'))
  const refreshed = await runShell(again, { home, env })
  expect(refreshed.code, refreshed.stderr).toBe(0)
  const { ATPROTO_OAUTH_REFRESH_TOKEN: token } = JSON.parse(refreshed.stdout)

  const elsewhere = { ...env, ATPROTO_OAUTH_HOME: join(home.path, 'another-machine') }
  const second = await runShell(again, { home, env: elsewhere })
  expect(second.code, second.stderr).toBe(0)
  const { ATPROTO_OAUTH_REFRESH_TOKEN: next, ATPROTO_OAUTH_ROTATION: rotation } = JSON.parse(second.stdout)
  expect(next).not.toBe(token)
  expect(rotation).toBe('3') // the call has refreshed too: it had no access token
  for (const { stdout, stderr } of [first, refreshed, second]) {
    expect(stderr).not.toContain(token)
    expect(stderr + (stdout === refreshed.stdout ? '' : stdout)).not.toContain(`"${token}"`)
  }
}

/** Keeps its stdin if it is called to, and prints it otherwise. */
async function bringKeeper(home: Home, name: string) {
  const bin = join(home.path, 'bin')
  await mkdir(bin)
  const script = `#!/bin/sh
echo "$*" >> '${home.path}/calls'
case " $* " in
  *' put '* | *' create '* | *' edit '* | *' encrypt '*) cat > '${home.path}/kept' ;;
  *) cat '${home.path}/kept' ;;
esac
`
  await writeFile(join(bin, name), script, { mode: 0o755 })
  return { PATH: `${bin}${delimiter}${process.env['PATH']}` }
}

test.skipIf(lacks('pass', 'gpg'))('Keep the session in pass', async ({ task }) => {
  const home = await newHome()
  const env = { ...process.env, HOME: home.path }
  await mkdir(join(home.path, '.gnupg'), { mode: 0o700 })
  onTestFinished(async () => void (await run('gpgconf', ['--kill', 'all'], { env })))
  await run('gpg', ['--batch', '--passphrase', '', '--quick-gen-key', 'alice', 'default', 'default'], { env })
  await run('pass', ['init', 'alice'], { env })
  await follow(task.name, { home })
})

test.skipIf(lacks('systemd-creds') || process.getuid?.() !== 0)(
  'Keep the session encrypted for one machine',
  async ({ task }) => {
    const home = await newHome()
    await follow(task.name, { home })
    expect(await readFile(join(home.path, 'alice.cred'), 'utf8')).not.toContain('ATPROTO_OAUTH')
  },
)

test.each([
  ['Keep the session in 1Password', 'op'],
  ['Keep the session in HashiCorp Vault', 'vault'],
  ['Keep the session in a file of SOPS', 'sops'],
])('%s', async (heading, program) => {
  const home = await newHome()
  await follow(heading, { home, env: await bringKeeper(home, program) })
  const calls = (await readFile(join(home.path, 'calls'), 'utf8')).trim().split('\n')
  const lines = RECIPES.get(heading)!.split('\n')
  const words = [/\| \w+ (.*)$/, /SOURCE='exec:\w+ (.*)'$/, /SAVE='exec:\w+ (.*)'$/].map(
    (pattern) => lines.map((line) => pattern.exec(line)?.[1]).find((found) => found !== undefined)!,
  )
  const [create, read, save] = words
  // Each target is tried before the token is sent.
  expect(calls).toStrictEqual([create, ...[1, 2, 3].flatMap(() => [read, save, save])])
})

test('there is no other recipe of this kind', () => {
  expect(RECIPES.size).toBe(5)
})

test('in CI a refresh needs a target that keeps the new tokens', async () => {
  const home = await newHome()
  const env = await bringKeeper(home, 'keeper')
  const account = await world.createAccount()
  const { stdout } = await runCli(['complete'], { home, stdin: await callbackFor(account, home) })
  await writeFile(join(home.path, 'kept'), stdout)
  const inJob = { ...env, CI: 'true', ATPROTO_OAUTH_SOURCE: 'exec:keeper get' }
  const refused = await runCli(['refresh'], { home, env: inJob })
  expectFailure(refused, 2, 'SAVE_TARGET_MISSING')
  expect(refused.stderr).toContain('--save exec:COMMAND')
  const saved = await runCli(['refresh', '--save', 'exec:keeper put'], { home, env: inJob })
  expect(saved.code, saved.stderr).toBe(0)
  expect(await readFile(join(home.path, 'kept'), 'utf8')).toContain("ATPROTO_OAUTH_ROTATION='1'")
})

test('a program may run atproto-oauth itself: a lease of the stored session, without its refresh token', async () => {
  const home = await newHome()
  const account = await world.createAccount()
  const kept = await runCli(['complete', '--save', 'store'], { home, stdin: await callbackFor(account, home) })
  expect(kept.code, kept.stderr).toBe(0)
  const program = join(home.path, 'atproto-oauth')
  await writeFile(program, `#!/bin/sh\nexec '${process.execPath}' '${LAUNCHER}' "$@"\n`, { mode: 0o755 })
  const env = { ATPROTO_OAUTH_SOURCE: `exec:'${program}' lease` }
  const result = await runCli(['call', 'com.atproto.server.getSession'], { home, env })
  expect(result.code, result.stderr).toBe(0)
  expect(JSON.parse(result.stdout)).toMatchObject({ did: account.did })
})
