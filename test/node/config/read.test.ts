import { spawnSync } from 'node:child_process'
import { chmod, chown, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test, vi } from 'vitest'
import { configPath, configValue, readConfig } from '../../../src/node/config/read.ts'
import { startNode, tempFolder } from '../helpers.ts'

async function written(text: string | object, mode = 0o600): Promise<string> {
  const path = join(await tempFolder(), 'config.json')
  await writeFile(path, typeof text === 'string' ? text : JSON.stringify(text), { mode })
  await chmod(path, mode)
  return path
}

test('the file is in the folder that the user chose, else in the configuration folder of the system', () => {
  expect(configPath('/a/b')).toBe('/a/b/config.json')
  expect(configPath(undefined)).toMatch(/atproto-oauth\/config\.json$/)
})

test('without a file there are no settings', async () => {
  const folder = await tempFolder()
  expect(readConfig(join(folder, 'config.json'))).toBeUndefined()
  expect(readConfig(join(folder, 'missing', 'config.json'))).toBeUndefined()
})

test('its values are texts, and for save a list; members that this version does not know are kept', async () => {
  const config = readConfig(await written({ 'plc-url': 'https://plc.dev', save: ['store'], future: { a: 1 } }))!
  expect(configValue(config, 'plc-url')).toBe('https://plc.dev')
  expect(configValue(config, 'save')).toStrictEqual(['store'])
  expect(configValue(config, 'account')).toBeUndefined()
  expect(config.entries.get('future')).toStrictEqual({ a: 1 })
})

test('a byte order mark is skipped, and one target may stand without a list', async () => {
  const config = readConfig(await written('\ufeff{ "save": "store" }'))!
  expect(configValue(config, 'save')).toStrictEqual(['store'])
})

test.each([
  ['a number', 'plc-url', 5],
  ['an empty text', 'account', ' '],
  ['a list', 'client-id', ['https://a.dev/c']],
  ['null', 'account', null],
  ['a text with a line break', 'account', 'a\nb'],
  ['a long text', 'account', 'a'.repeat(5000)],
  ['an empty list', 'save', []],
  ['a list of numbers', 'save', [1]],
] as const)('a value that is %s is refused when it is used, and others are not affected', async (_, key, value) => {
  const path = await written({ 'handle-resolver': 'https://a.dev', [key]: value })
  const config = readConfig(path)!
  expect(() => configValue(config, key)).toThrow(
    expect.objectContaining({
      code: 'USAGE',
      message: expect.stringContaining(`${key} in ${path} must be `),
      facts: { reason: 'setting-invalid', key },
    }),
  )
  expect(configValue(config, 'handle-resolver')).toBe('https://a.dev')
})

test.each([
  ['empty', '', /is not valid JSON/],
  ['cut short', '{\n  "account": "a.dev",\n', /is not valid JSON: line 3$/],
  [
    'changed by hand',
    '{\n  "account": "a.dev"\n  "save": ["store"], "plc-url": "https://plc.directory"\n}',
    /JSON: line 3$/,
  ],
  ['a list', '[]', /is not a JSON object$/],
  ['null', 'null', /is not a JSON object$/],
  ['huge', ' '.repeat(70_000), /is larger than 64 KiB$/],
])('a file that is %s is an error and stays as it is', async (_, text, message) => {
  const path = await written(text)
  expect(() => readConfig(path)).toThrow(
    expect.objectContaining({
      code: 'STORE_INVALID',
      message: expect.stringMatching(message),
      facts: { reason: 'settings-damaged', path },
    }),
  )
  expect(await readFile(path, 'utf8')).toBe(text)
})

test.skipIf(process.platform === 'win32')('no link is followed, and nothing else than a file is read', async () => {
  const path = await written({ account: 'a.dev' })
  const link = `${path}.link`
  await symlink(path, link)
  expect(() => readConfig(link)).toThrow(
    expect.objectContaining({ code: 'STORE_INVALID', facts: { reason: 'link-unsupported', path: link } }),
  )
  const folder = `${path}.d`
  await mkdir(folder)
  expect(() => readConfig(folder)).toThrow(
    expect.objectContaining({ code: 'STORE_INVALID', facts: { reason: 'file-irregular', path: folder } }),
  )
})

test.skipIf(process.platform === 'win32')('a file that others can replace is read with a warning', async () => {
  const warn = vi.fn()
  const path = await written({ account: 'a.dev' })
  const folder = dirname(path)
  await chmod(folder, 0o777)
  expect(readConfig(path, warn)?.entries.get('account')).toBe('a.dev')
  expect(warn).toHaveBeenCalledExactlyOnceWith(`other users can replace ${path}: run chmod o-w ${folder}`)
  warn.mockClear()
  for (const mode of [0o1777, 0o775, 0o700]) {
    await chmod(folder, mode)
    readConfig(path, warn)
  }
  expect(warn).not.toHaveBeenCalled()
})

test.skipIf(process.platform === 'win32')('a file that others can change is read with a warning', async () => {
  const warn = vi.fn()
  const path = await written({ account: 'a.dev' }, 0o666)
  expect(readConfig(path, warn)?.entries.get('account')).toBe('a.dev')
  expect(warn).toHaveBeenCalledWith(`other users can change ${path}: run chmod 600 on it`)
  warn.mockClear()
  readConfig(await written({ account: 'a.dev' }, 0o644), warn)
  expect(warn).not.toHaveBeenCalled()
})

const NOBODY = 65_534
const AS_NOBODY = ['setpriv', '--reuid', `${NOBODY}`, '--regid', `${NOBODY}`, '--clear-groups']
const READ = `
  const { readConfig } = await import(process.env.SRC + 'node/config/read.ts')
  const [path] = process.argv.slice(1)
  try {
    console.log(JSON.stringify(readConfig(path, console.log) ?? 'no settings'))
  } catch (error) {
    console.log(error.code, error.facts.reason)
  }`
/** A clone may be in a folder that is closed to others. */
const READABLE = ['test', '-r', fileURLToPath(new URL('../../../package.json', import.meta.url))]
const canBeNobody =
  process.getuid?.() === 0 && spawnSync(AS_NOBODY[0]!, [...AS_NOBODY.slice(1), ...READABLE]).status === 0

describe.skipIf(!canBeNobody)('for a user without access', () => {
  const seenByNobody = async (path: string) => {
    const { stdout, stderr } = await startNode(READ, [path], AS_NOBODY).ended
    expect(stderr).toBe('')
    return stdout.trim()
  }

  test('to the home, as in a container, there are no settings', async () => {
    const path = await written({ account: 'a.dev' })
    await chmod(join(path, '..'), 0o700)
    expect(await seenByNobody(path)).toBe('"no settings"')
  })

  test('to the file alone, that is an error', async () => {
    const path = await written({ account: 'a.dev' })
    await chmod(join(path, '..'), 0o755)
    expect(await seenByNobody(path)).toMatch(/^STORE_UNAVAILABLE /)
  })

  test('a file of a third user is read with a warning', async () => {
    const path = await written({ account: 'a.dev' }, 0o644)
    await chmod(join(path, '..'), 0o755)
    await chown(path, 1234, 1234)
    expect(await seenByNobody(path)).toContain(`${path} belongs to user 1234, who can change your settings`)
  })
})
