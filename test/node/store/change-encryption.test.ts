/** Killed at every step of a change, a store can be read, and the same change finishes it. */
import type * as files from 'node:fs/promises'
import { cp, mkdir, readdir, readFile, rename, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { encryptionSetting } from '../../../src/node/config/encryption.ts'
import { changeConfig } from '../../../src/node/config/write.ts'
import type { Keychain } from '../../../src/node/keychain/keychain.ts'
import { changeStoreEncryption, storeEncryption } from '../../../src/node/store/change-encryption.ts'
import { type StoreCipher, storeCipher } from '../../../src/node/store/cipher.ts'
import { readEncryption, type StoreEncryption } from '../../../src/node/store/encryption.ts'
import { besideOf } from '../../../src/node/store/files.ts'
import { live } from '../../../src/node/store/lock-holder.ts'
import { lines } from '../../../src/node/store/lock-line.ts'
import { createPendingStore } from '../../../src/node/store/logins.ts'
import { createRescue } from '../../../src/node/store/rescue.ts'
import { createSessionStore } from '../../../src/node/store/sessions.ts'
import { readKnownVault, writeKnownVault } from '../../../src/node/vault/known.ts'
import { failure } from '../../support/failure.ts'
import { asNewProcess, CHEAP, type MemoryKeychain, memoryKeychain } from '../../support/store-encryption.ts'
import { KEY, pendingRecord, sessionRecord, THUMBPRINT, tempFolder, thumbprintOf, until } from '../helpers.ts'

/** The number of the step before which the process is killed; what it does then never ends. */
const mortality = vi.hoisted(() => ({ steps: 0, last: Infinity, onDeath: () => {} }))

/** @param isStep whether another process could notice it */
function step<T>(isStep: boolean, work: () => T): T | Promise<never> {
  if (isStep) mortality.steps += 1
  if (mortality.steps < mortality.last) return work()
  mortality.onDeath()
  return new Promise<never>(() => {})
}

vi.mock('node:fs/promises', async (load) => {
  const real = await load<typeof files>()
  const counted = Object.entries(real).map(([name, work]) => {
    if (!['open', 'rename', 'rm', 'mkdir', 'link'].includes(name)) return [name, work]
    return [
      name,
      (...args: unknown[]) => {
        // A lock is killed in its own tests.
        const isStep = !String(args[0]).includes('/locks') && !(name === 'open' && Number(args[1]) === 0)
        return step(isStep, () => (work as (...given: unknown[]) => unknown)(...args))
      },
    ]
  })
  return Object.fromEntries(counted)
})

const [FIRST, SECOND] = ['the first passphrase', 'the second passphrase']
const VAULT_KEY = 'canary-vault-key-'.padEnd(43, 'x')
const CLIENT_ID = 'https://app.example.com/client.json'
const CLIENT_JWK = { ...KEY, kid: 'canary-kid' }
const OTHER_KEY = { ...KEY, x: KEY.y, y: KEY.x }
const OTHER = thumbprintOf(OTHER_KEY)

interface Place {
  readonly home: string
  readonly elsewhere: string
  readonly keychain: MemoryKeychain
}

const sessionsOf = ({ home, elsewhere }: Place) =>
  createSessionStore(home, { holdSignals: (work) => work(), elsewhere: [elsewhere] })

interface Mode {
  readonly mode: StoreEncryption
  readonly passphrase?: string
}

const OFF: Mode = { mode: 'off' }
const KEYCHAIN: Mode = { mode: 'keychain' }
const WITH_FIRST: Mode = { mode: 'passphrase', passphrase: FIRST }
const WITH_SECOND: Mode = { mode: 'passphrase', passphrase: SECOND }

const configOf = ({ home }: Place) => join(home, 'config.json')

function change(place: Place, { mode, passphrase }: Mode) {
  const { home, elsewhere, keychain } = place
  const saveSetting = async () => {
    await step(true, () => changeConfig({ home, path: configOf(place) }, { 'encrypt-store': mode }))
  }
  const mortal: Keychain = {
    ...keychain,
    store: (...args) => step(true, () => keychain.store(...args)),
    remove: (id) => step(true, () => keychain.remove(id)),
  }
  return changeStoreEncryption(home, mode, {
    keychain: mortal,
    passphrase,
    cost: CHEAP,
    elsewhere: [elsewhere],
    saveSetting,
  })
}

/** Whoever had a lock in this process, or waited for one, is gone. */
function endProcess(): void {
  live.clear()
  lines.clear()
}

/** A process of a user who knows one passphrase, and compares the store with the setting. */
function begin(place: Place, passphrase: string | undefined): void {
  const { home, keychain } = place
  mortality.last = Infinity
  asNewProcess(home, {
    passphrase: async () => passphrase,
    keychain: async () => keychain,
    setting: () => encryptionSetting(place.home),
  })
}

/** A session, a rescued one, two logins, of which a killed process had claimed one, and a vault. */
async function filled({ mode, passphrase }: Mode): Promise<Place> {
  const place = { home: await tempFolder(), elsewhere: await tempFolder(), keychain: memoryKeychain() }
  begin(place, passphrase)
  const { home, elsewhere } = place
  await mkdir(join(home, 'pending'), { mode: 0o700 })
  await sessionsOf(place).update(THUMBPRINT, ({ commit }) => commit(sessionRecord()))
  const logins = createPendingStore(home)
  await logins.put(pendingRecord({ state: 'claimed' }))
  const [name] = await readdir(join(home, 'pending'))
  const claimed = besideOf(join(home, 'pending', name!), '.claimed')
  await rename(join(home, 'pending', name!), claimed)
  await logins.put(pendingRecord())
  await writeKnownVault(home, { address: 'redis://vault.example.com', key: VAULT_KEY })
  const rescued = sessionRecord({ thumbprint: OTHER, dpopPrivateJwk: OTHER_KEY })
  await createRescue(home, [elsewhere]).write(OTHER, JSON.stringify(rescued))
  if (mode !== 'off') {
    await change(place, { mode, ...(passphrase && { passphrase }) })
    await sessionsOf(place).keepClientKey!(CLIENT_ID, CLIENT_JWK)
  }
  return place
}

/** A copy of a place, as if it had been made there. */
async function copied({ home, elsewhere, keychain }: Place): Promise<Place> {
  const copy = { home: await tempFolder(), elsewhere: await tempFolder(), keychain: memoryKeychain() }
  await cp(home, copy.home, { recursive: true })
  const [name] = await readdir(elsewhere)
  await createRescue(copy.home, [copy.elsewhere]).write(OTHER, await readFile(join(elsewhere, name!), 'utf8'))
  for (const [id, secret] of keychain.entries) copy.keychain.entries.set(id, secret)
  return copy
}

async function contents({ home, elsewhere }: Place): Promise<string[]> {
  const entries = (
    await Promise.all([home, elsewhere].map((path) => readdir(path, { recursive: true, withFileTypes: true })))
  ).flat()
  const paths = entries
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('locks'))
    .map((entry) => join(entry.parentPath, entry.name))
  return Promise.all(paths.map(async (path) => `${basename(path)} ${await readFile(path, 'utf8')}`))
}

/** @throws what keeps it from being read */
async function expectAll(place: Place): Promise<void> {
  const { home } = place
  expect((await sessionsOf(place).list()).map(({ thumbprint }) => thumbprint).sort()).toStrictEqual(
    [THUMBPRINT, OTHER].sort(),
  )
  expect(await createPendingStore(home).get('canary-state')).toStrictEqual(pendingRecord())
  expect(await createPendingStore(home).get('claimed')).toMatchObject({ status: 'spent', outcome: 'sent' })
  expect(await readKnownVault(home)).toMatchObject({ key: VAULT_KEY })
}

/** As a user who tries the new passphrase, and then the old one. @returns the one that opens the store */
async function openedWith(place: Place, passphrases: readonly (string | undefined)[]): Promise<string | undefined> {
  for (const passphrase of passphrases) {
    begin(place, passphrase)
    const logins = createPendingStore(place.home)
    const reading = [sessionsOf(place).list(), logins.list!(), logins.get('claimed'), readKnownVault(place.home)]
    const failures = (await Promise.allSettled(reading)).flatMap((end) =>
      end.status === 'rejected' ? [end.reason] : [],
    )
    for (const error of failures) expect(error).toMatchObject({ code: 'STORE_LOCKED' })
    if (failures.length === 0) return passphrase
  }
  return expect.unreachable('no passphrase opens the store')
}

async function expectChanged(place: Place, { mode, passphrase }: Mode): Promise<void> {
  begin(place, passphrase)
  await expectAll(place)
  expect(await storeEncryption(place.home)).toBe(mode)
  const header = await readEncryption(place.home)
  expect([header?.isChanging, header?.former]).toStrictEqual([undefined, undefined])
  expect(encryptionSetting(place.home)?.mode).toBe(mode)
  expect(place.keychain.entries.size).toBe(mode === 'keychain' ? 1 : 0)
  const texts = await contents(place)
  const plain = texts.filter((text) => text.includes('canary'))
  if (mode === 'off') expect(texts.filter((text) => / eyJ/.test(text))).toStrictEqual([])
  else expect(plain).toStrictEqual([])
}

const CHANGES: readonly (readonly [name: string, from: Mode, to: Mode])[] = [
  ['off to a passphrase', OFF, WITH_FIRST],
  ['off to the keychain', OFF, KEYCHAIN],
  ['a passphrase to another', WITH_FIRST, WITH_SECOND],
  ['a passphrase to the keychain', WITH_FIRST, KEYCHAIN],
  ['the keychain to a passphrase', KEYCHAIN, WITH_FIRST],
  ['a passphrase to off', WITH_FIRST, OFF],
  ['the keychain to off', KEYCHAIN, OFF],
]

/** A part is enough for every run: CI tries every step once. */
const STRIDE = process.env['ATPROTO_OAUTH_TEST_THOROUGH'] === undefined ? 24 : 1

describe.each(CHANGES)('from %s', (_, from, to) => {
  test('everything is changed, and changing it again changes nothing', async () => {
    const place = await filled(from)
    const { files } = await change(place, to)
    // The key of a client is kept in an encrypted store only.
    expect(files).toBe(from.mode === 'off' ? 5 : to.mode === 'off' ? 6 : 0)
    const key = await sessionsOf(place).clientKey!(CLIENT_ID, { kid: CLIENT_JWK.kid, thumbprint: '' })
    expect(key).toStrictEqual(from.mode === 'off' ? undefined : CLIENT_JWK)
    await expectChanged(place, to)
    expect(await change(place, to)).toMatchObject({ before: to.mode, after: to.mode, files: 0 })
    await expectChanged(place, to)
  })

  test('killed at any step, everything can be read and refreshed, and the same change finishes it', async () => {
    const template = await filled(from)
    for (let last = 1; ; last += STRIDE) {
      const place = await copied(template)
      begin(place, from.passphrase)
      const death = new Promise<'death'>((resolve) => {
        mortality.onDeath = () => resolve('death')
      })
      Object.assign(mortality, { steps: 0, last })
      const end = await Promise.race([change(place, to).then(() => 'done' as const), death])
      endProcess()
      const passphrase = await openedWith(place, [to.passphrase, from.passphrase])
      await expectAll(place)
      // A refresh meanwhile, in whichever form is the one now.
      await sessionsOf(place).update(THUMBPRINT, ({ stored, commit }) => commit({ ...stored!, rotation: 1 }))
      await change(place, to)
      await expectChanged(place, to)
      begin(place, to.passphrase)
      expect(await sessionsOf(place).read(THUMBPRINT), `step ${last}`).toMatchObject({ rotation: 1 })
      expect([from.passphrase, to.passphrase]).toContain(passphrase)
      if (end === 'done') {
        expect(last).toBeGreaterThan(10)
        return
      }
    }
  })
})

describe('at the same time as another process', () => {
  test('a session that is being refreshed is changed when its lock is free', async () => {
    const place = await filled(OFF)
    let changing: Promise<unknown> | undefined
    await sessionsOf(place).update(THUMBPRINT, async ({ stored, commit }) => {
      changing = change(place, WITH_FIRST)
      await until(async () => (await storeEncryption(place.home)) === 'passphrase')
      await commit({ ...stored!, refreshToken: 'canary-next', rotation: 1 })
    })
    await changing
    await expectChanged(place, WITH_FIRST)
    expect(await sessionsOf(place).read(THUMBPRINT)).toMatchObject({ refreshToken: 'canary-next' })
  })

  test('a session that begins meanwhile is written as the store is by then', async () => {
    const place = await filled(OFF)
    const key = { ...KEY, x: 'A'.repeat(43) }
    const fresh = sessionRecord({ thumbprint: thumbprintOf(key), dpopPrivateJwk: key })
    let changing: Promise<unknown> | undefined
    await sessionsOf(place).update(fresh.thumbprint, async ({ commit }) => {
      changing = change(place, WITH_FIRST)
      await until(async () => (await storeEncryption(place.home)) === 'passphrase')
      await commit(fresh)
    })
    await changing
    expect(await contents(place)).not.toContainEqual(expect.stringMatching(/canary/))
    expect(await sessionsOf(place).list()).toHaveLength(3)
  })

  test('two changes are made one after the other', async () => {
    const place = await filled(OFF)
    await Promise.all([change(place, WITH_FIRST), change(place, KEYCHAIN)])
    const header = await readEncryption(place.home)
    expect(header?.isChanging).toBeUndefined()
    begin(place, FIRST)
    await expectAll(place)
  })
})

test('a locked keychain changes nothing', async () => {
  for (const [from, to] of [
    [OFF, KEYCHAIN],
    [KEYCHAIN, OFF],
  ] as const) {
    const place = await filled(from)
    begin(place, undefined)
    place.keychain.isLocked = true
    const entries = [...place.keychain.entries]
    const before = await contents(place)
    expect(await failure(change(place, to))).toMatchObject({ code: 'STORE_LOCKED' })
    expect(await contents(place)).toStrictEqual(before)
    expect([...place.keychain.entries]).toStrictEqual(entries)
  }
})

test('killed when all is decrypted and the key is removed, another change begins anew', async () => {
  for (const to of [KEYCHAIN, WITH_FIRST]) {
    const place = await filled(KEYCHAIN)
    const remove = place.keychain.remove
    const death = new Promise<void>((resolve) => {
      place.keychain.remove = async (id) => {
        await remove(id)
        resolve()
        return new Promise<never>(() => {})
      }
    })
    void change(place, OFF)
    await death
    endProcess()
    place.keychain.remove = remove
    expect(place.keychain.entries.size).toBe(0)
    begin(place, undefined)
    await expectAll(place)
    expect(await change(place, to)).toMatchObject({ files: 6 })
    await expectChanged(place, to)
  }
})

test('a login that is stored while the store is decrypted is in plain text, also if its process is killed then', async () => {
  const place = await filled(WITH_FIRST)
  const cipher = storeCipher(place.home)
  let changing: Promise<unknown> | undefined
  let isWritten = false
  const slow: StoreCipher = {
    ...cipher,
    async sealer(options) {
      const sealer = await cipher.sealer(options)
      return {
        ...sealer,
        async seal(text, name) {
          const sealed = await sealer.seal(text, name)
          // The change has seen all other logins, or waits for this one.
          await new Promise<void>((resolve) => {
            const onWait = () => {
              resolve()
              return () => undefined
            }
            lines.clear() // the change is made by another process
            changing = changeStoreEncryption(place.home, 'off', { elsewhere: [place.elsewhere], onWait })
            void changing.then(() => resolve())
          })
          return sealed
        },
        isCurrent() {
          isWritten = true
          return new Promise<never>(() => {}) // killed now
        },
      }
    },
  }
  const put = createPendingStore(place.home, slow).put(pendingRecord({ state: 'late' }))
  await until(() => isWritten)
  endProcess()
  await changing
  void put
  expect(await contents(place)).not.toContainEqual(expect.stringMatching(/^[0-9a-f]{64}\.json eyJ/))
  begin(place, undefined)
  expect(await createPendingStore(place.home).get('late')).toMatchObject({ state: 'late' })
})

test('a damaged file keeps nothing else from being encrypted, and is encrypted as it is', async () => {
  const place = await filled(OFF)
  const path = join(place.home, 'sessions', `${OTHER}.json`)
  await writeFile(path, '{ "refreshToken": "canary-damaged', { mode: 0o600 })
  await change(place, WITH_FIRST)
  expect(await contents(place)).not.toContainEqual(expect.stringMatching(/canary/))
  await change(place, OFF)
  expect(await readFile(path, 'utf8')).toBe('{ "refreshToken": "canary-damaged')
})

test('as long as a file cannot be decrypted, its key is kept', async () => {
  const place = await filled(WITH_FIRST)
  const path = join(place.home, 'sessions', `${THUMBPRINT}.json`)
  const text = await readFile(path, 'utf8')
  await writeFile(path, text.slice(0, -8))
  expect(await failure(change(place, OFF))).toMatchObject({ code: 'STORE_INVALID', facts: { path } })
  await writeFile(path, text)
  await change(place, OFF)
  await expectChanged(place, OFF)
})

test('what a killed process left in plain text is removed', async () => {
  const place = await filled(OFF)
  const [session, login] = [
    join(place.home, 'sessions', `.${THUMBPRINT}.json.00000000-0000-4000-8000-000000000001.tmp`),
    join(place.home, 'pending', `.${'0'.repeat(48)}.00000000-0000-4000-8000-000000000001.tmp`),
  ]
  for (const path of [session, login]) await writeFile(path, 'canary', { mode: 0o600 })
  await utimes(login, 0, 0)
  await change(place, WITH_FIRST)
  expect(await contents(place)).not.toContainEqual(expect.stringMatching(/canary/))
})

test('a file that somebody else put where sessions are rescued is left as it is', async () => {
  const place = await filled(OFF)
  const [name] = await readdir(place.elsewhere)
  const path = join(place.elsewhere, name!.replace(OTHER, THUMBPRINT))
  await writeFile(path, 'of a stranger', { mode: 0o644 })
  await cp(path, `${path}.copy`)
  await change(place, WITH_FIRST)
  expect(await readFile(path, 'utf8')).toBe('of a stranger')
})
