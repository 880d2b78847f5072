import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createPendingStore, createStateFileStore } from '../../../src/node/store/logins.ts'

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'prepare-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}

test('a store that can be written is left as it was, but for its folder', async () => {
  const home = await folder()
  await createPendingStore(home).prepare()
  expect(await readdir(home)).toStrictEqual(['pending'])
  expect(await readdir(join(home, 'pending'))).toStrictEqual([])
  await createStateFileStore(join(home, 'login.json')).prepare()
  expect(await readdir(home)).toStrictEqual(['pending'])
})

test('a file in the place of the folder is reported', async () => {
  const home = await folder()
  await writeFile(join(home, 'pending'), '')
  await expect(createPendingStore(home).prepare()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
})

test.skipIf(process.getuid?.() === 0)('a read-only folder is reported', async () => {
  const home = await folder()
  await chmod(home, 0o500)
  await expect(createPendingStore(home).prepare()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  await expect(createStateFileStore(join(home, 'x')).prepare()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  await chmod(home, 0o700)
})

test('a state file that is another file is not overwritten', async () => {
  const path = join(await folder(), 'notes.txt')
  await writeFile(path, 'notes')
  await expect(createStateFileStore(path).prepare()).rejects.toMatchObject({ code: 'STORE_INVALID' })
})

test('the folder of a state file is not created', async () => {
  const home = await folder()
  const path = join(home, 'none', 'login.json')
  await expect(createStateFileStore(path).prepare()).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
    facts: { reason: 'folder-missing', path: join(home, 'none') },
  })
  expect(await readdir(home)).toStrictEqual([])
})
