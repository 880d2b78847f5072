import envPaths from 'env-paths'
import { describe, expect, test } from 'vitest'
import { type Machine, userFolders } from '../../src/node/folders.ts'
import { defaultHome } from '../../src/node/home.ts'

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
  const { data, cache } = envPaths('atproto-oauth', { suffix: '' })
  expect(userFolders()).toStrictEqual({ data, cache })
})

test.each([
  ['linux', machine('linux', '/home/ann'), '/home/ann/.local/share/atproto-oauth', '/home/ann/.cache/atproto-oauth'],
  [
    'linux with XDG',
    machine('linux', '/home/ann', { XDG_DATA_HOME: '/data', XDG_CACHE_HOME: '/cache' }),
    '/data/atproto-oauth',
    '/cache/atproto-oauth',
  ],
  [
    'linux with XDG that is not absolute, or empty',
    machine('linux', '/home/ann', { XDG_DATA_HOME: 'data', XDG_CACHE_HOME: '' }),
    '/home/ann/.local/share/atproto-oauth',
    '/home/ann/.cache/atproto-oauth',
  ],
  [
    'macOS',
    machine('darwin', '/Users/ann', { XDG_DATA_HOME: '/data' }),
    '/Users/ann/Library/Application Support/atproto-oauth',
    '/Users/ann/Library/Caches/atproto-oauth',
  ],
  [
    'Windows',
    machine('win32', ANN, { APPDATA: `${ANN}\\AppData\\Roaming`, LOCALAPPDATA: 'D:\\Local' }),
    'D:\\Local\\atproto-oauth\\Data',
    'D:\\Local\\atproto-oauth\\Cache',
  ],
  [
    'Windows without its variables',
    machine('win32', ANN),
    `${ANN}\\AppData\\Local\\atproto-oauth\\Data`,
    `${ANN}\\AppData\\Local\\atproto-oauth\\Cache`,
  ],
])('%s', (_, where, data, cache) => {
  expect(userFolders(where)).toStrictEqual({ data, cache })
})

describe('a user without a home', () => {
  test('is told how to name one', () => {
    for (const platform of ['linux', 'darwin', 'win32'] as const) {
      expect(() => defaultHome(homeless(platform))).toThrow(
        expect.objectContaining({ code: 'USAGE', hint: expect.stringContaining('ATPROTO_OAUTH_HOME') }),
      )
    }
  })

  test('needs none where the system names the folders', () => {
    const environment = { XDG_DATA_HOME: '/data', XDG_CACHE_HOME: '/cache' }
    expect(defaultHome(homeless('linux', environment))).toBe('/data/atproto-oauth')
  })
})
