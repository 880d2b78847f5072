/** What every session store promises, wherever it keeps the sessions. */
import { describe, expect, test } from 'vitest'
import type { SessionStore } from '../../src/ports.ts'
import { sessionRecord, THUMBPRINT } from '../node/helpers.ts'

const INTENT = { tokenHash: 'hash', at: 1 }
const PDS = 'https://pds.example.com'

/** Opens the same store again, as another process does. */
export type OpenStore = (hold?: <T>(work: () => Promise<T>) => Promise<T>) => Promise<SessionStore>

/** @param create a new, empty store */
export function describeSessionStore(name: string, create: () => Promise<OpenStore>): void {
  describe(name, () => {
    async function withSession(): Promise<OpenStore> {
      const open = await create()
      await (await open()).update(THUMBPRINT, ({ commit }) => commit(sessionRecord()))
      return open
    }

    test('a transaction is given what is stored now, and its value comes out', async () => {
      const open = await create()
      expect(await (await open()).update(THUMBPRINT, async ({ stored }) => stored)).toBeUndefined()
      await (await open()).update(THUMBPRINT, ({ commit }) => commit(sessionRecord()))
      const stored = await (await open()).update(THUMBPRINT, async (transaction) => transaction.stored)
      expect(stored).toMatchObject(sessionRecord())
      expect(await (await open()).list()).toStrictEqual([stored])
      expect(await (await open()).read('A'.repeat(43))).toBeUndefined()
    })

    test('each commit is there at once, for everybody', async () => {
      const open = await withSession()
      const other = await open()
      await (await open()).update(THUMBPRINT, async ({ commit, confirm }) => {
        await commit(sessionRecord({ intent: INTENT }))
        expect(await other.read(THUMBPRINT)).toMatchObject({ intent: INTENT })
        await confirm()
        await commit(sessionRecord({ refreshToken: 'next', rotation: 1 }))
        const read = await other.read(THUMBPRINT)
        expect(read).toMatchObject({ refreshToken: 'next', rotation: 1 })
        expect(read?.intent).toBeUndefined()
      })
    })

    test('what was forgotten has no token any more, and may be forgotten twice', async () => {
      const open = await withSession()
      for (let round = 0; round < 2; round += 1) {
        await (await open()).update(THUMBPRINT, ({ forget }) => forget(true))
      }
      const left = await (await open()).read(THUMBPRINT)
      expect(left?.refreshToken).toBeUndefined()
      expect(left?.accessToken).toBeUndefined()
      expect(left === undefined || left.ended !== undefined).toBe(true)
    })

    test('a transaction that fails after a token was sent leaves the intent, and is over', async () => {
      const open = await withSession()
      const failing = (await open()).update(THUMBPRINT, async ({ commit, confirm }) => {
        await commit(sessionRecord({ intent: INTENT }))
        await confirm()
        throw new Error('no response')
      })
      await expect(failing).rejects.toThrow('no response')
      expect(await (await open()).read(THUMBPRINT)).toMatchObject({
        refreshToken: sessionRecord().refreshToken,
        intent: INTENT,
      })
      const next = sessionRecord({ refreshToken: 'next', rotation: 1 })
      await (await open()).update(THUMBPRINT, async ({ commit, confirm }) => {
        await commit(sessionRecord({ intent: INTENT }))
        await confirm()
        await commit(next)
      })
      expect(await (await open()).read(THUMBPRINT)).toMatchObject(next)
    })

    test('read, work and write of parallel transactions do not mix', async () => {
      const open = await withSession()
      const names = ['a', 'b', 'c', 'd']
      const append = async (each: string) =>
        (await open()).update(THUMBPRINT, async ({ stored, commit }) => {
          await commit({ ...stored!, spentTokens: [...stored!.spentTokens, each] })
        })
      await Promise.all(names.map(append))
      const { spentTokens } = (await (await open()).read(THUMBPRINT))!
      expect([...spentTokens].sort()).toStrictEqual(names)
    })

    test('signals are held during the whole transaction, and not afterwards', async () => {
      const open = await create()
      const events: string[] = []
      const store = await open(async (work) => {
        events.push('hold')
        const result = await work()
        events.push('release')
        return result
      })
      await store.update(THUMBPRINT, async ({ commit }) => {
        await commit(sessionRecord())
        events.push('stored')
      })
      expect(events).toStrictEqual(['hold', 'stored', 'release'])
    })

    test('the newest nonces are kept by key', async () => {
      const open = await withSession()
      await (await open()).writeNonces(THUMBPRINT, { [PDS]: 'one' })
      expect(await (await open()).readNonces(THUMBPRINT)).toStrictEqual({ [PDS]: 'one' })
      expect(await (await open()).readNonces('A'.repeat(43))).toStrictEqual({})
    })
  })
}
