/** What a user is told when the place of the session is damaged, full or not theirs: nothing is sent, nothing lost. */
import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { chmod, chown, cp, readdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { withLock } from '../../src/node/store/lock.ts'
import { hasTinyDisk, onTinyDisk } from '../node/helpers.ts'
import { type CliResult, createHome, type Home, LAUNCHER, runCli, runShell } from '../world/cli.ts'
import { type Account, connectWorld } from '../world/world.ts'
import { callbackFor, expectFailure, newHome, sentByUs } from './support.ts'

const world = connectWorld()
const GET_SESSION = ['call', 'com.atproto.server.getSession']
const IN_A_DAY = new Date(Date.now() + 86_400_000)
/** Where one may be root of a few things of one's own; the files of other users are then those of strangers. */
const canUnshare = spawnSync('unshare', ['-rm', 'true']).status === 0
const isRoot = process.getuid?.() === 0
const NOBODY = 65_534
const NOBODY_READS = ['--reuid', `${NOBODY}`, '--regid', `${NOBODY}`, '--clear-groups', 'test', '-r']
const canBeNobody = isRoot && spawnSync('setpriv', [...NOBODY_READS, `${process.cwd()}/package.json`]).status === 0

/** One session, stored; each test breaks a copy, so that none may use up its refresh token. */
let whole: Home
let account: Account
beforeAll(async () => {
  account = await world.createAccount()
  whole = await createHome()
  const saved = await runCli(['complete', await callbackFor(account, whole), '--save', 'store'], { home: whole })
  expect(saved).toMatchObject({ code: 0 })
  return () => whole.remove()
})

interface Copy {
  readonly home: Home
  /** The file of the session. */
  readonly path: string
  readonly text: string
  readonly lock: string
}

async function copied(): Promise<Copy> {
  const home = await newHome()
  await cp(whole.state, home.state, { recursive: true })
  const [name] = await readdir(join(home.state, 'sessions'))
  const path = join(home.state, 'sessions', name!)
  await world.clearRequests()
  return { home, path, text: await readFile(path, 'utf8'), lock: join(home.state, 'locks', name!.slice(0, -5)) }
}

/** The failure as it is promised, and not a byte for any server. */
async function expectUnsent(result: CliResult, exit: number, code: string, ...words: string[]): Promise<void> {
  expectFailure(result, exit, code)
  for (const word of words) expect(result.stderr).toContain(word)
  expect(result.stderr).toContain('session: still valid')
  expect(await sentByUs(world)).toStrictEqual([])
}

async function expectWorks({ home, path, text }: Copy): Promise<void> {
  expect(await readFile(path, 'utf8')).toBe(text)
  const { stdout, stderr } = await runCli(GET_SESSION, { home })
  expect(stdout, stderr).toContain(account.did)
}

/** `line` of bash, in which REFRESH is the command. */
function refreshIn(line: string, home: Home): Promise<CliResult> {
  return runShell(`export -f atproto-oauth; ${line.replace('REFRESH', 'atproto-oauth refresh')}`, { home })
}

describe('no room', () => {
  test('a limit for files', async () => {
    const copy = await copied()
    const result = await refreshIn('ulimit -f 0; REFRESH', copy.home)
    await expectUnsent(result, 2, 'STORE_UNAVAILABLE', 'file too large', 'ulimit -f')
    await expectWorks(copy)
  })

  test.runIf(hasTinyDisk())('a full disk; with room again, all is as before', async () => {
    const { home } = await copied()
    const disk = join(home.path, 'disk')
    const inside = `cp -r state disk && export ATPROTO_OAUTH_HOME=${disk}/state && cat /dev/zero > disk/filler
      atproto-oauth refresh; echo $?; rm disk/filler; atproto-oauth ${GET_SESSION.join(' ')}`
    const tiny = onTinyDisk(disk).map((word) => `'${word}'`)
    const script = `export -f atproto-oauth; mkdir disk; ${tiny.join(' ')} bash -c '${inside}' 2> errors`
    const { stdout } = await runShell(script, { home })
    const stderr = await readFile(join(home.path, 'errors'), 'utf8')
    expect(stdout.split('\n')).toStrictEqual(['2', expect.stringContaining(account.did)])
    expect(stderr).toMatch(/error: cannot (?:write|lock) .*: no space left on device \[STORE_UNAVAILABLE\]/)
    expect(stderr).toMatch(/session: still valid\n.*hint: free some disk space/)
    expect(new Set(await sentByUs(world))).toStrictEqual(new Set(['GET pds /xrpc/com.atproto.server.getSession']))
  })
})

describe('not ours', () => {
  test.runIf(canUnshare)('a home that is read-only', async () => {
    const copy = await copied()
    const mounts = 'mount --bind state state && mount -o remount,ro,bind state'
    const result = await refreshIn(`unshare -rm bash -c '${mounts} && REFRESH'`, copy.home)
    await expectUnsent(
      result,
      2,
      'STORE_UNAVAILABLE',
      'read-only file system',
      `file system of ${copy.home.state} writable`,
    )
    await expectWorks(copy)
  })

  test.runIf(canUnshare && isRoot)('a home of another user', async () => {
    const copy = await copied()
    const entries = await readdir(copy.home.state, { recursive: true })
    const paths = [copy.home.state, ...entries.map((entry) => join(copy.home.state, entry))]
    for (const path of paths) await chown(path, 65_534, 65_534)
    const result = await refreshIn(`unshare -r bash -c 'REFRESH'`, copy.home)
    expectFailure(result, 2, 'STORE_UNAVAILABLE', 'none')
    expect(result.stderr).toMatch(/permission denied \(.* belongs to .*\)/)
    expect(result.stderr).not.toContain('ATPROTO_OAUTH_HOME')
    expect(await sentByUs(world)).toStrictEqual([])
    for (const path of paths) await chown(path, 0, 0)
    await expectWorks(copy)
  })

  test.runIf(canBeNobody)(
    'used once with sudo: it is still the user’s, and what an older version left is taken back',
    async () => {
      const copy = await copied()
      const { home, path } = copy
      const all = async () =>
        ['', ...(await readdir(home.state, { recursive: true }))].map((name) => join(home.state, name))
      for (const each of await all()) await chown(each, NOBODY, NOBODY)
      const asRoot = await runCli(['refresh', '--if-older-than', '1h'], { home })
      expect(asRoot).toMatchObject({ code: 0, stderr: expect.stringContaining('refreshed recently') })
      for (const each of await all()) expect([each, (await stat(each)).uid]).toStrictEqual([each, NOBODY])

      await chown(path, 0, 0)
      await chmod(home.path, 0o755)
      // The package that is tested lies where only root can read it.
      await cp(join(dirname(LAUNCHER), '..'), join(home.path, 'package'), { recursive: true })
      const user = `setpriv --reuid ${NOBODY} --regid ${NOBODY} --clear-groups`
      const asUser = await runShell(`${user} node package/bin/atproto-oauth.cjs refresh`, { home })
      expectFailure(asUser, 2, 'STORE_UNAVAILABLE')
      expect(asUser.stderr).toContain(`cannot read ${path}: permission denied (belongs to root)`)
      expect(asUser.stderr).toContain(`hint: sudo chown -R "$(id -un)" ${home.state}`)
      expect(await sentByUs(world)).toStrictEqual([])
      await expectWorks(copy)
    },
  )

  test('20.5 other users can read nothing of a home', async () => {
    const entries = await readdir(whole.state, { recursive: true, withFileTypes: true })
    expect(entries.length).toBeGreaterThan(3)
    for (const entry of entries) {
      const { mode } = await stat(join(entry.parentPath, entry.name))
      expect([entry.name, mode & 0o777]).toStrictEqual([entry.name, entry.isDirectory() ? 0o700 : 0o600])
    }
  })
})

describe('another file than was written', () => {
  test('a link in its place is not followed', async () => {
    const copy = await copied()
    const elsewhere = join(copy.home.path, 'elsewhere.json')
    await rename(copy.path, elsewhere)
    await symlink(elsewhere, copy.path)
    await expectUnsent(await runCli(['refresh'], copy), 2, 'STORE_INVALID', copy.path, 'symbolic link')
    await rm(copy.path)
    await rename(elsewhere, copy.path)
    await expectWorks(copy)
  })

  test('20.7 cut, emptied or edited by hand: said, with its path, and good again once it is repaired', async () => {
    const copy = await copied()
    const record = JSON.parse(copy.text)
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const edited = [
      { dpopPrivateJwk: privateKey.export({ format: 'jwk' }) },
      { did: (await world.createAccount()).did },
      { clientId: 'http://localhost' },
      { refreshToken: `ref-${'0'.repeat(64)}` },
      { refreshToken: undefined },
      { pds: 'https://pds.example.com' },
    ].map((change) => JSON.stringify({ ...record, ...change }))
    await world.clearRequests()
    for (const text of ['', '{', copy.text.slice(0, copy.text.length / 2), 'null', ...edited]) {
      await writeFile(copy.path, text)
      await expectUnsent(await runCli(['refresh'], copy), 2, 'STORE_INVALID', copy.path, 'do not delete the file')
      expect(await readFile(copy.path, 'utf8')).toBe(text)
    }
    await writeFile(copy.path, copy.text)
    await expectWorks(copy)
  })
})

describe('the lock', () => {
  test('11.6 left by a process that was killed, and by a clock that was ahead: nobody waits', async () => {
    const copy = await copied()
    const killed = await runCli(['refresh', '--save', 'exec:kill -9 $PPID'], copy)
    expect(killed.signal).toBe('SIGKILL')
    expect(await sentByUs(world)).not.toContain('POST pds /oauth/token')
    const held = (await readdir(copy.lock)).filter((name) => /^\d+$/.test(name)).map((name) => join(copy.lock, name))
    expect(await readFile(held.at(-1)!, 'utf8')).toContain('"pid"')
    for (const path of held) await utimes(path, IN_A_DAY, IN_A_DAY)
    const next = await runCli(['refresh', '--if-older-than', '1h'], copy) // needs the lock, and nothing else
    expect([next.code, next.stderr]).toStrictEqual([0, expect.stringContaining('refreshed recently')])
    await expectWorks(copy)
  })

  test('11.6 of a process that hangs: who it is, and the way out', async () => {
    const copy = await copied()
    const hurried = `const { now } = performance; performance.now = () => 1000 * now.call(performance)`
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hurried)}` }
    const result = await withLock(copy.lock, () => runCli(['refresh'], { home: copy.home, env }))
    const who = `timed out waiting for process ${process.pid} on ${hostname()}, which is refreshing this session`
    await expectUnsent(result, 3, 'SESSION_BUSY', who, `remove the directory ${copy.lock}`)
    await expectWorks(copy)
  })
})

describe('a clock that was set back by a day', () => {
  test('a login that was begun before is completed, also after another one was begun', async () => {
    const someone = await world.createAccount()
    const home = await newHome()
    const callback = await callbackFor(someone, home)
    const folder = join(home.state, 'pending')
    const path = join(folder, (await readdir(folder))[0]!)
    await later(path, 'createdAt', 'requestExpiresAt', 'expiresAt')
    expect((await runCli(['init', account.handle], { home })).code).toBe(0)
    expect((await runCli(['complete', callback], { home })).stdout).toContain(someone.did)
  })

  test('a stored token of tomorrow does not win over the one that replaced it elsewhere', async () => {
    const someone = await world.createAccount()
    const home = await newHome()
    const bundle = async (args: string[], place: Home, before?: string) => {
      const env = { ATPROTO_OAUTH_SESSION: before }
      const { stdout, stderr } = await runCli([...args, '--format', 'bundle'], { home: place, env })
      expect(stdout, stderr).toMatch(/^\S+\n$/)
      return stdout
    }
    const first = await bundle(['complete', await callbackFor(someone, home)], home)
    const second = await bundle(['refresh'], home, first)
    const folder = join(home.state, 'sessions')
    const path = join(folder, (await readdir(folder))[0]!)
    await later(path, 'createdAt', 'rotatedAt', 'accessTokenExpiresAt')
    const third = await bundle(['refresh'], await newHome(), second)
    await bundle(['refresh'], home, third)
    expect((await runCli(GET_SESSION, { home })).stdout).toContain(someone.did)
    // Nor is it "refreshed recently", or good because it expires tomorrow.
    await later(path, 'createdAt', 'rotatedAt', 'accessTokenExpiresAt')
    const renewed = await runCli(['refresh', '--if-older-than', '1h'], { home })
    expect(renewed.stderr).toContain(': refreshed')
  })

  async function later(path: string, ...fields: string[]): Promise<void> {
    const record = JSON.parse(await readFile(path, 'utf8'))
    for (const field of fields) record[field] += 86_400_000
    await writeFile(path, JSON.stringify(record))
    await utimes(path, IN_A_DAY, IN_A_DAY)
  }
})

test('the session has outlived all that; and a home may be a link to a folder', async () => {
  const home = await newHome()
  await symlink(whole.state, home.state)
  expect(await runCli(['refresh'], { home })).toMatchObject({ code: 0 })
  expect((await runCli(GET_SESSION, { home })).stdout).toContain(account.did)
})
