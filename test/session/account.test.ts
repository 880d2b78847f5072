import { expect, test } from 'vitest'
import type { SessionRecord } from '../../src/model.ts'
import { currentHandles } from '../../src/session/account.ts'
import { createFakeWorld } from '../support/fake-atproto.ts'

const ALICE = 'did:plc:alice234567alice234567ab'

type Listed = Pick<SessionRecord, 'did' | 'handle'>
const listed = (did: string, handle?: string) => ({ did, handle }) as unknown as Listed
const alive = () => new AbortController().signal

test('handles as they resolve now; those that cannot be resolved are the stored ones', async () => {
  const world = createFakeWorld()
  const lost = listed('did:web:lost.example', 'lost.example')
  const alice = listed(ALICE, 'former.example')
  const found = await currentHandles([alice, lost, alice], { concurrency: 2, signal: alive() }, world)
  expect([...found]).toStrictEqual([
    [alice.did, { handle: 'alice.fake.dev', isCurrent: true }],
    [lost.did, { handle: 'lost.example', isCurrent: false }],
  ])
})

test('no more at the same time than asked for, and none after the end', async () => {
  const world = createFakeWorld()
  const end = new AbortController()
  let [open, most, started] = [0, 0, 0]
  const fetch: typeof world.fetch = async (url, init) => {
    started += 1
    open += 1
    most = Math.max(most, open)
    await new Promise((done) => setImmediate(done))
    open -= 1
    if (started === 20) end.abort()
    return world.fetch(url, init)
  }
  const records = Array.from({ length: 1000 }, (_, index) => listed(`did:web:a${index}.example`, `a${index}.example`))
  const found = await currentHandles(records, { concurrency: 4, signal: end.signal }, { ...world, fetch })
  expect(most).toBeLessThanOrEqual(4)
  expect(started).toBeLessThan(30)
  expect(found.size).toBe(1000)
  expect([...found.values()].every(({ isCurrent }) => !isCurrent)).toBe(true)
})

test('what never responds does not hold up the list', async () => {
  const world = createFakeWorld()
  const fetch = () => new Promise<never>(() => undefined)
  const end = new AbortController()
  const listing = currentHandles(
    [listed(ALICE, 'a.example')],
    { concurrency: 1, signal: end.signal },
    { ...world, fetch },
  )
  end.abort()
  expect([...(await listing).values()]).toStrictEqual([{ handle: 'a.example', isCurrent: false }])
})
