import { chmod, mkdir, readdir, readFile, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { expect, test } from 'vitest'
import { changeConfig } from '../../../src/node/config/write.ts'
import { startNode, tempFolder } from '../helpers.ts'

async function place(text?: string): Promise<{ path: string; home: string }> {
  const folder = await tempFolder()
  const path = join(folder, 'settings', 'config.json')
  if (text !== undefined) {
    await mkdir(join(folder, 'settings'), { mode: 0o700 })
    await writeFile(path, text)
  }
  return { path, home: join(folder, 'home') }
}

const contentOf = async (path: string) => JSON.parse(await readFile(path, 'utf8'))
const modeOf = async (path: string) => (await stat(path)).mode & 0o777

test.skipIf(process.platform === 'win32')('the file and its new folder are private, whatever they were', async () => {
  const { path, home } = await place()
  await changeConfig({ path, home }, { account: 'alice.dev' })
  expect([await modeOf(path), await modeOf(join(path, '..'))]).toStrictEqual([0o600, 0o700])
  await chmod(path, 0o644)
  await changeConfig({ path, home }, { account: 'bob.dev' })
  expect(await modeOf(path)).toBe(0o600)
  expect(await readdir(join(path, '..'))).toStrictEqual(['config.json'])
})

test('what this version does not know is kept, and what was there before is returned', async () => {
  const { path, home } = await place('\ufeff{ "account": "a.dev", "future": { "__proto__": [1] } }')
  const before = await changeConfig({ path, home }, { save: ['store', 'gh:a/b'], account: undefined })
  expect(before.get('account')).toBe('a.dev')
  const text = await readFile(path, 'utf8')
  expect(text).toContain('"__proto__": [')
  expect(JSON.parse(text)).toMatchObject({ save: ['store', 'gh:a/b'] })
  expect(Object.keys(JSON.parse(text))).toStrictEqual(['future', 'save'])
})

test('without its last setting the file is removed, and without a file nothing is written', async () => {
  const { path, home } = await place('{"account":"a.dev"}')
  await changeConfig({ path, home }, { account: undefined })
  expect(await readdir(join(path, '..'))).toStrictEqual([])
  await changeConfig({ path, home }, { account: undefined })
  expect(await readdir(join(path, '..'))).toStrictEqual([])
})

test('what a killed process left is removed after a day', async () => {
  const { path, home } = await place('{}')
  const [old, young] = [`${path}.tmp-0123456789abcdef`, `${path}.tmp-fedcba9876543210`]
  for (const name of [old, young]) await writeFile(name, '')
  const before = new Date(Date.now() - 25 * 3600 * 1000)
  await utimes(old, before, before)
  await changeConfig({ path, home }, { account: 'a.dev' })
  expect((await readdir(join(path, '..'))).sort()).toStrictEqual(['config.json', basename(young)])
})

test('a file that is damaged is not reset', async () => {
  const { path, home } = await place('{"account": "a.dev"')
  await expect(changeConfig({ path, home }, { account: 'b.dev' })).rejects.toMatchObject({ code: 'STORE_INVALID' })
  expect(await readFile(path, 'utf8')).toBe('{"account": "a.dev"')
})

test.skipIf(process.platform === 'win32')('nothing is written through a link', async () => {
  const { path, home } = await place()
  const target = join(home, '..', 'other.json')
  await writeFile(target, '{"account":"a.dev"}')
  await mkdir(join(path, '..'))
  await symlink(target, path)
  await expect(changeConfig({ path, home }, { account: 'b.dev' })).rejects.toMatchObject({
    code: 'STORE_INVALID',
    facts: { reason: 'link-unsupported', path },
  })
  expect(await readFile(target, 'utf8')).toBe('{"account":"a.dev"}')
  const dangling = join(home, '..', 'dangling.json')
  await symlink(join(home, 'missing.json'), dangling)
  await expect(changeConfig({ path: dangling, home }, { account: 'b.dev' })).rejects.toMatchObject({
    code: 'STORE_INVALID',
  })
})

test('changes at once, in this process and in others, lose nothing', async () => {
  const { path, home } = await place()
  const code = `
    const { changeConfig } = await import(process.env.SRC + 'node/config/write.ts')
    const [path, home, key] = process.argv.slice(1)
    await changeConfig({ path, home }, { [key]: 'other' })`
  const others = ['x1', 'x2'].map((key) => startNode(code, [path, home, key]).ended)
  const own = Array.from({ length: 8 }, (_, at) => changeConfig({ path, home }, { [`own${at}`]: 'here' }))
  await Promise.all(own)
  for (const other of others) expect(await other).toMatchObject({ code: 0 })
  expect(Object.keys(await contentOf(path)).sort()).toStrictEqual(
    [...Array.from({ length: 8 }, (_, at) => `own${at}`), 'x1', 'x2'].sort(),
  )
})
