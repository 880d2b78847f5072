/** The lock on a file system without hard links, and where a release fails. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, test, vi } from 'vitest'
import { withLock } from '../../../src/node/store/lock.ts'
import { failure } from '../../support/failure.ts'
import { tempFolder } from '../helpers.ts'

const system = vi.hoisted(() => ({ links: 'ENOTSUP', refusals: 0, times: true }))

vi.mock('node:fs/promises', async (load) => {
  const fs = await load<typeof import('node:fs/promises')>()
  const fails = (code: string) => Promise.reject(Object.assign(new Error(code), { code }))
  const known: Partial<typeof fs> = {
    link: () => fails(system.links),
    async utimes(...given) {
      return system.times ? fs.utimes(...given) : fails('EPERM')
    },
    async open(path, flags, mode) {
      if (flags === 'r+' && system.refusals > 0) {
        system.refusals -= 1
        return fails('EIO')
      }
      return fs.open(path, flags, mode)
    },
  }
  return { ...fs, ...known }
})

beforeEach(() => Object.assign(system, { links: 'ENOTSUP', refusals: 0, times: true }))

const times = { timeout: 0, stale: 40, blank: 20, heartbeat: 5, poll: 4 }

test.each(['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])(
  'a link fails with %s: one holder at a time all the same',
  async (code) => {
    system.links = code
    const folder = join(await tempFolder(), 'lock')
    let inside = 0
    const most = await Promise.all(
      [1, 2, 3].map(() =>
        withLock(folder, async ({ confirm }) => {
          inside += 1
          await confirm()
          return inside--
        }),
      ),
    )
    expect(most).toStrictEqual([1, 1, 1])
  },
)

test('neither links nor files: said as it is', async () => {
  system.links = 'EIO'
  const error = await failure(withLock(join(await tempFolder(), 'lock'), async () => 'acquired'))
  expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE' })
  expect(error.message).toMatch(/^cannot lock .*: input\/output error$/)
})

test('a heartbeat without file times is seen as well', async () => {
  system.times = false
  const folder = join(await tempFolder(), 'lock')
  await withLock(
    folder,
    async ({ confirm }) => {
      const size = async () => (await readFile(join(folder, '1'))).length
      const before = await size()
      await confirm()
      expect(await size()).toBeGreaterThan(before)
      const mine = await readFile(join(folder, '1'), 'utf8')
      await writeFile(join(folder, '1'), mine.replace(/"boot":"/, '"boot":"of another machine'))
      expect(await failure(withLock(folder, async () => 'acquired', { times }))).toMatchObject({ code: 'SESSION_BUSY' })
    },
    { times: { heartbeat: 2 } },
  )
})

test('a release that fails is repeated', async () => {
  const folder = join(await tempFolder(), 'lock')
  await withLock(folder, async () => {
    system.refusals = 3
  })
  expect(await readFile(join(folder, '1'), 'utf8')).toMatch(/^"released"/)
})

test('a release that fails for good does not keep this process out', async () => {
  const folder = join(await tempFolder(), 'lock')
  await withLock(folder, async () => {
    system.refusals = 100
  })
  system.refusals = 0
  expect(await withLock(folder, async () => 'acquired', { times })).toBe('acquired')
  expect(await readdir(folder)).toStrictEqual(['1', '2'])
})
