/** Issue 4, crash matrix, `call` from cold: killed at every step, and the same command once more. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Origin } from '../../src/model.ts'
import { systemKeychain } from '../../src/node/keychain/system.ts'
import { changeStoreEncryption } from '../../src/node/store/change-encryption.ts'
import { createSessionStore } from '../../src/node/store/sessions.ts'
import { CLIENT } from '../support/raw-client.ts'
import { findSecrets } from '../support/scan.ts'
import { lacksSecretService, openSecretService, type SecretService } from '../support/secret-service.ts'
import { asNewProcess, encryptStore, PASSPHRASE } from '../support/store-encryption.ts'
import {
  ageLeftovers,
  credentialsFor,
  forEachKill,
  GET_SESSION,
  KEY,
  type Kill,
  killsOf,
  LOCKS,
  leftoversOf,
  openSession,
  openToOthers,
  type Place,
  withPlace,
} from './matrix.ts'

const FILE = 'session.env'

interface Start {
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Refresh tokens by where they are kept. */
  kept(): Promise<Record<string, string | undefined>>
  readonly isEncrypted?: boolean
  /** The refresh token may be in the store from the response to its delivery, and no longer. */
  readonly isWithoutStore?: boolean
}

const sessionsOf = ({ home }: Place) => createSessionStore(home.state, { holdSignals: (work) => work() })
const inStore = async (place: Place) => (await sessionsOf(place).read(KEY.thumbprint))?.refreshToken

async function fromStore(place: Place): Promise<Start> {
  const { did } = place.world.alice
  const { refreshToken } = openSession(place)
  const [pds, issuer] = [place.world.pds as Origin, place.world.as as Origin]
  const known = { did, pds, issuer, clientId: CLIENT.client_id, scope: CLIENT.scope, dpopPrivateJwk: KEY.jwk }
  await sessionsOf(place).update(KEY.thumbprint, ({ commit }) =>
    commit({ version: 1, thumbprint: KEY.thumbprint, ...known, refreshToken, spentTokens: [] }),
  )
  return { args: GET_SESSION, env: {}, kept: async () => ({ store: await inStore(place) }) }
}

async function fromEnvironment(place: Place): Promise<Start> {
  const path = join(place.home.path, FILE)
  await writeFile(path, '# mine\nOTHER="of somebody else"\n', { mode: 0o600 })
  return {
    args: [...GET_SESSION, '--save', `file:${FILE}`],
    env: credentialsFor(place),
    async kept() {
      const text = await readFile(path, 'utf8')
      expect(text).toMatch(/^# mine\nOTHER="of somebody else"\n/)
      return { store: await inStore(place), file: parse(text)['ATPROTO_OAUTH_REFRESH_TOKEN'] }
    },
  }
}

/** A target that cannot be read: the next run has the old token and the store. */
async function withoutStore(place: Place): Promise<Start> {
  const path = join(place.home.path, FILE)
  const args = [...GET_SESSION, '--save', `exec:umask 077; cat > ${path}`, '--no-store']
  return {
    args,
    env: credentialsFor(place),
    isWithoutStore: true,
    async kept() {
      expect(await inStore(place)).toBeUndefined()
      return { program: parse(await readFile(path, 'utf8'))['ATPROTO_OAUTH_REFRESH_TOKEN'] }
    },
  }
}

/** In which nothing but ciphertext may be left, wherever a process dies. */
async function fromEncryptedStore(place: Place): Promise<Start> {
  const { state, path } = place.home
  await encryptStore(state, 'passphrase')
  const temporary = join(path, 'tmp')
  await mkdir(temporary, { mode: 0o700, recursive: true })
  const { args, kept } = await fromStore(place)
  return { args, kept, env: { ATPROTO_OAUTH_STORE_KEY: PASSPHRASE, TMPDIR: temporary }, isEncrypted: true }
}

let service: SecretService | undefined
beforeAll(async () => {
  service = lacksSecretService() ? undefined : await openSecretService()
})
afterAll(() => service?.close())

/** The key of the store is in a real keychain, which each process reads. */
async function fromKeychainStore(place: Place): Promise<Start> {
  const { state, path } = place.home
  const { env } = service!
  const keychain = await systemKeychain({ environment: { ...process.env, ...env }, isInteractive: false })
  asNewProcess(state, { keychain: async () => keychain })
  await changeStoreEncryption(state, 'keychain', { keychain, elsewhere: [] })
  const temporary = join(path, 'tmp')
  await mkdir(temporary, { mode: 0o700, recursive: true })
  const { args, kept } = await fromStore(place)
  return { args, kept, env: { ...env, TMPDIR: temporary }, isEncrypted: true }
}

/** The key, and all tokens that there were. */
function secretsOf({ world }: Place): string[] {
  const [session] = world.sessions
  const current = world.currentRefreshToken(world.alice.did)
  const tokens = [...(session?.spent ?? []), session?.accessToken, current]
  return [KEY.jwk.d, PASSPHRASE, ...tokens.filter((token) => token !== undefined)]
}

/** Whether a refresh token is in any file but that of the target. */
async function holdsToken(place: Place): Promise<boolean> {
  const [session] = place.world.sessions
  const current = place.world.currentRefreshToken(place.world.alice.did)
  const tokens = [...(session?.spent ?? []), ...(current === undefined ? [] : [current])]
  const found = await findSecrets([place.home.path], tokens)
  return found.some((line) => !line.includes(FILE))
}

/** From the moment at which the server has spent the old token to the one at which the new one is in the store. */
const LOSING = ['before it is answered: send /oauth/token', 'rename state/sessions/*.tmp state/sessions/ID.json']

/**
 * Without the store, while the program gets the token that is good now, and from the moment at which the new one is
 * written to the store to the one at which it is removed.
 */
const HOLDING = [
  'rename state/sessions/*.tmp state/sessions/ID.json',
  'spawn session.env',
  // For the nonce only.
  ...['', 'before it is handled: ', 'before it is answered: '].map((when) => `${when}send /oauth/token`),
  'utimes state/locks/ID/1',
  'open state/sessions/*.tmp',
  'rename state/sessions/*.tmp state/sessions/ID.json',
  'rename state/sessions/*.tmp state/sessions/ID.json',
  'mkdir .cache/atproto-oauth/refreshes',
  ...['open', 'truncate', 'writeFile'].map((step) => `${step} .cache/atproto-oauth/refreshes/ID.json`),
  'spawn session.env', // the last word of the command line
  'utimes state/locks/ID/1',
  'open state/sessions/*.tmp',
  'rename state/sessions/*.tmp state/sessions/ID.json',
]

test.for([
  ['the store', fromStore, LOCKS.session, []],
  ['an encrypted store', fromEncryptedStore, [], []],
  ['a store whose key is in the keychain', fromKeychainStore, [], []],
  ['the environment, saved to a file', fromEnvironment, LOCKS.file, []],
  ['the environment, saved by a program alone', withoutStore, [], HOLDING],
] as const)('11.7 call with a session of %s', async ([, prepare, locks, held], { skip }) => {
  skip(prepare === fromKeychainStore && service === undefined, 'there is no Secret Service')
  const kills = await killsOf(async (place, log) => {
    const { args, env } = await prepare(place)
    return place.run(args, { env, log })
  }, locks)
  const holding = new Set<Kill>()
  const lost = await forEachKill(kills, (kill) =>
    withPlace(async (place) => {
      const { world, home } = place
      const { args, env, kept, isEncrypted = false, isWithoutStore = false } = await prepare(place)
      const expectNoSecret = async () => {
        if (isEncrypted) expect(await findSecrets([home.path], secretsOf(place)), kill.label).toStrictEqual([])
      }
      const killed = await place.run(args, { env, kill })
      expect(killed.signal, kill.label).toBe('SIGKILL')
      expect(await openToOthers(home), kill.label).toStrictEqual([])
      await expectNoSecret()
      if (isWithoutStore && (await holdsToken(place))) holding.add(kill)
      const rotated = world.sessions[0]!.spent.size > 0

      if (!isWithoutStore) await ageLeftovers(home)
      const next = await place.run(args, { env })
      if (!isWithoutStore) expect(await leftoversOf(home), kill.label).toStrictEqual([])
      else expect(await holdsToken(place), kill.label).toBe(false)
      await expectNoSecret()
      const current = world.currentRefreshToken(world.alice.did)
      if (current === undefined) {
        expect(rotated, kill.label).toBe(true)
        expect(next, kill.label).toMatchObject({ code: 5, stdout: '', stderr: expect.stringContaining('SESSION_DEAD') })
        expect(next.stderr).toContain('an earlier refresh was sent, but no response was stored')
        return true
      }
      expect(next, kill.label).toMatchObject({ code: 0, stdout: expect.stringContaining(world.alice.did) })
      // Once, over both runs.
      expect([...world.sessions[0]!.spent], kill.label).toHaveLength(1)
      for (const token of Object.values(await kept())) expect(token, kill.label).toBe(current)
      return false
    }),
  )
  const losing = kills.filter((_, index) => lost[index]).map(({ label }) => label)
  expect(losing).toStrictEqual(LOSING)
  expect(kills.filter((kill) => holding.has(kill)).map(({ label }) => label)).toStrictEqual(held)
})
