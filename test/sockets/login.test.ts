/** Issue 4, crash matrix, `init` and `complete`: killed at every step, and the same command once more. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { expect, test } from 'vitest'
import { init } from '../../src/login/init.ts'
import { createPendingStore } from '../../src/node/store/logins.ts'
import { createSessionStore } from '../../src/node/store/sessions.ts'
import type { FakeWorldOptions } from '../support/fake-atproto.ts'
import { CLIENT } from '../support/raw-client.ts'
import { findSecrets } from '../support/scan.ts'
import { encryptStore, PASSPHRASE } from '../support/store-encryption.ts'
import type { CliResult } from '../world/cli.ts'
import {
  ageLeftovers,
  forEachKill,
  isTried,
  killsOf,
  LOCKS,
  leftoversOf,
  openToOthers,
  type Place,
  withPlace,
} from './matrix.ts'

const FILE = 'session.env'

/** A login that waits for its callback, without the cost of a process. */
async function started({ world, home }: Place): Promise<URL> {
  const ports = { ...world, stores: { pending: createPendingStore(home.state) } }
  return (await init(world.alice.did, { scope: CLIENT.scope }, ports)).authorizationUrl
}

test('init: the URL works if it was printed, else a new one does', async () => {
  // With nonces, it depends on the time whether the first pushed request has one already or is sent twice.
  const options: FakeWorldOptions = { faults: { asNonces: 'none' } }
  const kills = await killsOf(
    (place, log) => place.run(['init', place.world.alice.did], { log }),
    LOCKS.logins,
    options,
  )
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
    }, options),
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
  // The lock is released: a change of the encryption may go on.
  'open state/locks/logins/N',
  'write state/locks/logins/N',
  'truncate state/locks/logins/N',
  'send /oauth/token',
  'before it is handled: send /oauth/token',
]
/** From the moment at which the server has made the session to the one at which its tokens are on this disk. */
const LOSING = ['before it is answered: send /oauth/token', 'rename state/pending/*.tmp state/pending/ID.json']

const atFile = ({ home }: Place) => readFile(join(home.path, FILE), 'utf8').then(tokenIn, () => undefined)

/** In which nothing but ciphertext may be left, wherever a process dies. */
const ENCRYPTED = ' --save store, encrypted'

async function expectNoSecret({ world, home }: Place, label: string): Promise<void> {
  const tokens = world.sessions.flatMap(({ refreshToken, accessToken, spent }) => [refreshToken, accessToken, ...spent])
  const pending = await createPendingStore(home.state).list!()
  const logins = pending.flatMap((login) =>
    login.status === 'pending' ? [login.codeVerifier, login.dpopPrivateJwk.d] : [],
  )
  const secrets = [...tokens, ...logins, PASSPHRASE].filter(Boolean)
  expect(await findSecrets([home.path], secrets), label).toStrictEqual([])
}

type Saved = (place: Place, runs: readonly CliResult[]) => Promise<string | undefined>

test.each<[name: string, flags: string[], locks: readonly string[], saved: Saved]>([
  ['', [], LOCKS.logins, async (_, runs) => runs.map(({ stdout }) => tokenIn(stdout)).find(Boolean)],
  [' --save store', ['--save', 'store'], [], tokenInStore],
  [ENCRYPTED, ['--save', 'store'], [], tokenInStore],
  [' --save file', ['--save', `file:${FILE}`], [], atFile],
])('11.7 complete%s', async (name, flags, locks, saved) => {
  const args = ['complete', ...flags]
  const isEncrypted = name === ENCRYPTED
  const env = isEncrypted ? { ATPROTO_OAUTH_STORE_KEY: PASSPHRASE } : {}
  const prepare = async (place: Place) => {
    if (isEncrypted) await encryptStore(place.home.state, 'passphrase')
    return place.world.authorize(await started(place))
  }
  const kills = await killsOf(async (place, log) => place.run(args, { stdin: await prepare(place), env, log }), locks)
  const fates = await forEachKill(kills, (kill) =>
    withPlace(async (place) => {
      const { world, home } = place
      const stdin = await prepare(place)
      const killed = await place.run(args, { stdin, env, kill })
      expect(killed.signal, kill.label).toBe('SIGKILL')
      expect(await openToOthers(home), kill.label).toStrictEqual([])
      if (isEncrypted) await expectNoSecret(place, kill.label)
      const [session] = world.sessions

      await ageLeftovers(home)
      const next = await place.run(args, { stdin, env })
      if (isEncrypted) await expectNoSecret(place, kill.label)
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
  const labels = (fate: string) =>
    kills.filter((_, index) => fates[index] === fate).map(({ label }) => label.replace(/(?<=locks\/logins\/)\d+/, 'N'))
  expect(labels('unsent')).toStrictEqual(UNSENT.filter((label) => isTried(label, locks)))
  expect(labels('lost')).toStrictEqual(LOSING)
})
