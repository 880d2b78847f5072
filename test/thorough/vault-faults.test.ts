/**
 * The vault when something goes wrong: the built CLI is killed at each step, the git server fails, and others change the
 * branch. The session lives, or what is allowed to end it is said.
 */
import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { callbackFor, expectFailure, logIn, newHome, sentByUs } from '../e2e/support.ts'
import {
  contents,
  expire,
  filesWith,
  newSession,
  newVault,
  put,
  record,
  records,
  secretsOf,
  stored,
  type TestVault,
  vaultSession,
} from '../e2e/vault-support.ts'
import { type GitFault, type GitRequest, type GitServer, git, READER, startGitServer } from '../support/git-server.ts'
import { HANG_MS } from '../support/machine.ts'
import { type CliResult, type Home, runCli, spawnCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'

const world = connectWorld()
const STEPS = new URL('../support/vault-steps.mjs', import.meta.url).href
const GET_SESSION = ['call', 'com.atproto.server.getSession']

/** Variables, and what is typed. */
type Input = Readonly<Record<string, string | undefined>>

/** Does `work` for each, three at a time. */
async function forEach<T>(all: readonly T[], work: (one: T) => Promise<void>): Promise<void> {
  const queue = all.values()
  const lane = async () => {
    for (const one of queue) await work(one)
  }
  await Promise.all([lane(), lane(), lane()])
}

/** A home whose runs write their steps down, and can be killed at one of them. */
async function machine(vault: TestVault) {
  const home = await newHome()
  const log = join(home.path, 'steps')
  await writeFile(log, '')
  const steps = async () => (await readFile(log, 'utf8')).split('\n').slice(0, -1)
  const temporary = join(home.path, 'tmp')
  await mkdir(temporary)
  const env = { ...vault.env, TMPDIR: temporary, NODE_OPTIONS: `--import ${STEPS}`, STEPS_LOG: log }
  return {
    home,
    steps,
    run: (args: readonly string[], { stdin, ...more }: Input = {}): Promise<CliResult> =>
      runCli(args, { home, stdin, env: { ...env, ...more } }),
    /** Kills it at the step that has this name for the `nth` time. */
    async kill(args: readonly string[], step: string, nth = 1, { stdin, ...more }: Input = {}): Promise<void> {
      const killed = await runCli(args, { home, stdin, env: { ...env, ...more, STEPS_KILL: `${nth} ${step}` } })
      expect([killed.signal, (await steps()).at(-1)], killed.stderr).toStrictEqual(['SIGKILL', step])
    },
  }
}

const succeeded = (result: CliResult) => expect(result, result.stderr).toMatchObject({ code: 0 })

/** Starts a run, and waits until it says that it waits for another machine. */
async function waiting(home: Home, vault: TestVault, args: readonly string[]): Promise<() => Promise<CliResult>> {
  const child = spawnCli(args, { home, env: vault.env })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = new Promise<CliResult>((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr, stdoutBytes: Buffer.from(stdout) })),
  )
  await vi.waitFor(() => expect(stderr).toContain(`waiting for ${hostname()}, which is refreshing this session`), {
    timeout: HANG_MS / 10,
  })
  return () => ended
}

describe('a refresh that is killed', () => {
  /** In their order; after the response and before the write-ahead, the new tokens are nowhere else. */
  const harmless: [step: string, nth: number, isClaimed: boolean][] = [
    ['before push', 1, false],
    ['after push 0', 1, true],
    ['before /oauth/token', 2, true],
    ['after rename ahead', 1, true],
    ['before push', 2, true],
    ['after push 0', 2, false],
    ['before rm ahead', 2, false],
  ]

  test('the next run on the same machine goes on, and another machine waits for it', async () => {
    const vault = await newVault()
    await vaultSession(world, vault)
    const [first, other] = [await machine(vault), await machine(vault)]
    succeeded(await first.run(['refresh']))
    succeeded(await other.run(GET_SESSION))
    for (const [step, nth, isClaimed] of harmless) {
      await first.kill(['refresh'], step, nth)
      expect((await record(vault)).claim !== undefined, step).toBe(isClaimed)
      if (step === 'after push 0' && isClaimed) {
        const finished = await waiting(other.home, vault, ['refresh'])
        succeeded(await first.run(['refresh']))
        succeeded(await finished())
      } else {
        succeeded(await first.run(isClaimed ? ['refresh'] : GET_SESSION))
        succeeded(await other.run(GET_SESSION))
      }
    }
    // What was sent twice would have ended the session.
    const sent = [...(await first.steps()), ...(await other.steps())].filter(
      (step) => step === 'after /oauth/token 200',
    )
    expect(await stored(vault)).toMatchObject({ rotation: sent.length })
  })

  test('new tokens that were nowhere else yet are lost, which is said', async () => {
    const vault = await newVault()
    await vaultSession(world, vault)
    const { home, kill, run } = await machine(vault)
    await kill(['refresh'], 'after /oauth/token 200')
    expect(await filesWith(secretsOf(await stored(vault), vault), home.path)).toStrictEqual([])
    const next = await run(['refresh'])
    expect(next.stderr).toContain('an earlier refresh was sent, but no response was stored')
    expectFailure(next, 5, 'SESSION_DEAD')
    expectFailure(await runCli(GET_SESSION, { home: await newHome(), env: vault.env }), 5, 'SESSION_DEAD')
  })
})

type Step = [step: string, nth: number]

test('a revocation that is killed is finished by the next one, and leaves no working session', async () => {
  const steps: Step[] = [
    ['after push 0', 1],
    ['after /oauth/revoke 200', 1],
    ['after push 0', 2],
  ]
  await forEach(steps, async ([step, nth]) => {
    const vault = await newVault()
    const account = await vaultSession(world, vault)
    const secrets = secretsOf(await stored(vault), vault)
    const { home, kill, run } = await machine(vault)
    await kill(['revoke'], step, nth)
    expect(await filesWith(secrets, home.path)).toStrictEqual([])
    const again = await run(['revoke'])
    expect([0, 5], again.stderr).toContain(again.code)
    const { endedBy, session } = await record(vault)
    expect([endedBy, session.refreshToken, session.accessToken], step).toStrictEqual(['person', undefined, undefined])
    const called = await runCli(GET_SESSION, { home: await newHome(), env: vault.env })
    expectFailure(called, 5, 'SESSION_DEAD')
    expect(called.stderr).toContain(`init ${account.handle}`)
  })
})

test('a move into the vault that is killed is finished by the next one: there is one working copy', async () => {
  const steps: Step[] = [
    ['after rename sessions', 1],
    ['after push 0', 1],
    ['after rename sessions', 2],
    ['before /oauth/token', 2],
    ['after rename ahead', 1],
    ['after push 0', 3],
  ]
  await forEach(steps, async ([step, nth]) => {
    const vault = await newVault()
    const { env } = await logIn(world)
    const { home, kill, run } = await machine(vault)
    const move = ['refresh', '--save', 'vault']
    await kill(move, step, nth, env)
    succeeded(await run(move, env))
    succeeded(await runCli(GET_SESSION, { home: await newHome(), env: vault.env }))
    expectFailure(await runCli(GET_SESSION, { home, env }), 5, 'SESSION_MISSING', 'alive')
    // The key stays with what is left of the session in the store, which its tokens have left.
    const { refreshToken, accessToken } = await stored(vault)
    const secrets = [
      refreshToken!,
      accessToken!,
      vault.env.ATPROTO_OAUTH_VAULT_KEY,
      env['ATPROTO_OAUTH_REFRESH_TOKEN']!,
    ]
    expect(await filesWith(secrets, home.path), step).toStrictEqual([])
  })
})

test('a login into the vault that is killed is finished by the next one, if its tokens had arrived', async () => {
  const steps: Step[] = [
    ['after /oauth/token 200', 1],
    ['before push', 1],
    ['after push 0', 1],
  ]
  await forEach(steps, async ([step, nth]) => {
    const vault = await newVault()
    const { home, kill, run } = await machine(vault)
    const stdin = await callbackFor(await world.createAccount(), home)
    const complete = ['complete', '--save', 'vault']
    await kill(complete, step, nth, { stdin })
    const again = await run(complete, { stdin })
    if (step.startsWith('after /oauth')) {
      expect(again.code).not.toBe(0)
      expect(again.stderr).toMatch(/^atproto-oauth: hint: .*init/m)
      expect(await records(vault)).toStrictEqual([])
      return
    }
    succeeded(again)
    succeeded(await runCli(GET_SESSION, { home: await newHome(), env: vault.env }))
    expect(await filesWith(secretsOf(await stored(vault), vault), home.path), step).toStrictEqual([])
  })
})

describe('who can write to the branch and has no key', () => {
  type Forge = (texts: Forged) => string
  interface Forged {
    readonly text: string
    readonly ofOther: string
    readonly ofOtherVault: string
  }
  const edited = (text: string, change: object) => {
    const [header, ...rest] = text.split('.')
    const parsed = JSON.parse(Buffer.from(header!, 'base64url').toString())
    return [Buffer.from(JSON.stringify({ ...parsed, ...change })).toString('base64url'), ...rest].join('.')
  }
  const forgeries: [what: string, forge: Forge][] = [
    ['the record of another account', ({ ofOther }) => ofOther],
    ['the record of another vault', ({ ofOtherVault }) => ofOtherVault],
    ['a truncated record', ({ text }) => text.slice(0, text.length / 2)],
    ['an empty record', () => ''],
    ['a changed byte', ({ text }) => `${text.slice(0, -30)}${text.at(-30) === 'A' ? 'B' : 'A'}${text.slice(-29)}`],
    ['compression in the header', ({ text }) => edited(text, { zip: 'DEF' })],
    ['another algorithm in the header', ({ text }) => edited(text, { alg: 'A256KW' })],
    ['no encryption in the header', ({ text }) => edited(text, { enc: 'none' })],
    ['critical extensions in the header', ({ text }) => edited(text, { crit: ['b64'], b64: false })],
    ['another name in the header', ({ ofOther }) => edited(ofOther, { name: '0'.repeat(40) })],
  ]

  test('cannot have a token of the wrong session sent', async () => {
    const [vault, otherVault] = [await newVault(), await newVault()]
    const accounts = [await vaultSession(world, vault), await vaultSession(world, vault)]
    await vaultSession(world, otherVault)
    const before = await records(vault)
    const one = before.find((each) => each.record.session.did === accounts[0]!.did)!
    const other = before.find((each) => each.record.session.did === accounts[1]!.did)!
    const [{ text: ofOtherVault }] = (await records(otherVault)) as [(typeof before)[0]]
    await expire(vault)
    await world.clearRequests()
    let current = await vault.engine.read(one.name)
    for (const [what, forge] of forgeries) {
      const forged = forge({ text: one.text, ofOther: other.text, ofOtherVault })
      expect(await vault.engine.swap(one.name, current, forged), what).toBe('won')
      current = forged
      const args = [...GET_SESSION, '--account', one.record.session.did]
      const called = await runCli(args, { home: await newHome(), env: vault.env })
      expectFailure(called, 2, 'VAULT_INVALID')
      expect(await vault.engine.read(one.name), what).toBe(forged)
    }
    expect((await sentByUs(world)).filter((line) => line.startsWith('POST') || line.includes('xrpc'))).toStrictEqual([])
  })

  test('stops only the session whose record is damaged, until its owner signs in again', async () => {
    const vault = await newVault()
    const [one, other] = [await vaultSession(world, vault), await vaultSession(world, vault)]
    const memory = await newHome()
    const call = ({ did }: { readonly did: string }, home: Home) =>
      runCli([...GET_SESSION, '--account', did], { home, env: vault.env })
    succeeded(await call(one, memory))
    const damaged = (await records(vault)).find((each) => each.record.session.did === one.did)!
    expect(await vault.engine.swap(damaged.name, damaged.text, damaged.text.slice(0, 1000))).toBe('won')
    succeeded(await runCli(['refresh', '--account', other.did], { home: memory, env: vault.env }))
    succeeded(await call(other, await newHome()))
    const callback = await callbackFor(one, memory)
    const saved = await runCli(['complete', '--save', 'vault'], { home: memory, env: vault.env, stdin: callback })
    succeeded(saved)
    expect(saved.stderr).toContain('replaced a record of the vault that could not be read')
    succeeded(await call(one, await newHome()))
  })

  test('can delete or roll back, which a machine that saw more undoes', async () => {
    const vault = await newVault()
    await vaultSession(world, vault)
    const first = vault.repository.tip()
    const home = await newHome()
    const refresh = () => runCli(['refresh'], { home, env: vault.env })
    succeeded(await refresh())
    const restored = 'the vault had an older copy of the session'
    vault.repository.setTip(first)
    expect((await refresh()).stderr).toContain(restored)
    vault.repository.setTip(undefined)
    const called = await refresh()
    succeeded(called)
    expect(called.stderr).toContain(restored)
    expect(await stored(vault)).toMatchObject({ rotation: 3 })
    succeeded(await runCli(GET_SESSION, { home: await newHome(), env: vault.env }))
  })
})

test('a vault that was replaced is not written to with its old key', async () => {
  const vault = await newVault()
  await vaultSession(world, vault)
  const home = await newHome()
  succeeded(await runCli(['refresh'], { home, env: vault.env }))
  const replaced = await runCli(['vault', 'new', '--replace', vault.env.ATPROTO_OAUTH_VAULT], { home: await newHome() })
  succeeded(replaced)
  const after = vault.repository.tip()
  const refused = await runCli(['refresh'], { home, env: vault.env })
  expectFailure(refused, 2, 'VAULT_KEY_WRONG', 'alive')
  expect(vault.repository.tip()).toBe(after)
})

test('a session that another machine has stored since is found, though this one has another that is good', async () => {
  const vault = await newVault()
  const one = await vaultSession(world, vault)
  const home = await newHome()
  const call = (did: string) => runCli([...GET_SESSION, '--account', did], { home, env: vault.env })
  succeeded(await call(one.did))
  const other = await vaultSession(world, vault)
  succeeded(await call(other.did))
  const missing = await call('did:plc:aaaaaaaaaaaaaaaaaaaaaaaa')
  expectFailure(missing, 5, 'SESSION_MISSING')
  expect(missing.stderr).toContain(`is in the vault at ${vault.env.ATPROTO_OAUTH_VAULT}`)
})

describe('a git server', () => {
  let server: GitServer
  beforeAll(async () => {
    server = await startGitServer()
  })
  afterAll(() => server.close())

  interface Refusal {
    readonly what: string
    readonly exit: number
    readonly code: string
    readonly says: RegExp
    readonly env?: Record<string, string | undefined>
    prepare?(vault: TestVault, name: string): unknown
    fault?(request: GitRequest): GitFault | undefined
  }
  const REMOTE = 'remote: error: '
  const refusals: Refusal[] = [
    {
      what: 'down',
      exit: 3,
      code: 'VAULT_UNREACHABLE',
      says: /cannot reach http:\S+: .*connect/i,
      env: { ATPROTO_OAUTH_VAULT: 'git:http://127.0.0.1:9/vault' },
    },
    { what: 'cut', exit: 3, code: 'VAULT_UNREACHABLE', says: /cannot reach/, fault: () => 'cut-before' },
    { what: 'failing', exit: 3, code: 'VAULT_UNREACHABLE', says: /cannot reach .*503/, fault: () => 503 },
    {
      what: 'wrong-token',
      exit: 4,
      code: 'VAULT_REFUSED',
      says: /cannot read/,
      env: { ATPROTO_OAUTH_VAULT_TOKEN: 'wrong-canary-0123456789' },
    },
    {
      what: 'missing',
      exit: 4,
      code: 'VAULT_REFUSED',
      says: /cannot read .*there is no such repository/,
      fault: () => 404,
    },
    {
      what: 'read-only',
      exit: 4,
      code: 'VAULT_REFUSED',
      says: /no permission to change/,
      env: { ATPROTO_OAUTH_VAULT_TOKEN: READER.password },
    },
    {
      what: 'protected',
      exit: 4,
      code: 'VAULT_REFUSED',
      says: /a rule protects the branch/,
      prepare: ({ repository }) =>
        repository.refusePushes([
          'error: GH006: Protected branch update failed for refs/heads/atproto-oauth.',
          `${REMOTE}Changes must be made through a pull request.`,
        ]),
    },
    {
      what: 'cut-at-push',
      exit: 3,
      code: 'VAULT_UNREACHABLE',
      says: /cannot reach|cannot change/,
      fault: ({ path }) => (path.includes('receive-pack') ? 'cut-before' : undefined),
    },
    {
      what: 'deleted',
      exit: 2,
      code: 'VAULT_INVALID',
      says: /there is no vault at/,
      prepare: ({ repository }) => repository.setTip(undefined),
    },
    {
      what: 'foreign',
      exit: 2,
      code: 'VAULT_INVALID',
      says: /not a vault: it contains notes.txt/,
      prepare: ({ repository }) => repository.commit({ 'notes.txt': 'mine' }),
    },
    {
      what: 'no-readme',
      exit: 2,
      code: 'VAULT_INVALID',
      says: /not a vault/,
      prepare: ({ repository }) => repository.commit({ 'README.md': undefined }),
    },
    {
      what: 'truncated',
      exit: 2,
      code: 'VAULT_INVALID',
      says: /damaged/,
      prepare: ({ repository }) => repository.commit({ vault: 'eyJhbGciOiJkaXIi' }),
    },
    {
      what: 'wrong-key',
      exit: 2,
      code: 'VAULT_KEY_WRONG',
      says: /the key does not belong to the vault/,
      env: { ATPROTO_OAUTH_VAULT_KEY: 'A'.repeat(43) },
    },
    {
      what: 'half-key',
      exit: 2,
      code: 'VAULT_INVALID',
      says: /the key of the vault is not complete/,
      env: { ATPROTO_OAUTH_VAULT_KEY: 'A'.repeat(42) },
    },
    {
      what: 'no-key',
      exit: 2,
      code: 'VAULT_INVALID',
      says: /no key is set/,
      env: { ATPROTO_OAUTH_VAULT_KEY: undefined },
    },
    { what: 'no-git', exit: 2, code: 'VAULT_INVALID', says: /git is not installed/, env: { PATH: '/nonexistent' } },
    {
      what: 'no-address',
      exit: 2,
      code: 'USAGE',
      says: /address/,
      env: { ATPROTO_OAUTH_VAULT: 'github.com/alice/bot' },
    },
  ]

  test('that refuses or is gone is told apart; nothing is sent and nothing is overwritten', async () => {
    const faults = new Map<string, Refusal['fault']>()
    server.onRequest = (request) => faults.get(/^\/([\w-]+)/.exec(request.path)![1]!)?.(request)
    const queue = refusals.values()
    const vaults = new Map<string, TestVault>()
    const { session: fresh } = await newSession(world)
    const session = { ...fresh, accessTokenExpiresAt: Date.now() - 1000 }
    const making = refusals.map(async ({ what }) => {
      const vault = await newVault(server, what)
      await put(session, vault)
      vaults.set(what, vault)
    })
    await Promise.all(making)
    await world.clearRequests()
    const lane = async () => {
      for (const { what, exit, code, says, env = {}, prepare, fault } of queue) {
        const vault = vaults.get(what)!
        await prepare?.(vault, what)
        faults.set(what, fault)
        const before = vault.repository.refs()
        const home = await newHome()
        const called = await runCli(GET_SESSION, { home, env: { ...vault.env, ...env } })
        expect(called.stderr, what).toMatch(says)
        expectFailure(called, exit, code)
        expect(called.stderr).not.toMatch(/canary|git-dir|\/tmp\//)
        expect(vault.repository.refs(), what).toBe(before)
      }
    }
    await Promise.all([lane(), lane(), lane()])
    server.onRequest = undefined
    // The nonce is asked for before a claim, with a token that the server must reject.
    const sent = (await sentByUs(world)).filter((line) => line.includes('/xrpc/') || line.includes('/oauth/revoke'))
    expect(sent).toStrictEqual([])
    for (const [what, vault] of vaults) {
      if (['deleted', 'foreign', 'no-readme', 'truncated'].includes(what)) continue
      vault.repository.hook('pre-receive', undefined)
      expect(await stored(vault), what).toMatchObject({ rotation: 0 })
    }
  })
})

test('a push that is cut off or whose server is killed is repeated: one token is sent once', async () => {
  await using server = await startGitServer()
  const faults = ['cut-after', 'close-after', 'kill'] as const
  await forEach(faults, async (fault) => {
    const vault = await newVault(server, String(fault))
    await vaultSession(world, vault)
    let pushes = 0
    const before = server.onRequest
    server.onRequest = (request) => {
      if (!request.path.startsWith(`/${fault}`)) return before?.(request)
      pushes += request.isPush ? 1 : 0
      return request.isPush && pushes % 2 === 1 ? fault : undefined
    }
    const { run, steps } = await machine(vault)
    succeeded(await run(['refresh']))
    expect((await steps()).filter((step) => step === 'after /oauth/token 200')).toHaveLength(1)
    expect(await stored(vault), fault).toMatchObject({ rotation: 1 })
  })
})

test('a machine that cannot keep anything uses the vault, and leaves nothing behind', async () => {
  const vault = await newVault()
  await vaultSession(world, vault)
  const { home, run } = await machine(vault)
  const file = join(home.path, 'file')
  await writeFile(file, '')
  for (const state of [file, '/proc/nothing']) succeeded(await run(['refresh'], { ATPROTO_OAUTH_HOME: state }))
  succeeded(await run(['refresh'], { ATPROTO_OAUTH_HOME: undefined, HOME: '/proc/nothing' }))
  expect(await stored(vault)).toMatchObject({ rotation: 3 })
  expect(await readdir(join(home.path, 'tmp'))).toStrictEqual([])
})

test('a slow server: whoever comes meanwhile waits for the refresh, and none is sent twice', async () => {
  await using server = await startGitServer()
  const vault = await newVault(server)
  await vaultSession(world, vault)
  await expire(vault)
  const [holder, other] = [await machine(vault), await newHome()]
  let publish = () => {}
  let pushes = 0
  server.onRequest = async ({ isPush }) => {
    if (!isPush) return undefined
    pushes += 1
    if (pushes === 2) await new Promise<void>((resolve) => (publish = resolve))
    return undefined
  }
  const refreshed = holder.run(['refresh'])
  await vi.waitFor(() => expect(pushes).toBe(2), { timeout: HANG_MS / 10 })
  const finished = await waiting(other, vault, GET_SESSION)
  publish()
  succeeded(await refreshed)
  succeeded(await finished())
  expect(await stored(vault)).toMatchObject({ rotation: 1 })
})

test.runIf(process.getuid?.() === 0)('a full disk: nothing is sent that could not be kept', async () => {
  const vault = await newVault()
  await vaultSession(world, vault)
  const { home, run, steps } = await machine(vault)
  await mkdir(home.state)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', home.state])
  onTestFinished(() => void execFileSync('umount', [home.state]))
  succeeded(await run(['refresh']))
  await writeFile(join(home.state, 'rest'), Buffer.alloc(2 ** 20)).catch(() => undefined)
  const full = await run(['refresh'])
  const sent = (await steps()).filter((step) => step === 'after /oauth/token 200')
  expect(await stored(vault), full.stderr).toMatchObject({ rotation: sent.length })
  if (full.code !== 0) expectFailure(full, 2, 'STORE_UNAVAILABLE', 'alive')
  succeeded(await runCli(GET_SESSION, { home: await newHome(), env: vault.env }))
})

test('git of the user, with their checkout in its environment, is not touched', async () => {
  const vault = await newVault()
  await vaultSession(world, vault)
  await expire(vault)
  const home = await newHome()
  const folder = join(home.path, 'checkout')
  await mkdir(folder)
  git(folder, ['init', '--quiet'])
  await writeFile(join(folder, 'file'), 'of the user')
  git(folder, ['add', 'file'])
  git(folder, ['commit', '--quiet', '--message', 'one'])
  await writeFile(join(folder, 'file'), 'changed')
  const before = await contents(folder)
  const env = {
    ...vault.env,
    GIT_DIR: join(folder, '.git'),
    GIT_WORK_TREE: folder,
    GIT_INDEX_FILE: join(folder, '.git', 'index'),
    GIT_OBJECT_DIRECTORY: join(folder, '.git', 'objects'),
    GIT_COMMON_DIR: join(folder, '.git'),
    GIT_NAMESPACE: 'elsewhere',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_AUTHOR_NAME: undefined,
    EMAIL: undefined,
  }
  succeeded(await runCli(GET_SESSION, { home, env }))
  succeeded(await runCli(['vault', 'check'], { home, env }))
  expect(await contents(folder)).toStrictEqual(before)
  expect(await stored(vault)).toMatchObject({ rotation: 1 })
  expect(vault.repository.git(['log', '--format=%an <%ae> %ad %cn', '-1', 'atproto-oauth'])).toMatch(
    /^atproto-oauth <atproto-oauth@localhost> .*2000/,
  )
})

test('a vault has one address: a copy of the repository elsewhere is refused, and the same place spelled otherwise is not', async () => {
  const vault = await newVault()
  await vaultSession(world, vault)
  await expire(vault)
  const copy = `${vault.repository.folder.slice(0, -4)}-mirror.git`
  git('/', ['clone', '--quiet', '--mirror', vault.repository.folder, copy])
  const home = await newHome()
  const call = (address: string) => runCli(GET_SESSION, { home, env: { ...vault.env, ATPROTO_OAUTH_VAULT: address } })
  const refused = await call(`git:${copy}`)
  expectFailure(refused, 2, 'VAULT_INVALID')
  expect(refused.stderr).toContain(`is a copy of the one at ${vault.env.ATPROTO_OAUTH_VAULT}`)
  vault.repository.git(['branch', 'other', 'atproto-oauth'])
  expectFailure(await call(`git:${vault.repository.folder}#other`), 2, 'VAULT_INVALID')
  for (const spelling of [
    `git:file://${vault.repository.folder}`,
    `git:${vault.repository.folder}/`,
    `git:${vault.repository.folder}#atproto-oauth`,
  ]) {
    succeeded(await call(spelling))
  }
  expect(await stored(vault)).toMatchObject({ rotation: 1 })
})
