import { chmod, chown, mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import envPaths from 'env-paths'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { isPrivate, type Machine, userFolders } from '../../src/node/folders.ts'
import { tempFolder } from './helpers.ts'

const machine = (platform: NodeJS.Platform, home: string, environment: Machine['environment'] = {}): Machine => ({
  platform,
  environment,
  homedir: () => home,
})
const homeless = (platform: NodeJS.Platform, environment = {}): Machine => ({
  ...machine(platform, '', environment),
  homedir() {
    throw Object.assign(new Error('uv_os_homedir returned ENOENT'), { code: 'ERR_SYSTEM_ERROR' })
  },
})
const ANN = 'C:\\Users\\Ann B'

test('on this machine they are where other programs have theirs', () => {
  const { data, cache, config } = envPaths('atproto-oauth', { suffix: '' })
  expect(userFolders()).toStrictEqual({ data, cache, config })
})

test.each([
  [
    'linux',
    machine('linux', '/home/ann'),
    '/home/ann/.local/share/atproto-oauth',
    '/home/ann/.cache/atproto-oauth',
    '/home/ann/.config/atproto-oauth',
  ],
  [
    'linux with XDG',
    machine('linux', '/home/ann', { XDG_DATA_HOME: '/data', XDG_CACHE_HOME: '/cache', XDG_CONFIG_HOME: '/config' }),
    '/data/atproto-oauth',
    '/cache/atproto-oauth',
    '/config/atproto-oauth',
  ],
  [
    'linux with XDG that is not absolute, or empty',
    machine('linux', '/home/ann', { XDG_DATA_HOME: 'data', XDG_CACHE_HOME: '', XDG_CONFIG_HOME: './config' }),
    '/home/ann/.local/share/atproto-oauth',
    '/home/ann/.cache/atproto-oauth',
    '/home/ann/.config/atproto-oauth',
  ],
  [
    'macOS',
    machine('darwin', '/Users/ann', { XDG_DATA_HOME: '/data' }),
    '/Users/ann/Library/Application Support/atproto-oauth',
    '/Users/ann/Library/Caches/atproto-oauth',
    '/Users/ann/Library/Preferences/atproto-oauth',
  ],
  [
    'Windows',
    machine('win32', ANN, { APPDATA: `${ANN}\\AppData\\Roaming`, LOCALAPPDATA: 'D:\\Local' }),
    'D:\\Local\\atproto-oauth\\Data',
    'D:\\Local\\atproto-oauth\\Cache',
    `${ANN}\\AppData\\Roaming\\atproto-oauth\\Config`,
  ],
  [
    'Windows without its variables',
    machine('win32', ANN),
    `${ANN}\\AppData\\Local\\atproto-oauth\\Data`,
    `${ANN}\\AppData\\Local\\atproto-oauth\\Cache`,
    `${ANN}\\AppData\\Roaming\\atproto-oauth\\Config`,
  ],
])('%s', (_, where, data, cache, config) => {
  expect(userFolders(where)).toStrictEqual({ data, cache, config })
})

describe('a user without a home', () => {
  test.each([
    ['none', homeless],
    ['an empty one', (platform: NodeJS.Platform, environment = {}) => machine(platform, '', environment)],
    ['a relative one', (platform: NodeJS.Platform, environment = {}) => machine(platform, 'home/ann', environment)],
  ])('%s: no folders, but where the system names them', (_, of) => {
    for (const platform of ['linux', 'darwin', 'win32'] as const) expect(userFolders(of(platform))).toBeUndefined()
    const environment = { XDG_DATA_HOME: '/data', XDG_CACHE_HOME: '/cache' }
    expect(userFolders(of('linux', environment))?.data).toBe('/data/atproto-oauth')
  })

  test.each(['', 'home/ann'])('HOME=%s counts as unset: nothing is below the current folder', (home) => {
    vi.stubEnv('HOME', undefined)
    const unset = userFolders()
    vi.stubEnv('HOME', home)
    onTestFinished(() => void vi.unstubAllEnvs())
    expect(unset?.data).toMatch(/^[/A-Z]/)
    expect(userFolders()).toStrictEqual(unset)
  })
})

describe('a folder of what is run later', () => {
  test('is made for its user alone, whatever the umask', async () => {
    const before = process.umask(0)
    onTestFinished(() => void process.umask(before))
    const folder = join(await tempFolder(), 'a', 'b')
    expect([isPrivate(folder), isPrivate(folder)]).toStrictEqual([true, true])
    expect((await stat(folder)).mode & 0o777).toBe(0o700)
  })

  test.each([0o755, 0o750, 0o701])('%o is none, but on Windows says nothing', async (mode) => {
    const folder = await tempFolder()
    await chmod(folder, mode)
    expect([isPrivate(folder, 'linux'), isPrivate(folder, 'win32')]).toStrictEqual([false, true])
  })

  test('a link, a file, and what cannot be made are none', async () => {
    const folder = await tempFolder()
    await mkdir(join(folder, 'target'), { mode: 0o700 })
    await symlink(join(folder, 'target'), join(folder, 'link'))
    await writeFile(join(folder, 'file'), '', { mode: 0o600 })
    const found = ['link', 'file', 'file/below'].map((name) => isPrivate(join(folder, name)))
    expect(found).toStrictEqual([false, false, false])
  })

  test.runIf(process.platform === 'linux')(
    'nor what is below a place where nothing can be made: not waited for',
    () => {
      expect([isPrivate('/proc/none/inside'), isPrivate('/proc/none/a/b')]).toStrictEqual([false, false])
    },
  )

  test.runIf(process.getuid?.() === 0)('root makes none in the home of a user, nor the one above it', async () => {
    const home = await tempFolder()
    await chown(home, 12345, 12345)
    expect(isPrivate(join(home, '.cache', 'atproto-oauth'))).toBe(false)
    expect(await readdir(home)).toStrictEqual([])
  })

  test.runIf(process.getuid?.() === 0)('another user’s is none', async () => {
    const folder = await tempFolder()
    await chown(folder, 12345, 12345)
    expect(isPrivate(folder)).toBe(false)
  })
})
