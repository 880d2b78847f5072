/** Issue 4, concurrency: CI runners with one set of secrets, and nothing else in common. */
import { expect, onTestFinished, test } from 'vitest'
import { formOf, pathOf } from '../support/fake-atproto.ts'
import { createHome } from '../world/cli.ts'
import { credentialsFor, GET_SESSION, withPlace } from './matrix.ts'

test('11.3 five at once with one token: one is served, the others are told that somebody was faster', () =>
  withPlace(
    async (place) => {
      const { world, run } = place
      const env = credentialsFor(place)
      let isOver = () => {}
      const first = new Promise<void>((resolve) => {
        isOver = resolve
      })
      let arrived = 0
      // The second refresh and the others are looked at when the first runner has all that it wanted.
      world.faults.httpFault = async (request) => {
        if (pathOf(request).startsWith('/xrpc/')) {
          return (answer) => {
            isOver()
            return answer
          }
        }
        if (formOf(request)['grant_type'] !== 'refresh_token') return undefined
        arrived += 1
        if (arrived > 1) await first
        return undefined
      }
      const homes = await Promise.all([1, 2, 3, 4, 5].map(() => createHome()))
      onTestFinished(async () => {
        await Promise.all(homes.map((home) => home.remove()))
      })
      const results = await Promise.all(homes.map((home) => run(GET_SESSION, { home, env })))
      expect(arrived).toBe(5)

      const served = results.filter(({ code }) => code === 0)
      expect(served).toHaveLength(1)
      expect(served[0]!.stdout).toContain(world.alice.did)
      for (const { code, stdout, stderr } of results.filter((result) => result !== served[0])) {
        expect({ code, stdout }).toStrictEqual({ code: 5, stdout: '' })
        expect(stderr).toContain('[SESSION_DEAD]')
        expect(stderr).toMatch(
          /(?:was already used: by another process or machine|another process or machine used an old token)/,
        )
        expect(stderr).toMatch(/hint: .*atproto-oauth init did:plc:/)
      }
      // Which is the truth, of the reference server.
      expect(world.sessions.map(({ endedBecause }) => endedBecause)).toStrictEqual(['Refresh token replayed'])

      // Whoever lost knows it, and sends nothing any more.
      const sent = world.requests.length
      const home = homes[results.findIndex(({ code }) => code === 5)]!
      expect(await run(GET_SESSION, { home, env })).toMatchObject({ code: 5, stdout: '' })
      expect(world.requests).toHaveLength(sent)
    },
    { faults: { asNonces: 'none', rsNonces: 'none' } }, // a nonce of all five would be good for one of them only
  ))
