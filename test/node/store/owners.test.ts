/** A command run as root, as with sudo, leaves a user's files to the user; or it writes nothing. */
import { spawnSync } from 'node:child_process'
import { chmod, chown, lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { fileTarget } from '../../../src/node/save/file.ts'
import { holdSignals } from '../../../src/node/signals.ts'
import { reserve, serialize, writePrivate } from '../../../src/node/store/files.ts'
import { createPendingStore } from '../../../src/node/store/logins.ts'
import { homeOfOwner, isForUser, ownerName } from '../../../src/node/store/owners.ts'
import { sealed } from '../../../src/node/store/records.ts'
import { createRescue } from '../../../src/node/store/rescue.ts'
import { createSessionStore } from '../../../src/node/store/sessions.ts'
import { createWitness } from '../../../src/node/store/witness.ts'
import { failure } from '../../support/failure.ts'
import { pendingRecord, sessionRecord, startNode, THUMBPRINT, tempFolder } from '../helpers.ts'

const isRoot = process.getuid?.() === 0
const NOBODY = 65_534
/** A user whose number is in no list. */
const SOMEONE = 54_321

/** Owner, group and mode of all that is in a folder, the folder included. */
async function owners(folder: string): Promise<Record<string, string>> {
  const names = ['', ...(await readdir(folder, { recursive: true }))]
  const entries = names.map(async (name) => {
    const { uid, gid, mode } = await lstat(join(folder, name))
    return [name, `${uid}:${gid} ${(mode & 0o777).toString(8)}`] as const
  })
  return Object.fromEntries(await Promise.all(entries))
}

async function homeOf(uid: number): Promise<string> {
  const home = await tempFolder()
  await chown(home, uid, uid)
  return home
}

describe.runIf(isRoot)('root', () => {
  test('replaces a file, which keeps its owner, group and mode', async () => {
    const path = join(await homeOf(SOMEONE), 'file')
    await writeFile(path, 'old')
    await chown(path, NOBODY, SOMEONE)
    await chmod(path, 0o640)
    await writePrivate(path, 'new', 0o640)
    expect(await readFile(path, 'utf8')).toBe('new')
    expect(await owners(path.slice(0, -'/file'.length))).toStrictEqual({
      '': '54321:54321 700',
      file: '65534:54321 640',
    })
  })

  test('makes files and directories in those of a user: they belong to the user', async () => {
    const home = await homeOf(SOMEONE)
    await writePrivate(join(home, 'a', 'b', 'file'), 'new')
    expect(new Set(Object.values(await owners(home)))).toStrictEqual(new Set(['54321:54321 700', '54321:54321 600']))
  })

  test('uses a store: sessions, nonces, locks and logins belong to the user', async () => {
    const home = await homeOf(SOMEONE)
    const sessions = createSessionStore(home, { holdSignals })
    await sessions.update(THUMBPRINT, async ({ commit }) => commit(sessionRecord()))
    await sessions.update(THUMBPRINT, async ({ commit }) =>
      commit(sessionRecord({ scope: 'atproto transition:email' })),
    )
    await sessions.writeNonces(THUMBPRINT, { 'https://pds.example.com': 'n' })
    const pending = createPendingStore(home)
    await pending.put(pendingRecord())
    const { state } = pendingRecord()
    const spent = { version: 1, status: 'spent', state, codeHash: 'x', outcome: 'sent', at: 0 } as const
    expect(await pending.claim(spent)).toBe(true)
    await pending.put(spent)
    const all = await owners(home)
    expect(Object.keys(all).length).toBeGreaterThan(8)
    expect(Object.entries(all).filter(([, owner]) => !owner.startsWith('54321:54321 '))).toStrictEqual([])
  })

  test('leaves what it has seen of a session to the user, and follows no link of theirs', async () => {
    const [home, cache, other] = [await homeOf(SOMEONE), await homeOf(SOMEONE), join(await tempFolder(), 'other')]
    const witness = createWitness(home, { cache, machine: async () => 'one' })
    await witness.note(sessionRecord({ rotation: 1 }), { isRefresh: true })
    for (const folder of [home, cache]) {
      const files = Object.entries(await owners(folder)).filter(([name]) => name !== '')
      expect(files.length).toBeGreaterThan(0)
      expect(files.filter(([, owner]) => !owner.startsWith('54321:54321 '))).toStrictEqual([])
    }
    await writeFile(other, 'other')
    await rm(join(home, 'machine.json'))
    await symlink(other, join(home, 'machine.json'))
    await witness.note(sessionRecord({ rotation: 2 }), { isRefresh: true })
    expect(await failure(witness.adopt('moved'))).toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(await readFile(other, 'utf8')).toBe('other')
  })

  test('rescues a session of a user for the user, and finds what the user’s own run has rescued', async () => {
    const [home, unreachable, elsewhere] = [await homeOf(SOMEONE), await tempFolder(), await tempFolder()]
    await chmod(elsewhere, 0o1777)
    const { write, read } = createRescue(home, [unreachable, elsewhere])
    const path = (await write(THUMBPRINT, serialize(sealed(sessionRecord()))))!
    expect(dirname(path)).toBe(elsewhere)
    expect((await lstat(path)).uid).toBe(SOMEONE)
    expect(await read(THUMBPRINT)).toMatchObject({ thumbprint: THUMBPRINT })
    await chown(path, NOBODY, NOBODY)
    expect(await read(THUMBPRINT)).toBeUndefined()
  })

  test('rescues a session also if the folder of the store is gone', async () => {
    const [home, elsewhere] = [await homeOf(SOMEONE), await tempFolder()]
    await rm(home, { recursive: true })
    const { write } = createRescue(home, [elsewhere])
    expect(await write(THUMBPRINT, serialize(sealed(sessionRecord())))).toContain(elsewhere)
  })

  test('marks a store and counts refreshes for the user, and writes through no link of theirs', async () => {
    const [home, cache, foreign] = [await homeOf(SOMEONE), await homeOf(SOMEONE), await tempFolder()]
    const witness = createWitness(home, { cache, machine: async () => 'one' })
    await witness.note(sessionRecord({ rotation: 3 }), { isRefresh: true })
    for (const folder of [home, cache]) {
      const all = Object.values(await owners(folder))
      expect(all.filter((owner) => !owner.startsWith('54321:54321 '))).toStrictEqual([])
    }
    const path = join(foreign, 'file')
    await writeFile(path, 'foreign')
    await rm(join(home, 'machine.json'))
    await symlink(path, join(home, 'machine.json'))
    await rm(join(cache, 'refreshes'), { recursive: true })
    await symlink(foreign, join(cache, 'refreshes'))
    await witness.note(sessionRecord({ rotation: 4 }), { isRefresh: true })
    expect(await failure(witness.adopt('moved'))).toMatchObject({ code: 'STORE_UNAVAILABLE' })
    expect(await readFile(path, 'utf8')).toBe('foreign')
    expect(await readdir(foreign)).toStrictEqual(['file'])
  })

  test('finds the home directory of a user, by whom what is outside the store has to be found', async () => {
    const { homedir } = userInfo()
    expect(homeOfOwner(homedir)).toBe(homedir)
    expect(homeOfOwner(await homeOf(SOMEONE))).toBeUndefined()
    expect([isForUser(await homeOf(SOMEONE)), isForUser(await homeOf(0)), isForUser('/none')]).toStrictEqual([
      true,
      false,
      false,
    ])
  })

  test('saves to a file of a user', async () => {
    const home = await homeOf(SOMEONE)
    const target = fileTarget('file:x', join(home, 'session.env'))
    for (const value of ['first', 'second']) await target.save([['A', value]])
    expect(await owners(home)).toStrictEqual({ '': '54321:54321 700', 'session.env': '54321:54321 600' })
  })

  test('does not give secrets to a stranger who has put a file where everybody can', async () => {
    const home = await homeOf(0)
    await chmod(home, 0o1777)
    const path = join(home, 'session.env')
    await writeFile(path, 'A=1')
    await chown(path, SOMEONE, SOMEONE)
    const why = `it belongs to user 54321, in a directory that everybody can write to`
    expect(await failure(reserve(path))).toMatchObject({ message: `cannot write ${path}: ${why}` })
    expect(await readFile(path, 'utf8')).toBe('A=1')
    expect(await readdir(home)).toStrictEqual(['session.env'])
    const { write } = createRescue(await homeOf(0), [home])
    const rescued = join(home, basename((await write(THUMBPRINT, 'old'))!))
    await chown(rescued, SOMEONE, SOMEONE)
    expect(await write(THUMBPRINT, 'new')).toBe(rescued)
    expect((await lstat(rescued)).uid).toBe(0)
  })

  const canDrop = spawnSync('setpriv', ['--bounding-set', '-chown', 'true']).status === 0
  test.runIf(canDrop)('that may not give files away replaces none, and leaves nothing beside', async () => {
    const home = await homeOf(0)
    await chmod(home, 0o755)
    await mkdir(join(home, 'theirs'))
    await chown(join(home, 'theirs'), SOMEONE, SOMEONE)
    await writeFile(join(home, 'file'), 'old')
    await chown(join(home, 'file'), NOBODY, NOBODY)
    const code = `
      const { reserve, writePrivate } = await import(process.env.SRC + 'node/store/files.ts')
      const home = process.argv[1]
      const said = await reserve(home + '/file').catch(({ code, message, facts }) => ({ code, message, facts }))
      const { withLock } = await import(process.env.SRC + 'node/store/lock.ts')
      const locked = await withLock(home + '/theirs', async () => 'locked').catch(({ code }) => code)
      // Nobody has anything to lose by a new file.
      await writePrivate(home + '/theirs/new', 'text')
      console.log(JSON.stringify({ ...said, locked }))`
    const { stdout, stderr } = await startNode(code, [home], ['setpriv', '--bounding-set', '-chown']).ended
    expect(stderr).toBe('')
    const owner = ownerName(NOBODY)
    const message = `cannot write ${home}/file: it belongs to ${owner}, and root cannot keep that`
    const facts = { reason: 'owner-foreign', path: `${home}/file`, owner, isEmpty: false }
    expect(JSON.parse(stdout)).toStrictEqual({
      code: 'STORE_UNAVAILABLE',
      message,
      facts,
      locked: 'STORE_UNAVAILABLE',
    })
    expect(await readFile(join(home, 'file'), 'utf8')).toBe('old')
    expect((await readdir(home, { recursive: true })).sort()).toStrictEqual(['file', 'theirs', 'theirs/new'])
  })
})

test('an owner by name, or by number', () => {
  expect([0, SOMEONE].map(ownerName)).toStrictEqual(['root', 'user 54321'])
})
