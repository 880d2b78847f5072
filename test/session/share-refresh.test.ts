import { expect, test } from 'vitest'
import type { Refreshed } from '../../src/ports.ts'
import { afterOtherStores, MOST_REMEMBERED } from '../../src/session/share-refresh.ts'
import { sessionRecord } from '../node/helpers.ts'

test('of the sessions that were refreshed in a process the last are remembered, and those that are being refreshed', async () => {
  const refreshedHere = new Map<string, Refreshed>()
  const refresh = (name: string, response?: Promise<unknown>) =>
    afterOtherStores({ refreshedHere }, name, async (here) => {
      await response
      here!.newest = sessionRecord()
      return here!.newest
    })
  let respond = (_: unknown) => {}
  const slow = refresh(
    'slow',
    new Promise((resolve) => {
      respond = resolve
    }),
  )
  await refresh('first')
  await refresh('second')
  for (let count = 3; count < MOST_REMEMBERED; count += 1) await refresh(`${count}`)
  await refresh('first')
  await refresh('one more')
  await refresh('and another')
  const kept = () => ['slow', 'first', 'second', 'one more', 'and another'].filter((name) => refreshedHere.has(name))
  expect(kept()).toStrictEqual(['slow', 'first', 'one more', 'and another'])
  expect(refreshedHere.size).toBe(MOST_REMEMBERED)
  respond(undefined)
  await slow
  expect(refreshedHere.get('slow')).toMatchObject({ callers: 0, newest: sessionRecord() })
})
