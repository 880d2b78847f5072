/** Many at once: in one process and in several, on one cache and on one each. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseVaultAddress } from '../../src/node/vault/address.ts'
import { createGitEngine } from '../../src/node/vault/git.ts'
import { startNode, tempFolder } from '../node/helpers.ts'
import { GitRepository } from '../support/git-server.ts'

const A = 'a'.repeat(40)
const MANY = 20

const CONTEND = `
  const { parseVaultAddress } = await import(process.env.SRC + 'node/vault/address.ts')
  const { createGitEngine } = await import(process.env.SRC + 'node/vault/git.ts')
  const [url, cache, me] = process.argv.slice(1)
  const engine = createGitEngine(await parseVaultAddress('git:' + url), { cache })
  const before = await engine.read('${A}')
  process.stdout.write('ready')
  for await (const _ of process.stdin) {} // until all have read
  process.stdout.write(' ' + (await engine.swap('${A}', before, me)))`

test.each(['one', 'each'])('of processes that contend, with %s cache, one wins', async (caches) => {
  const repository = new GitRepository(join(await tempFolder(), 'vault.git'))
  const shared = await tempFolder()
  const processes = await Promise.all(
    ['0', '1', '2'].map(async (me) =>
      startNode(CONTEND, [repository.folder, caches === 'one' ? shared : await tempFolder(), me]),
    ),
  )
  await Promise.all(processes.map((each) => each.said('ready')))
  for (const each of processes) each.write('')
  const ends = await Promise.all(processes.map((each) => each.ended))
  expect(ends.map(({ stderr }) => stderr)).toStrictEqual(['', '', ''])
  const outcomes = ends.map(({ stdout }) => stdout.split(' ')[1])
  expect([...outcomes].sort()).toStrictEqual(['lost', 'lost', 'won'])
  const tip = repository.tip()!
  expect(repository.git(['cat-file', 'blob', `${tip}:records/${A}`])).toBe(String(outcomes.indexOf('won')))
})

test.each(['one', 'each'])('twenty engines, with %s cache, one wins', async (caches) => {
  const repository = new GitRepository(join(await tempFolder(), 'vault.git'))
  const address = await parseVaultAddress(`git:${repository.folder}`)
  const shared = await tempFolder()
  const engines = await Promise.all(
    Array.from({ length: MANY }, async () =>
      createGitEngine(address, { cache: caches === 'one' ? shared : await tempFolder() }),
    ),
  )
  const outcomes = await Promise.all(engines.map((engine, index) => engine.swap(A, undefined, String(index))))
  expect([...outcomes].sort()).toStrictEqual([...Array(MANY - 1).fill('lost'), 'won'])
  expect(await engines[0]!.read(A)).toBe(String(outcomes.indexOf('won')))
})
