/** What is in the way of a file: named, with the repair that fits, and never another store. */
import { spawnSync } from 'node:child_process'
import { chmod, chown, lstat, mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { readPrivate, writePrivate } from '../../../src/node/store/files.ts'
import { unavailable } from '../../../src/node/store/obstacles.ts'
import { startNode, tempFolder } from '../helpers.ts'

const NOBODY = 65_534
const AS_NOBODY = ['setpriv', '--reuid', `${NOBODY}`, '--regid', `${NOBODY}`, '--clear-groups']

const SESSION = `sessions/${'x'.repeat(43)}.json`
const LOGIN = `pending/${'a'.repeat(64)}.json`
const LOCK = `locks/${'x'.repeat(43)}`

const failing = (code: string) => Object.assign(new Error(code), { code })

describe('without a look at owners', () => {
  test.each([
    ['ENOSPC', 'no space left on device', 'disk-full', SESSION],
    ['EDQUOT', 'disk quota exceeded', 'disk-full', SESSION],
    ['EFBIG', 'file too large', 'file-size-limited', SESSION],
    ['EROFS', 'read-only file system', 'file-system-read-only', ''],
  ])('%s', async (code, words, reason, path) => {
    const home = await tempFolder()
    const file = join(home, SESSION)
    const error = unavailable(failing(code), 'write', file)
    expect(error.message).toBe(`cannot write ${file}: ${words}`)
    expect(error.facts).toStrictEqual({ reason, path: join(home, path), isEmpty: true })
  })

  test('a store with a session is not empty, and a file elsewhere is in no store', async () => {
    const home = await tempFolder()
    await mkdir(join(home, 'sessions'))
    const isEmpty = (path: string) => unavailable(failing('ENOSPC'), 'write', join(home, path)).facts
    expect(isEmpty(LOGIN)).toMatchObject({ isEmpty: true })
    await writeFile(join(home, SESSION), '')
    for (const path of [LOGIN, LOCK, 'session.env']) {
      expect(isEmpty(path), path).toMatchObject({ isEmpty: false })
    }
  })

  test('a file where a directory is needed', async () => {
    const home = join(await tempFolder(), 'home')
    await writeFile(home, '')
    const { message, facts } = unavailable(failing('ENOTDIR'), 'read', join(home, 'sessions'))
    expect(message).toBe(`cannot read ${home}/sessions: not a directory (${home})`)
    expect(facts).toStrictEqual({ reason: 'directory-expected', path: home, isEmpty: true })
  })

  test('a directory where a file is needed', async () => {
    const path = join(await tempFolder(), 'machine.json')
    const { message, facts } = unavailable(failing('EISDIR'), 'write', path)
    expect(message).toBe(`cannot write ${path}: is a directory`)
    expect(facts).toStrictEqual({ reason: 'file-expected', path, isEmpty: true })
  })

  test('what nobody can tell has no facts', async () => {
    expect(unavailable(failing('EIO'), 'read', '/a').facts).toStrictEqual({})
    expect(unavailable(failing('EACCES'), 'read', join(await tempFolder(), 'x')).facts).toStrictEqual({})
  })
})

describe('a file that is no file of its own', () => {
  const kindOf = async (path: string) => {
    const errors = [readPrivate(path), writePrivate(path, 'new')].map((work) => work.catch((error: unknown) => error))
    return Promise.all(errors)
  }

  test.runIf(process.platform === 'linux')(
    'a named pipe is called that, and is neither waited for nor replaced',
    async () => {
      const path = join(await tempFolder(), 'pipe')
      expect(spawnSync('mkfifo', [path]).status).toBe(0)
      for (const error of await kindOf(path)) {
        expect(error).toMatchObject({
          code: 'STORE_INVALID',
          message: `${path} is a named pipe, not a regular file`,
          facts: { reason: 'file-irregular', path },
        })
      }
      expect((await lstat(path)).isFIFO()).toBe(true)
    },
  )

  test('a directory, and a file that is too large', async () => {
    const folder = await tempFolder()
    await expect(readPrivate(folder)).rejects.toMatchObject({ message: `${folder} is a directory, not a regular file` })
    const large = join(folder, 'large')
    await writeFile(large, Buffer.alloc(4 * 1024 * 1024 + 1))
    await expect(readPrivate(large)).rejects.toMatchObject({ message: `${large} is larger than 4 MiB` })
  })

  test('a projected secret of Kubernetes', async () => {
    const folder = await tempFolder()
    await mkdir(join(folder, '..2026_11_29'))
    await writeFile(join(folder, '..2026_11_29/session.env'), 'A=1')
    await symlink('..2026_11_29', join(folder, '..data'))
    const path = join(folder, 'session.env')
    await symlink('..data/session.env', path)
    for (const error of await kindOf(path)) {
      expect(error).toMatchObject({
        code: 'STORE_INVALID',
        message: expect.stringContaining('Kubernetes secret'),
        facts: { reason: 'kubernetes-volume', path },
      })
    }
    const beside = join(folder, 'new.env')
    expect(unavailable(failing('EROFS'), 'write', beside)).toMatchObject({
      message: `cannot write ${beside}: read-only file system (part of a Kubernetes volume)`,
      facts: { reason: 'kubernetes-volume', path: beside },
    })
  })

  const MOUNT = ['unshare', '-rm', 'bash', '-c', 'mount --bind "$0" "$0" && exec "$@"']
  const canMount = spawnSync(MOUNT[0]!, [...MOUNT.slice(1), '/etc/hostname', 'true']).status === 0
  test.runIf(canMount)('a mount point of its own is found before anything is written', async () => {
    const folder = await tempFolder()
    const path = join(folder, 'a session.env')
    await writeFile(path, 'A=1')
    const code = `
      const { writePrivate, reserve } = await import(process.env.SRC + 'node/store/files.ts')
      const failed = await reserve(process.argv[1]).then(() => 'done', ({ message, facts }) => ({ message, facts }))
      console.log(JSON.stringify(failed))`
    const { stdout } = await startNode(code, [path], [...MOUNT, path]).ended
    expect(JSON.parse(stdout)).toStrictEqual({
      message: `cannot replace ${path}: device or resource busy (it is a mount point of its own)`,
      facts: { reason: 'file-mounted', path, isEmpty: false },
    })
    expect(await readdir(folder)).toStrictEqual(['a session.env'])
  })
})

/** A clone in a private directory, such as that of mktemp, is not readable for the other user. */
const READS_THIS = [...AS_NOBODY.slice(1), 'test', '-r', `${process.cwd()}/node_modules/tsx/package.json`]
const canBeNobody = process.getuid?.() === 0 && spawnSync(AS_NOBODY[0]!, READS_THIS).status === 0
describe.runIf(canBeNobody)('as another user', () => {
  /** What an operation on a file fails with, for a user who is not root and has this home directory. */
  async function failureOf(operation: string, path: string, home: string) {
    const code = `
      const { listFolder, readPrivate, writePrivate } = await import(process.env.SRC + 'node/store/files.ts')
      const { withLock } = await import(process.env.SRC + 'node/store/lock.ts')
      process.env.HOME = process.argv[2]
      const path = process.argv[1]
      console.log(JSON.stringify(await ${operation}.then(() => 'done', ({ message, facts }) => ({ message, facts }))))`
    const { stdout, stderr } = await startNode(code, [path, home], AS_NOBODY).ended
    expect(stderr).toBe('')
    return JSON.parse(stdout)
  }

  /** A store of that user with one session. */
  async function store() {
    const folder = await tempFolder()
    const home = join(folder, 'home')
    const session = join(home, SESSION)
    await mkdir(dirname(session), { recursive: true })
    await writeFile(session, '{}')
    for (const path of [folder, home, dirname(session), session]) await chown(path, NOBODY, NOBODY)
    return { folder, home, session }
  }

  test.each([
    ['the file', SESSION, 0o600, 'belongs to root'],
    ['its directory', 'sessions', 0o700, 'HOME/sessions belongs to root'],
    ['the store', '', 0o700, 'HOME belongs to root'],
  ])('%s belongs to root: the whole store is taken back', async (_, name, mode, words) => {
    const { folder, home, session } = await store()
    await chown(join(home, name), 0, 0)
    await chmod(join(home, name), mode)
    for (const [verb, operation] of [
      ['read', 'readPrivate(path)'],
      ['write', 'writePrivate(path, "new")'],
    ] as const) {
      if (name === SESSION && verb === 'write') continue // its directory is the user's: it is replaced
      expect(await failureOf(operation, session, folder), verb).toStrictEqual({
        message: expect.stringMatching(
          RegExp(`^cannot (?:${verb}|create) .*: permission denied \\(${words.replace('HOME', home)}\\)$`),
        ),
        facts: { reason: 'owner-foreign', path: home, owner: 'root', isEmpty: false },
      })
    }
  })

  test('a lock that root has left', async () => {
    const { folder, home } = await store()
    const lock = join(home, LOCK)
    await mkdir(lock, { recursive: true })
    await writeFile(join(lock, '1'), '', { mode: 0o600 })
    for (const path of [dirname(lock), lock]) await chown(path, NOBODY, NOBODY)
    expect(await failureOf('withLock(path, async () => {})', lock, folder)).toMatchObject({
      message: `cannot lock ${lock}: permission denied (${lock}/1 belongs to root)`,
      facts: { reason: 'owner-foreign', path: home, owner: 'root' },
    })
  })

  test('a mode that keeps the user out', async () => {
    const { folder, home, session } = await store()
    await chmod(dirname(session), 0o500)
    expect(await failureOf('writePrivate(path, "new")', session, folder)).toMatchObject({
      facts: { reason: 'access-missing', path: join(home, 'sessions'), isEmpty: false },
    })
  })

  test('a file of root that is in no store: it alone', async () => {
    const { folder } = await store()
    const path = join(folder, 'session.env')
    await writeFile(path, '', { mode: 0o600 })
    expect(await failureOf('readPrivate(path)', path, '/')).toMatchObject({
      message: `cannot read ${path}: permission denied (belongs to root)`,
      facts: { reason: 'owner-foreign', path, owner: 'root' },
    })
  })

  test('a store in a directory with the name of one of its own: the store alone is taken back', async () => {
    const above = await tempFolder()
    const folder = join(above, 'sessions')
    const home = join(folder, 'bot')
    await mkdir(home, { recursive: true, mode: 0o755 })
    await chmod(above, 0o755)
    expect(await failureOf('writePrivate(path, "new")', join(home, SESSION), '/nonexistent')).toMatchObject({
      facts: { reason: 'owner-foreign', path: home, owner: 'root' },
    })
    // No store at all.
    expect(await failureOf('writePrivate(path, "new")', join(folder, 'login.json'), '/nonexistent')).toMatchObject({
      facts: { reason: 'directory-foreign', path: folder, owner: 'root' },
    })
  })

  test('a directory of the system, or with other files, is not given away', async () => {
    expect(await failureOf('writePrivate(path, "new")', `/opt/${LOGIN}`, '/nonexistent')).toMatchObject({
      facts: { reason: 'directory-foreign', path: '/opt', owner: 'root' },
    })
    const above = await tempFolder()
    const home = join(above, 'shared')
    await mkdir(home, { mode: 0o755 })
    await chmod(above, 0o755)
    const attempt = () => failureOf('writePrivate(path, "new")', join(home, LOGIN), '/nonexistent')
    expect(await attempt()).toMatchObject({ facts: { reason: 'owner-foreign', path: home } })
    await writeFile(join(home, 'other'), '')
    expect(await attempt()).toMatchObject({ facts: { reason: 'directory-foreign', path: home } })
  })

  test('a directory of root above the store: taken back in the user’s home directory only', async () => {
    const { folder } = await store()
    const share = join(folder, '.local')
    await mkdir(share, { mode: 0o755 })
    const attempt = (home: string) => failureOf('writePrivate(path, "new")', join(share, 'x', SESSION), home)
    const facts = { path: share, owner: 'root', isEmpty: true }
    expect(await attempt(folder)).toMatchObject({ facts: { reason: 'owner-foreign', ...facts } })
    expect(await attempt('/nonexistent')).toMatchObject({
      message: expect.stringContaining(`(${share} belongs to root)`),
      facts: { reason: 'directory-missing', path: join(share, 'x'), isEmpty: true },
    })
    await chmod(share, 0o700) // whether there is a store in it cannot be seen
    expect(await attempt('/nonexistent')).toMatchObject({
      facts: { reason: 'directory-foreign', ...facts, isEmpty: false },
    })
  })
})
