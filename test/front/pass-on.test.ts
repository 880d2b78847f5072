import { expect, test } from 'vitest'
import { type PassingSession, passOn } from '../../src/front/pass-on.ts'

test('how long a response may take is for the program to say, which closes its connection', async () => {
  const given: RequestInit[] = []
  const session: PassingSession = {
    fetchHandler: async (_path, init) => {
      given.push(init as RequestInit)
      return new Response('{}')
    },
    record: () => {
      throw new Error('not needed')
    },
  }
  const { signal } = new AbortController()
  const nsid = 'com.atproto.repo.listRecords'
  const body = async () => undefined
  const request = { method: 'GET', target: `/xrpc/${nsid}`, headers: {}, body, smallBody: body, signal }
  await passOn(session, { nsid, request, onScopeMissing: () => {} }, { now: () => 0 })
  expect(given).toStrictEqual([expect.objectContaining({ signal, timeoutSeconds: 3600 })])
})
