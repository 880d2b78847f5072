import { expect, test } from 'vitest'
import type { Did, Origin, SessionRecord } from '../../src/model.ts'
import { createFakeStores } from '../../src/testing/memory-stores.ts'

const record: SessionRecord = {
  version: 1,
  thumbprint: 'a',
  did: 'did:plc:alice234567alice234567ab' as Did,
  pds: 'https://pds.fake.dev' as Origin,
  scope: '0',
  dpopPrivateJwk: { kty: 'EC', crv: 'P-256', x: '', y: '', d: '' },
  spentTokens: [],
}

test('one transaction at a time for a thumbprint, also after one that failed', async () => {
  const { sessions } = createFakeStores()
  const add = () =>
    sessions.update('a', async ({ stored: current = record, commit }) => {
      await commit({ ...current, scope: String(Number(current.scope) + 1) })
      await commit({ ...current, scope: String(Number(current.scope) + 2) })
      if (current.scope === '4') throw new Error('half way')
    })
  await Promise.allSettled(Array.from({ length: 20 }, add))
  expect((await sessions.read('a'))?.scope).toBe('40')
})

test('a commit that fails stores nothing, one after the end is a bug', async () => {
  const stores = createFakeStores()
  stores.failCommit = () => new Error('disk full')
  await expect(stores.sessions.update('a', ({ commit }) => commit(record))).rejects.toThrow('disk full')
  expect(await stores.sessions.list()).toStrictEqual([])
  const commit = await stores.sessions.update('a', async ({ commit: late }) => late)
  await expect(commit(record)).rejects.toThrow('after the transaction')
})
