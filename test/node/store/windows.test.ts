/** The store where the file system is as on Windows: what is in use cannot be replaced, and modes mean nothing. */
import { constants as all } from 'node:fs'
import { readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { openTarget } from '../../../src/node/save/targets.ts'
import { makePrivateFolder, readPrivate, writePrivate } from '../../../src/node/store/files.ts'
import { withLock } from '../../../src/node/store/lock.ts'
import { createPendingStore } from '../../../src/node/store/logins.ts'
import { createSessionStore } from '../../../src/node/store/sessions.ts'
import { failure } from '../../support/failure.ts'
import { pendingRecord, sessionRecord, THUMBPRINT, tempFolder } from '../helpers.ts'

/** What has refused, and the root of the drive. */
const system = vi.hoisted(() => ({ refused: [] as string[], busy: new Set<string>(), root: '' }))

vi.mock('node:fs', async (load) => {
  const { constants, ...fs } = await load<typeof import('node:fs')>()
  const { O_NOFOLLOW, O_NONBLOCK, O_DIRECTORY, ...known } = constants
  const openSync: typeof fs.openSync = (path, flags, mode) => {
    if (!fs.statSync(path, { throwIfNoEntry: false })?.isDirectory()) return fs.openSync(path, flags, mode)
    throw Object.assign(new Error('EPERM: open a folder'), { code: 'EPERM' })
  }
  return { ...fs, openSync, constants: known }
})
vi.mock('node:fs/promises', async (load) => {
  const fs = await load<typeof import('node:fs/promises')>()
  const refuse = (what: string, code: string) => {
    system.refused.push(what)
    return Promise.reject(Object.assign(new Error(`${code}: ${what}`), { code }))
  }
  /** Somebody has it open for a moment: twice, then no more. */
  const inUse = (what: string, path: string, times = 2) => {
    const tries = [...Array(times).keys()].map((at) => `${what} ${path} ${at}`)
    const now = tries.find((each) => !system.busy.has(each))
    if (now) system.busy.add(now)
    return now !== undefined
  }
  const exists = (path: string) =>
    fs.lstat(path).then(
      () => true,
      () => false,
    )
  const asSeen = <T extends { mode: number }>(stats: T) => Object.assign(stats, { mode: (stats.mode & ~0o777) | 0o666 })
  const known: Partial<typeof fs> = {
    async open(path, flags, mode) {
      const stats = await fs.stat(path).catch(() => undefined)
      if (stats?.isDirectory()) return refuse('open a folder', 'EPERM')
      return fs.open(path, flags, mode)
    },
    async rename(from, to) {
      if ((await exists(String(to))) && inUse('replace', String(to))) return refuse('replace', 'EPERM')
      return fs.rename(from, to)
    },
    async rm(path, options) {
      if (!options?.recursive && (await exists(String(path))) && inUse('remove', String(path)))
        return refuse('remove', 'EBUSY')
      return fs.rm(path, options)
    },
    mkdir: (async (path: string, options: object) =>
      path === system.root ? refuse('make a drive', 'EPERM') : fs.mkdir(path, options)) as typeof fs.mkdir,
    lstat: (async (path: string) => asSeen(await fs.lstat(path))) as typeof fs.lstat,
    stat: (async (path: string) => asSeen(await fs.stat(path))) as typeof fs.stat,
  }
  return { ...fs, ...known }
})

beforeEach(() => {
  const before = process.platform
  Object.defineProperty(process, 'platform', { value: 'win32' })
  onTestFinished(() => void Object.defineProperty(process, 'platform', { value: before }))
  Object.assign(system, { refused: [], busy: new Set(), root: '' })
})

test('this is Windows', () => {
  expect(process.platform).toBe('win32')
  expect(all.O_NOFOLLOW).toBeUndefined()
})

test('a file that somebody reads is replaced as soon as they are done', async () => {
  const path = join(await tempFolder(), 'file')
  await writePrivate(path, 'old')
  await writePrivate(path, 'new')
  expect(await readPrivate(path)).toBe('new')
  expect(await readdir(dirname(path))).toStrictEqual(['file'])
  expect(system.refused).toContain('replace')
})

test('what lies at the root of a drive', async () => {
  const folder = await tempFolder()
  system.root = folder
  await makePrivateFolder(folder)
  await writePrivate(join(folder, 'file'), 'secret')
  expect(await readPrivate(join(folder, 'file'))).toBe('secret')
  expect(system.refused).toContain('make a drive')
})

test('20.6 a link is not read through, although no flag forbids it', async () => {
  const folder = await tempFolder()
  await writeFile(join(folder, 'target'), 'untouched')
  await symlink(join(folder, 'target'), join(folder, 'link'))
  for (const attempt of [readPrivate, (path: string) => writePrivate(path, 'secret')]) {
    expect(await failure(attempt(join(folder, 'link')))).toMatchObject({ code: 'STORE_INVALID' })
  }
  expect(await readFile(join(folder, 'target'), 'utf8')).toBe('untouched')
})

describe('the store', () => {
  test('keeps, changes and removes a session', async () => {
    const home = await tempFolder()
    const store = createSessionStore(home, { holdSignals: (work) => work() })
    const record = sessionRecord()
    for (const refreshToken of ['one', 'two', 'three']) {
      await store.update(THUMBPRINT, ({ commit }) => commit({ ...record, refreshToken }))
    }
    expect(await store.read(THUMBPRINT)).toMatchObject({ refreshToken: 'three' })
    await store.update(THUMBPRINT, ({ forget: remove }) => remove())
    expect(await store.list()).toStrictEqual([])
    const left = await readdir(home, { recursive: true })
    expect(left.filter((name) => name.endsWith('.tmp') || name.endsWith('.json'))).toStrictEqual([])
    expect(new Set(system.refused)).toStrictEqual(new Set(['open a folder', 'replace', 'remove']))
  })

  test('6.7 grants the claim of a login once', async () => {
    const home = await tempFolder()
    await createPendingStore(home).put(pendingRecord())
    const spent = { version: 1, status: 'spent', state: 'canary-state', outcome: 'sent' } as const
    const stores = [0, 1, 2].map(() => createPendingStore(home))
    const granted = await Promise.all(stores.map((each, at) => each.claim({ ...spent, codeHash: `hash-${at}`, at })))
    expect(granted.filter(Boolean)).toHaveLength(1)
    const winner = granted.indexOf(true)
    expect(await createPendingStore(home).get('canary-state')).toMatchObject({ at: winner })

    await stores[winner]!.put({ ...spent, codeHash: 'x', at: 9 }) // what was reserved for it is used
    expect((await readdir(home, { recursive: true })).filter((name) => name.endsWith('.tmp'))).toStrictEqual([])
  })

  test('a lock is held by one at a time, and given back', async () => {
    const folder = join(await tempFolder(), 'lock')
    let inside = 0
    const most = await Promise.all(
      [1, 2, 3].map(() =>
        withLock(folder, async () => {
          inside += 1
          await readdir(folder)
          return inside--
        }),
      ),
    )
    expect(most).toStrictEqual([1, 1, 1])
    expect(await withLock(folder, async () => 'free', { times: { timeout: 1000 } })).toBe('free')
  })

  test('whose files an editor marked and gave CR LF is read', async () => {
    const home = await tempFolder()
    await createPendingStore(home).put(pendingRecord())
    const [name] = await readdir(join(home, 'pending'))
    const path = join(home, 'pending', name!)
    await writeFile(path, `\ufeff${(await readFile(path, 'utf8')).replaceAll('\n', '\r\n')}`)
    expect(await createPendingStore(home).get('canary-state')).toStrictEqual(pendingRecord())
  })
})

test('file: keeps the line ends of a dotenv file, and what is not ours', async () => {
  const path = join(await tempFolder(), 's.env')
  await writeFile(path, "A=1\r\nTOKEN='old'\r\n# end\r\n")
  await openTarget(`file:${path}`, { environment: {} }).save([['TOKEN', 'new']])
  expect(await readFile(path, 'utf8')).toBe("A=1\r\nTOKEN='new'\r\n# end\r\n")
})
