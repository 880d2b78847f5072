import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { fileTarget } from '../../../src/node/save/file.ts'
import { besideOf } from '../../../src/node/store/files.ts'

test('the folder of a file is not created, neither for its lock nor for the credentials', async () => {
  const home = await mkdtemp(join(tmpdir(), 'file-target-'))
  onTestFinished(() => rm(home, { recursive: true }))
  const path = join(home, 'none', 'session.env')
  const target = fileTarget(`file:${path}`, path)
  const facts = { reason: 'folder-missing', path: join(home, 'none') }
  await expect(target.lock!(async () => expect.unreachable())).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
    message: `cannot save to file:${path}: cannot write ${path}: no such file or directory`,
    facts,
  })
  await expect(target.save([['ATPROTO_OAUTH_DID', 'did:web:a.dev']])).rejects.toMatchObject({ code: 'SAVE_FAILED' })
  expect(await target.read?.()).toBeUndefined()
  expect(await readdir(home)).toStrictEqual([])
})

test('what a killed process left beside the file goes when the next one has the lock', async () => {
  const home = await mkdtemp(join(tmpdir(), 'file-target-'))
  onTestFinished(() => rm(home, { recursive: true }))
  const path = join(home, 'session.env')
  const target = fileTarget(`file:${path}`, path)
  const [left, other] = [besideOf(path), besideOf(join(home, 'another.env'))]
  for (const file of [left, other]) await writeFile(file, 'a token')
  await target.lock!(async () => {
    expect((await readdir(home)).map((name) => join(home, name))).not.toContain(left)
    await target.save([['ATPROTO_OAUTH_DID', 'did:web:a.dev']])
  })
  expect((await readdir(home)).filter((name) => name.endsWith('.tmp')).map((name) => join(home, name))).toStrictEqual([
    other,
  ])
})
