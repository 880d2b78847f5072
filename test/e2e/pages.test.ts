/**
 * Whatever a reader of README.md and docs/ can copy, run as it stands there and in the order in which it does, against the
 * real PDS. Other names stand for those of the network. (docs/recipes.md, docs/ci.md, docs/run.md, docs/library.md and docs/testing.md have
 * test files of their own.)
 */
import { execFileSync } from 'node:child_process'
import { appendFile, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse } from 'dotenv'
import { expect, onTestFinished, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import { complete } from '../../src/login/complete.ts'
import { saveSession } from '../../src/session/saving.ts'
import { installed, packageFolder } from '../package/packed.ts'
import { type Block, blocksToRun, pasted } from '../support/blocks.ts'
import { lacks } from '../support/machine.ts'
import { startRedisServer } from '../support/redis-server.ts'
import { findSecrets } from '../support/scan.ts'
import { readWorkflow } from '../support/workflow.ts'
import { type Home, runCli, runShell } from '../world/cli.ts'
import { signIn } from '../world/person.ts'
import { type Account, connectWorld, uniqueHandle } from '../world/world.ts'
import { createGithub, redirectGit } from './github.ts'
import { CONSENT, callbackFor, expectFailure, library, newHome } from './support.ts'

const world = connectWorld()
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** Pages with a test file of their own. */
const OTHERS = ['docs/recipes.md', 'docs/ci.md', 'docs/run.md', 'docs/library.md', 'docs/testing.md']
const blocks = (await blocksToRun()).filter(({ page }) => !OTHERS.includes(page))
const taken = new Set<Block>()

/** All that are under a heading, in their order. */
function take(page: string, heading: string, count = 1): Block[] {
  const found = blocks.filter((block) => block.page === page && block.heading === heading)
  expect(found).toHaveLength(count)
  for (const block of found) taken.add(block)
  return found
}

function shellOf(home: Home, account: Account) {
  return async (block: Block | undefined, { stdin = '', env = {}, edit = (lines: string) => lines } = {}) => {
    const script = edit(block!.text).replaceAll('alice.bsky.social', account.handle)
    const result = await runShell(pasted(script), { home, stdin, env })
    expect(result.code, result.stderr).toBe(0)
    return result.stdout
  }
}

/** The output that a page shows, as a pattern: each … stands for what differs from run to run. */
function shown(block: Block, { handle }: Account): RegExp {
  expect(block.language).toBe('console')
  const lines = block.text.trimEnd().replaceAll('alice.bsky.social', handle)
  const pattern = lines.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${pattern.join('.+')}$`, 'm')
}

async function posts({ did }: Account): Promise<string[]> {
  const query = new URLSearchParams({ repo: did, collection: 'app.bsky.feed.post' })
  const answer = await fetch(`${world.pdsUrl}/xrpc/com.atproto.repo.listRecords?${query}`)
  const { records } = (await answer.json()) as { records: { value: { text: string } }[] }
  return records.map(({ value }) => value.text)
}

test('the README from top to bottom posts a record, prints the output it shows, and revokes the session', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  const shell = shellOf(home, account)
  const [init, finish, signedIn, post, created] = take('README.md', 'Quick start', 5)
  const [end] = take('README.md', 'How long a session lasts')

  const callback = await signIn((await shell(init)).trim(), account, CONSENT)
  const finished = await runShell(pasted(finish!.text), { home, stdin: callback })
  expect(finished, finished.stderr).toMatchObject({ code: 0, stdout: '' })
  expect(finished.stderr).toMatch(shown(signedIn!, account))
  expect((await shell(post)).trim()).toMatch(shown(created!, account))
  expect(await posts(account)).toStrictEqual(['hello from a shell'])

  expect(await shell(end)).toContain(account.did)
  expectFailure(await runCli(['call', 'com.atproto.server.getSession'], { home }), 5, 'SESSION_MISSING')
})

test('README.md: the command, installed from a clone and from the package', async () => {
  const [fromClone, published] = take('README.md', 'Install', 2)
  const home = await newHome()
  const install = async (script: string, prefix: string) => {
    const env = {
      npm_config_prefix: join(home.path, prefix),
      npm_config_cache: join(home.path, 'cache'),
      npm_config_registry: 'http://127.0.0.1:9/', // there is none to ask
    }
    const installed = '"$npm_config_prefix/bin/atproto-oauth" --version'
    const done = await runShell(`set -e\nunset -f atproto-oauth\n${script}\n${installed}`, { home, env })
    expect(done, done.stderr).toMatchObject({ code: 0 })
    return done.stdout
  }

  // .ci/run does the first line in a fresh clone, for each Node version.
  const [build, ...rest] = fromClone!.text.trim().split('\n')
  expect(build).toBe('npm ci && npm run build')
  const linked = await install(`cd '${ROOT}'\n${rest.join('\n')}`, 'from-clone')
  expect(linked.trimEnd().split('\n').at(-1)).toBe(packageJson.version)

  const { tarball } = installed()
  const lines = published!.text.replace('-g atproto-oauth', `-g '${tarball}'`)
  const output = await install(lines, 'published')
  expect(output).toContain(await readFile(join(packageFolder(), 'dist', 'help.txt'), 'utf8'))
  expect(output.trimEnd().split('\n').at(-1)).toBe(packageJson.version)
})

test('docs/credentials.md: a session as variables, in a private file', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  const shell = shellOf(home, account)
  const [init, variables] = take('docs/credentials.md', 'As variables', 2)
  const callback = await signIn((await shell(init)).trim(), account, CONSENT)
  expect(JSON.parse(await shell(variables, { stdin: callback }))).toMatchObject({ did: account.did })
  expect((await stat(join(home.path, 'session.env'))).mode & 0o777).toBe(0o600)
})

async function bareRepository(): Promise<string> {
  const repository = join((await newHome()).path, 'bot.git')
  execFileSync('git', ['init', '--quiet', '--bare', repository])
  return repository
}

test.skipIf(lacks('jq'))(
  'docs/vault.md: set up by its commands, its workflow posts, with one secret; a second machine; another key',
  async () => {
    const account = await world.createAccount()
    const remote = await bareRepository()
    const github = await createGithub(packageJson.version, remote)
    const [setUp, finish, workflow] = take('docs/vault.md', 'Set up GitHub Actions', 3)
    const shell = async (script: string, stdin = '') => {
      const done = await github.shell(`set -eo pipefail\n${script.replace('alice.bsky.social', account.handle)}`, stdin)
      expect(done, done.stderr).toMatchObject({ code: 0 })
      return done.stdout
    }
    const callback = await signIn((await shell(setUp!.text)).trim(), account, CONSENT)
    expect(await shell(finish!.text, callback)).toBe('')
    expect(Object.keys(await github.secrets())).toStrictEqual(['ATPROTO_OAUTH_VAULT_KEY'])

    const { errors, permissions, jobs } = await readWorkflow(workflow!.text)
    expect(errors).toStrictEqual([])
    expect(permissions).toStrictEqual({ contents: 'write' })
    for (const _ of ['first', 'second']) {
      const { code, log } = await github.runJob(jobs[0]!, {})
      expect(code, log).toBe(0)
    }
    expect(await posts(account)).toStrictEqual(['It is out', 'It is out'])

    const home = await newHome()
    await redirectGit(home, remote)
    const [second] = take('docs/vault.md', 'A second machine, and cron')
    const laptop = `ssh() { shift; HOME='${github.home.path}' ATPROTO_OAUTH_HOME='${github.home.state}' "$@"; }`
    const used = await runShell(`set -e\n${laptop}\n${pasted(second!.text)}`, { home })
    expect(used, used.stderr).toMatchObject({ code: 0, stderr: expect.stringContaining('No problems found.') })
    const listed = await runCli(['vault', 'list', '--json'], { home })
    expect(JSON.parse(listed.stdout)).toMatchObject([{ did: account.did, state: 'alive' }])

    const [newKey, finished] = take('docs/vault.md', 'Replace the key', 2)
    const server = `ssh() { shift; HOME='${home.path}' ATPROTO_OAUTH_HOME='${home.state}' "$@"; }`
    await shell(`${server}\n${newKey!.text}`)
    await shell(finished!.text)
    const { code, log } = await github.runJob(jobs[0]!, {})
    expect(code, log).toBe(0)
    expect(await posts(account)).toHaveLength(3)
    expect((await runCli(['vault', 'list'], { home })).stdout).toContain(account.did)

    const [move] = take('docs/vault.md', 'Move the vault')
    const other = `[url "${await bareRepository()}"]\n  insteadOf = https://github.com/alice/vault\n`
    await appendFile(join(home.path, '.gitconfig'), other)
    const moved = await runShell(pasted(move!.text), { home })
    expect(moved, moved.stderr).toMatchObject({ code: 0 })
    const there = await runCli(['vault', 'list', '--json'], { home })
    expect(JSON.parse(there.stdout)).toMatchObject([{ did: account.did, state: 'alive' }])
  },
)

test.skipIf(lacks('redis-server'))('docs/vault.md: a vault on Redis, with its password', async () => {
  const password = 'canary-of-redis'
  const server = await startRedisServer(['--requirepass', password])
  onTestFinished(() => server.close())
  const [block] = take('docs/vault.md', 'Redis and Valkey')
  const script = block!.text.replace('rediss://redis.example.com', `redis://127.0.0.1:${server.port}`)
  const done = await runShell(pasted(script), {
    home: await newHome(),
    stdin: `${password}\n`,
  })
  expect(done, done.stderr).toMatchObject({ code: 0 })
  expect(done.stdout).toMatch(/^ok {2}key +opens the vault/m)
  expect(done.stdout + done.stderr).not.toContain(password)
})

test('docs/credentials.md: credentials from a program, which keeps the new ones', async () => {
  const [account, home] = [await world.createAccount(), await newHome()]
  const kept = join(home.path, 'kept')
  const done = await runCli(['complete'], { home, stdin: await callbackFor(account, home) })
  await writeFile(kept, done.stdout)
  const pass = `#!/bin/sh\ncase "$1" in show) cat '${kept}' ;; insert) cat > '${kept}' ;; esac\n`
  await mkdir(join(home.path, 'bin'))
  await writeFile(join(home.path, 'bin', 'pass'), pass, { mode: 0o755 })
  const [block] = take('docs/credentials.md', 'From a program')
  const env = { PATH: `${join(home.path, 'bin')}:${process.env['PATH']}` }
  const used = { ...block!, text: `set -e\n${block!.text}atproto-oauth refresh\natproto-oauth whoami\n` }
  expect(await shellOf(home, account)(used, { env })).toContain(account.did)
  expect(await readFile(kept, 'utf8')).not.toBe(done.stdout)
})

test('docs/credentials.md: a call that keeps no refresh token in the store', async () => {
  const [account, home] = [await world.createAccount(), await newHome()]
  const path = join(home.path, 'session.env')
  await runCli(['complete', '--save', `file:${path}`, await callbackFor(account, home)], { home })
  const [block] = take('docs/credentials.md', 'No refresh token in the store')
  expect(await shellOf(home, account)(block)).toContain(account.did)
  const token = parse(await readFile(path, 'utf8'))['ATPROTO_OAUTH_REFRESH_TOKEN']!
  expect(await findSecrets([home.state], [token])).toStrictEqual([])
})

test('docs/credentials.md: an encrypted store, with a passphrase', async () => {
  const [account, home] = [await world.createAccount(), await newHome()]
  const [block] = take('docs/credentials.md', 'An encrypted store')
  const edit = (lines: string) => lines.replace(/keychain .*/, 'passphrase')
  const env = { ATPROTO_OAUTH_STORE_KEY: 'canary of a long passphrase' }
  const callback = await callbackFor(account, home)
  await shellOf(home, account)(block, { edit, env })
  expect(await runCli(['complete', '--save', 'store', callback], { home, env })).toMatchObject({ code: 0 })
  expect(await runCli(['status'], { home, env })).toMatchObject({ code: 0 })
  expectFailure(await runCli(['status'], { home }), 2, 'STORE_LOCKED', 'none')
})

test.skipIf(lacks('curl'))('docs/commands.md: proof, and a session that moves out and back', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  const ports = library(world, home)
  const { credentials } = await complete(await callbackFor(account, home), ports)
  await saveSession(credentials, undefined, ports)
  const shell = shellOf(home, account)

  const proved = await shell(take('docs/commands.md', 'proof')[0], {
    edit: (lines) => lines.replace('https://pds.example.com', world.pdsUrl),
  })
  const sessions = proved.split(/(?<=\})(?=\{)/).map((answer) => JSON.parse(answer).did)
  expect(sessions).toStrictEqual([account.did, account.did])

  await shell(take('docs/commands.md', 'import')[0], {
    edit: (lines) => lines.replace('https://app.example.com/client.json', `'${credentials.clientId}'`),
  })
  expect((await stat(join(home.path, 'session.json'))).mode & 0o777).toBe(0o600)
  expect(await runCli(['refresh'], { home })).toMatchObject({ code: 0 })
})

test('docs/commands.md: run signs a program in', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  const ports = library(world, home)
  await saveSession((await complete(await callbackFor(account, home), ports)).credentials, undefined, ports)
  const bot = `const { BSKY_HOST, BSKY_HANDLE: identifier, BSKY_PASSWORD: password } = process.env
    const body = JSON.stringify({ identifier, password })
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body }
    fetch(BSKY_HOST + '/xrpc/com.atproto.server.createSession', init)
      .then((response) => response.json())
      .then(({ did }) => console.log(did))`
  await writeFile(join(home.path, 'bot.js'), bot)
  expect(await shellOf(home, account)(take('docs/commands.md', 'run')[0])).toBe(`${account.did}\n`)
})

test('docs/client.md: a hosted client, up to the sign-in on its own page', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  const host = uniqueHandle('bot').replace('.test', '.fake.dev')
  await mkdir(join(home.path, 'site'))
  await symlink(join(home.path, 'oauth-client'), join(home.path, 'site', 'bot')) // the publishing
  const env = await world.publish(host, join(home.path, 'site'))
  const printed = await shellOf(home, account)(take('docs/client.md', 'A client of your own')[0], {
    env,
    edit: (lines) => lines.replaceAll('alice.github.io', host),
  })
  const url = printed.trim().split('\n').at(-1)!
  const callback = await signIn(url, account, CONSENT)
  expect(callback).toMatch(`https://${host}/bot/callback/?`)
  const finish = 'set -a; . ./client.env; set +a; atproto-oauth complete --save store; atproto-oauth status --json'
  const status = await runShell(finish, { home, env, stdin: callback })
  const { kid } = JSON.parse(
    /(?<=^ATPROTO_OAUTH_CLIENT_JWK=').*(?=')/m.exec(await readFile(join(home.path, 'client.env'), 'utf8'))![0],
  )
  expect(JSON.parse(status.stdout)).toMatchObject({ did: account.did, clientKey: { kid } })
})

test('README.md: the vault is set up as in docs/ci.md, which is tried there', async () => {
  const [setUp] = take('README.md', 'In CI and on many machines')
  const all = await blocksToRun()
  const inFull = all.find(({ page, heading }) => page === 'docs/ci.md' && heading === 'GitHub Actions')
  expect(inFull!.text.startsWith(setUp!.text)).toBe(true)
})

test.skipIf(lacks('jq', 'curl', 'redis-server'))('nothing else is there to copy', async () => {
  const inAClone = take('README.md', 'Contribute') // these start this very suite, and the demo
  expect(inAClone.map((block) => block.text.match(/^npm ci && npm \w+( \w+)?/gm))).toStrictEqual([
    ['npm ci && npm run demo', 'npm ci && npm test'],
  ])
  const ci = await readFile(join(ROOT, '.ci', 'run'), 'utf8')
  for (const command of ['npm ci', 'npm run demo', 'npm test']) expect(ci).toMatch(new RegExp(`^ *${command}\\b`, 'm'))
  expect(blocks.filter((block) => !taken.has(block))).toStrictEqual([])
})
