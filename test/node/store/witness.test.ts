import { mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createWitness, isLasting, machineId } from '../../../src/node/store/witness.ts'
import { failure } from '../../support/failure.ts'
import { sessionRecord, THUMBPRINT, tempFolder } from '../helpers.ts'

async function place() {
  const [home, cache] = [await tempFolder(), await tempFolder()]
  const on = (machine: string | undefined) => createWitness(home, { cache, machine: async () => machine })
  return { home, cache, on }
}

const REFRESH = { isRefresh: true }
const after = (rotation: number | undefined) => sessionRecord({ rotation })

test('the newest copy, or one that was never seen, may be sent', async () => {
  const { on } = await place()
  const witness = on('one')
  await witness.check(after(3))
  await witness.note(after(4), REFRESH)
  await witness.check(after(4))
  await witness.check(after(5))
})

test('an older copy, as from a backup, is not sent', async () => {
  const { on } = await place()
  await on('one').note(after(4), REFRESH)
  const error = await failure(on('one').check(after(3)))
  expect(error).toMatchObject({ code: 'SESSION_OUTDATED', session: 'unknown', facts: { reason: 'copy-outdated' } })
  expect(error.message).toMatch(/from before refresh 4, .* refresh 4: .* nothing was sent$/)
})

test('an old copy that is stored again stays an old copy', async () => {
  const { on } = await place()
  await on('one').note(after(4), REFRESH)
  await on('one').note(after(3), { isRefresh: false })
  expect(await failure(on('one').check(after(3)))).toMatchObject({ code: 'SESSION_OUTDATED' })
  await on('one').note(after(5), { isRefresh: false })
  expect(await failure(on('one').check(after(4)))).toMatchObject({ code: 'SESSION_OUTDATED' })
})

test('nothing is left of a session that was ended', async () => {
  const { cache, on } = await place()
  await on('one').note(after(4), REFRESH)
  await on('one').forget(after(4).thumbprint)
  await on('one').forget(after(4).thumbprint)
  await on('one').check(after(3))
  expect(await readdir(join(cache, 'refreshes'))).toStrictEqual([])
})

test('tokens without a count are counted anew from their first refresh on', async () => {
  const { on } = await place()
  await on('one').note(after(4), REFRESH)
  await on('one').check(after(undefined))
  await on('one').note(after(1), REFRESH)
  await on('one').check(after(1))
})

test('two copies of a store: one after the other, and the second is noticed', async () => {
  const { home, cache } = await place()
  const copy = await tempFolder()
  const refresh = (store: string, rotation: number) => {
    const witness = createWitness(store, { cache, machine: async () => 'one' })
    return witness.alone(THUMBPRINT, async () => {
      await witness.check(after(rotation))
      await setTimeout(50)
      await witness.note(after(rotation + 1), { isRefresh: true })
    })
  }
  const results = await Promise.allSettled([refresh(home, 3), refresh(copy, 3)])
  const refused = results.find((result) => result.status === 'rejected')
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  expect(refused?.reason).toMatchObject({ code: 'SESSION_OUTDATED' })
})

test('nothing is waited for where the cache cannot be written, and a failure of the work is its own', async () => {
  const { home, cache } = await place()
  await writeFile(join(cache, 'locks'), '')
  const witness = createWitness(home, { cache, machine: async () => 'one' })
  expect(await witness.alone(THUMBPRINT, async () => 'done')).toBe('done')
  await rm(join(cache, 'locks'))
  let count = 0
  const work = async () => {
    count += 1
    throw new Error('mine')
  }
  await expect(witness.alone(THUMBPRINT, work)).rejects.toThrow('mine')
  expect(count).toBe(1)
})

test.each([
  ['the cache was emptied', async (cache: string) => rm(cache, { recursive: true })],
  ['its file is damaged', async (cache: string) => damage(cache)],
])('nothing is proved where %s', async (_, harm) => {
  const { cache, on } = await place()
  await on('one').note(after(4), REFRESH)
  await harm(cache)
  await on('one').check(after(3))
})

async function damage(cache: string): Promise<void> {
  const folder = join(cache, 'refreshes')
  for (const name of await readdir(folder)) await writeFile(join(folder, name), '{"rotation":')
}

test('without a count, or without a place to keep one, nothing is compared', async () => {
  const { home, on } = await place()
  await on('one').note(after(4), REFRESH)
  await on('one').check(after(undefined))
  const bare = createWitness(home, { cache: undefined, machine: async () => 'one' })
  await bare.note(after(7), REFRESH)
  await bare.check(after(1))
})

test('a session that was removed here is not remembered', async () => {
  const { on } = await place()
  await on('one').note(after(4), { isRefresh: true })
  await on('one').forget(after(4).thumbprint)
  await on('one').check(after(0))
})

test('a store from another machine is not used until it is adopted', async () => {
  const { on } = await place()
  await on('one').note(after(1), REFRESH)
  await on('one').check(after(1))
  const error = await failure(on('two').check(after(1)))
  expect(error).toMatchObject({ code: 'STORE_COPIED', session: 'alive', facts: { reason: 'store-copied' } })
  await on('two').adopt('moved')
  await on('two').check(after(1))
  expect(await failure(on('one').check(after(1)))).toMatchObject({ code: 'STORE_COPIED' })
})

test('a shared store is used by any machine', async () => {
  const { on } = await place()
  await on('one').note(after(1), REFRESH)
  await on('two').adopt('shared')
  for (const machine of ['one', 'two', 'three']) await on(machine).check(after(1))
})

test('a new container with an old volume, or a machine without a name, is no reason to stop', async () => {
  const { on } = await place()
  await on('one').note(after(1), REFRESH)
  await on(undefined).check(after(1))
  const nameless = await place()
  await nameless.on(undefined).note(after(1), REFRESH)
  await nameless.on('two').check(after(1))
})

test('adopted in a container: the machine that has the folder is no other machine', async () => {
  const { on } = await place()
  await on('one').note(after(1), REFRESH)
  await on(undefined).adopt('moved')
  await on('one').check(after(1))
  await on('one').note(after(2), REFRESH)
  expect(await failure(on('two').check(after(2)))).toMatchObject({ code: 'STORE_COPIED' })
  await on(undefined).adopt('shared')
  await on('two').check(after(2))
})

test('a note that cannot be written is no failure', async () => {
  const { home, cache, on } = await place()
  await writeFile(join(cache, 'refreshes'), '')
  await mkdir(join(home, 'machine.json'))
  await on('one').note(after(1), REFRESH)
  await on('one').check(after(1))
})

test('an adoption that cannot be written names the file', async () => {
  const { home, on } = await place()
  await mkdir(join(home, 'machine.json'))
  const error = await failure(on('one').adopt('moved'))
  expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE' })
  expect(error.message).toContain(join(home, 'machine.json'))
})

test.each([
  ['a machine', {}, true],
  ['CI=false', { CI: 'false' }, true],
  ['a CI job', { CI: 'true' }, false],
  ['podman', { container: 'podman' }, false],
  ['Kubernetes', { KUBERNETES_SERVICE_HOST: '10.0.0.1' }, false],
])('%s: whether it is the same one tomorrow', (_, environment, expected) => {
  expect(isLasting(environment, () => false)).toBe(expected)
  expect(isLasting(environment, (path) => path === '/.dockerenv')).toBe(false)
})

test('a container has no lasting name, and the name of a machine does not give away its id', async () => {
  expect(await machineId('linux', { container: 'podman' })).toBeUndefined()
  expect(await machineId('linux', { KUBERNETES_SERVICE_HOST: '10.0.0.1' })).toBeUndefined()
  const id = await machineId('linux', {})
  if (id !== undefined) expect(id).toMatch(/^[\w-]{22}$/)
  // Neither of these programs is here.
  if (process.platform === 'linux')
    for (const other of ['darwin', 'win32'] as const) expect(await machineId(other, {})).toBeUndefined()
})
