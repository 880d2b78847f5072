/** Issue 4, crash matrix, `init` and `complete`: killed at every step, and the same command once more. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { expect, test } from 'vitest'
import { init } from '../../src/login/init.ts'
import { createPendingStore } from '../../src/node/store/logins.ts'
import { createSessionStore } from '../../src/node/store/sessions.ts'
import { CLIENT } from '../support/raw-client.ts'
import type { CliResult } from '../world/cli.ts'
import { ageLeftovers, forEachKill, killsOf, leftoversOf, openToOthers, type Place, withPlace } from './matrix.ts'

const FILE = 'session.env'

/** A login that waits for its callback, without the cost of a process. */
async function started({ world, home }: Place): Promise<URL> {
  const ports = { ...world, stores: { pending: createPendingStore(home.state) } }
  return (await init(world.alice.did, { scope: CLIENT.scope }, ports)).authorizationUrl
}

test('init: the URL works if it was printed, else a new one does', async () => {
  const kills = await killsOf((place, log) => place.run(['init', place.world.alice.did], { log }))
  const printed = await forEachKill(kills, (kill) =>
    withPlace(async (place) => {
      const { world, home } = place
      const killed = await place.run(['init', world.alice.did], { kill })
      expect(killed.signal, kill.label).toBe('SIGKILL')
      expect(await openToOthers(home), kill.label).toStrictEqual([])
      await ageLeftovers(home)
      const isPrinted = killed.stdout !== ''
      if (!isPrinted) {
        const again = await place.run(['init', world.alice.did])
        expect(again, kill.label).toMatchObject({ code: 0, stdout: expect.stringMatching(/^https:.+\n$/) })
        expect(await leftoversOf(home), kill.label).toStrictEqual([])
      }
      if (isPrinted) {
        const completed = await place.run(['complete'], { stdin: world.authorize(killed.stdout.trim()) })
        expect(completed, kill.label).toMatchObject({ code: 0 })
      }
      return isPrinted
    }),
  )
  expect(kills.filter((_, index) => printed[index]).map(({ label }) => label)).toStrictEqual(['exit'])
})

const tokenIn = (dotenv: string) => parse(dotenv)['ATPROTO_OAUTH_REFRESH_TOKEN']

async function tokenInStore({ home }: Place): Promise<string | undefined> {
  const [record, ...more] = await createSessionStore(home.state, { holdSignals: (work) => work() }).list()
  expect(more).toStrictEqual([])
  return record?.refreshToken
}

/** From the moment at which the code is claimed to the one at which the server has it: no session, and no harm. */
const UNSENT = [
  'rename state/pending/*.tmp state/pending/ID.json',
  'rm state/pending/*.claimed.tmp',
  'send /oauth/token',
  'before it is handled: send /oauth/token',
]
/** From the moment at which the server has made the session to the one at which its tokens are on this disk. */
const LOSING = ['before it is answered: send /oauth/token', 'rename state/pending/*.tmp state/pending/ID.json']

const atFile = ({ home }: Place) => readFile(join(home.path, FILE), 'utf8').then(tokenIn, () => undefined)

test.each<[string, string[], (place: Place, runs: readonly CliResult[]) => Promise<string | undefined>]>([
  ['', [], async (_, runs) => runs.map(({ stdout }) => tokenIn(stdout)).find(Boolean)],
  [' --save store', ['--save', 'store'], tokenInStore],
  [' --save file', ['--save', `file:${FILE}`], atFile],
])('11.7 complete%s', async (_, flags, saved) => {
  const args = ['complete', ...flags]
  const kills = await killsOf(async (place, log) => {
    const stdin = place.world.authorize(await started(place))
    return place.run(args, { stdin, log })
  })
  const fates = await forEachKill(kills, (kill) =>
    withPlace(async (place) => {
      const { world, home } = place
      const stdin = world.authorize(await started(place))
      const killed = await place.run(args, { stdin, kill })
      expect(killed.signal, kill.label).toBe('SIGKILL')
      expect(await openToOthers(home), kill.label).toStrictEqual([])
      const [session] = world.sessions

      await ageLeftovers(home)
      const next = await place.run(args, { stdin })
      const token = await saved(place, [killed, next])
      await started(place) // the next login
      expect(await leftoversOf(home), kill.label).toStrictEqual([])
      expect(world.sessions.length, kill.label).toBeLessThanOrEqual(1)
      if (next.code === 0 || next.stderr.includes('this login was completed')) {
        if (next.code !== 0) expect(next, kill.label).toMatchObject({ code: 4, stdout: '' })
        expect(token, kill.label).toBe(world.currentRefreshToken(world.alice.did) ?? 'none')
        return 'kept'
      }
      const said = expect.stringMatching(
        /no response was recorded.*\[CODE_USED\]\n.*session: unknown.*\n.*hint: .*init/,
      )
      expect(next, kill.label).toMatchObject({ code: 4, stdout: '', stderr: said })
      expect(token, kill.label).toBeUndefined()
      return session ? 'lost' : 'unsent'
    }),
  )
  const labels = (fate: string) => kills.filter((_, index) => fates[index] === fate).map(({ label }) => label)
  expect(labels('unsent')).toStrictEqual(UNSENT)
  expect(labels('lost')).toStrictEqual(LOSING)
})
