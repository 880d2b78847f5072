import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import type { ReceivedAuthorization } from '../../../src/model.ts'
import type { Keychain } from '../../../src/node/keychain/keychain.ts'
import type { SignalHold } from '../../../src/node/signals.ts'
import { changeStoreEncryption, storeEncryption } from '../../../src/node/store/change-encryption.ts'
import { PLAIN, storeCipher } from '../../../src/node/store/cipher.ts'
import { GENERATED_COST, lockWithKeychain, readEncryption, SCRYPT_COST } from '../../../src/node/store/encryption.ts'
import { listFolder } from '../../../src/node/store/files.ts'
import { createPendingStore, createStateFileStore } from '../../../src/node/store/logins.ts'
import { lockFolder } from '../../../src/node/store/parts.ts'
import { createSessionStore } from '../../../src/node/store/sessions.ts'
import { readKnownVault, writeKnownVault } from '../../../src/node/vault/known.ts'
import { failure } from '../../support/failure.ts'
import { describeSessionStore } from '../../support/session-store.ts'
import { asNewProcess, CHEAP, encryptStore, PASSPHRASE } from '../../support/store-encryption.ts'
import { KEY, pendingRecord, sessionRecord, shown, THUMBPRINT, tempFolder, thumbprintOf } from '../helpers.ts'

const VAULT_KEY = 'canary-vault-key-'.padEnd(43, 'x')
const { did, dpopPrivateJwk, pds } = sessionRecord()
const SPENT = { version: 1, status: 'spent', state: 'canary-state', codeHash: 'h', outcome: 'sent', at: 1 } as const
const RECEIVED: ReceivedAuthorization = {
  ...{ version: 1, status: 'received', state: 'canary-state', codeHash: 'h', did, requestedScope: 'atproto', at: 1 },
  credentials: { did, dpopPrivateJwk, server: pds, refreshToken: 'canary-refresh' },
}
const NEVER = { passphrase: async () => expect.unreachable('nothing is asked') }

const sessionsOf = (home: string) => createSessionStore(home, { holdSignals: (work) => work(), elsewhere: [] })
const store = (home: string, changes = {}) =>
  sessionsOf(home).update(THUMBPRINT, ({ commit }) => commit(sessionRecord(changes)))

/** Everything that is secret in the store, in each kind of file. */
async function filled(mode: 'passphrase' | 'keychain'): Promise<string> {
  const home = await tempFolder()
  await encryptStore(home, mode)
  await store(home)
  await createPendingStore(home).put(pendingRecord())
  await createPendingStore(home).put({ ...RECEIVED, state: 'another' })
  await writeKnownVault(home, { address: 'redis://vault.example.com', key: VAULT_KEY, login: 'canary-login' })
  return home
}

async function textOf(home: string): Promise<string> {
  const entries = await readdir(home, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return (await Promise.all(paths.map((path) => readFile(path, 'utf8')))).join('\n')
}

for (const mode of ['passphrase', 'keychain'] as const) {
  describeSessionStore(`a store that is encrypted by ${mode}`, async () => {
    const home = await tempFolder()
    await encryptStore(home, mode)
    return async (holdSignals = (work) => work()) => createSessionStore(home, { holdSignals, elsewhere: [] })
  })

  describe(`encrypted by ${mode}`, () => {
    test('no secret is in any file, and everything can be read', async () => {
      const home = await filled(mode)
      expect(await textOf(home)).not.toMatch(/canary/)
      expect(await storeEncryption(home)).toBe(mode)
      expect(await sessionsOf(home).list()).toMatchObject([sessionRecord()])
      expect(await createPendingStore(home).get('canary-state')).toStrictEqual(pendingRecord())
      expect(await createPendingStore(home).list!()).toHaveLength(2)
      expect(await readKnownVault(home)).toMatchObject({ key: VAULT_KEY, login: 'canary-login' })
    })

    test('a login is claimed once, and what is kept of it needs no key', async () => {
      const home = await filled(mode)
      const logins = createPendingStore(home)
      expect(await logins.claim(SPENT)).toBe(true)
      expect(await createPendingStore(home).claim(SPENT)).toBe(false)
      await logins.put(RECEIVED)
      expect(await textOf(home)).not.toMatch(/canary-refresh/)
      expect(await createPendingStore(home).get('canary-state')).toMatchObject(RECEIVED)
      await logins.put({ ...SPENT, outcome: 'completed' })
      asNewProcess(home, NEVER)
      expect(await createPendingStore(home).get('canary-state')).toMatchObject({ outcome: 'completed' })
    })

    test('the key of a client is kept with its sessions', async () => {
      const home = await filled(mode)
      const [clientId, jwk] = ['https://app.example.com/client.json', { ...KEY, kid: 'one' }]
      await sessionsOf(home).keepClientKey!(clientId, jwk)
      await sessionsOf(home).keepClientKey!(clientId, { ...jwk, kid: 'other' })
      expect(await textOf(home)).not.toMatch(/canary/)
      const read = (id: string, kid: string) => sessionsOf(home).clientKey!(id, { kid, thumbprint: '' })
      expect(await read(clientId, 'one')).toStrictEqual(jwk)
      expect([await read(clientId, 'third'), await read('https://b.example.com', 'one')]).toStrictEqual([
        undefined,
        undefined,
      ])
    })

    test('a session that could not be written is encrypted where it is kept', async () => {
      const [home, elsewhere] = [await tempFolder(), await tempFolder()]
      await encryptStore(home, mode)
      const options = { holdSignals: <T>(work: () => Promise<T>) => work(), elsewhere: [elsewhere] }
      const saveTimes = { nowhere: 1, elsewhere: 1 }
      const sessions = createSessionStore(home, { ...options, saveTimes })
      const path = join(home, 'sessions')
      const failed = await failure(
        sessions.update(THUMBPRINT, async ({ commit }) => {
          await commit(sessionRecord({ intent: { tokenHash: 'hash', at: 1 } }))
          await cp(path, `${path}-away`, { recursive: true })
          await rm(path, { recursive: true })
          await writeFile(path, 'in the way')
          await commit(sessionRecord({ refreshToken: 'canary-next', rotation: 1 }))
        }),
      )
      expect(failed).toMatchObject({ code: 'SAVE_FAILED', facts: { reason: 'session-elsewhere' } })
      expect(await textOf(elsewhere)).toMatch(/^eyJ/)
      expect(await textOf(elsewhere)).not.toMatch(/canary/)
      await rm(path)
      expect(await createSessionStore(home, options).list()).toMatchObject([{ refreshToken: 'canary-next' }])
    })
  })
}

test('without encryption there is no file about it, and nothing is asked', async () => {
  const home = await tempFolder()
  asNewProcess(home, NEVER)
  await store(home)
  await sessionsOf(home).keepClientKey!('https://app.example.com/client.json', { ...KEY, kid: 'one' })
  expect(await storeEncryption(home)).toBe('off')
  expect(await textOf(home)).toMatch(/canary-refresh/)
  expect(await readdir(home)).toStrictEqual(['locks', 'sessions'])
})

describe('a store that cannot be unlocked', () => {
  const cases = [
    ['no passphrase', 'store-key-missing', async () => undefined],
    ['a wrong passphrase', 'store-key-wrong', async () => 'wrong'],
  ] as const

  test.each(cases)('with %s: nothing is changed, and nothing is taken for missing', async (_, reason, passphrase) => {
    const home = await filled('passphrase')
    const before = await textOf(home)
    asNewProcess(home, { passphrase })
    const attempts = [
      () => sessionsOf(home).list(),
      () => sessionsOf(home).read(THUMBPRINT),
      () => store(home),
      () => createPendingStore(home).prepare(),
      () => createPendingStore(home).get('canary-state'),
      () => createPendingStore(home).list!(),
      () => createPendingStore(home).claim(SPENT),
      () => createPendingStore(home).put(pendingRecord({ state: 'new' })),
      () => readKnownVault(home),
      () => writeKnownVault(home, { address: 'redis://x.dev', key: VAULT_KEY }),
      () => changeStoreEncryption(home, 'off', {}),
      () => changeStoreEncryption(home, 'passphrase', { passphrase: 'another passphrase', cost: CHEAP }),
    ]
    for (const attempt of attempts) {
      const error = await failure(attempt())
      expect(error).toMatchObject({ code: 'STORE_LOCKED', session: 'alive', facts: { reason } })
      expect(shown(error)).not.toMatch(/canary|correct horse/)
    }
    const locks = /"released"\n?/g
    expect((await textOf(home)).replace(locks, '')).toBe(before.replace(locks, ''))
    asNewProcess(home, { passphrase: async () => PASSPHRASE })
    expect(await sessionsOf(home).list()).toMatchObject([sessionRecord()])
  })

  test('a session that can be read does not hide one that is locked', async () => {
    const home = await filled('passphrase')
    const key = { ...KEY, x: KEY.y, y: KEY.x }
    const plain = sessionRecord({ thumbprint: thumbprintOf(key), dpopPrivateJwk: key })
    const elsewhere = await tempFolder()
    asNewProcess(elsewhere, NEVER)
    await sessionsOf(elsewhere).update(plain.thumbprint, ({ commit }) => commit(plain))
    await cp(join(elsewhere, 'sessions'), join(home, 'sessions'), { recursive: true })
    expect(await sessionsOf(home).list()).toHaveLength(2)
    asNewProcess(home, {})
    expect(await failure(sessionsOf(home).list())).toMatchObject({ code: 'STORE_LOCKED' })
  })

  test('a failed attempt is made again, and a key is asked for once', async () => {
    const home = await filled('passphrase')
    let asked = 0
    asNewProcess(home, { passphrase: async () => (++asked === 1 ? 'wrong' : PASSPHRASE) })
    await failure(sessionsOf(home).list())
    await Promise.all([sessionsOf(home).list(), readKnownVault(home), createPendingStore(home).get('canary-state')])
    expect(asked).toBe(2)
  })

  test('the key is asked for without the lock of the session, and while signals still end the process', async () => {
    const home = await filled('passphrase')
    const other = thumbprintOf({ ...KEY, x: KEY.y, y: KEY.x })
    let isHeld = false
    const passphrase = vi.fn(async () => {
      expect(isHeld).toBe(false)
      expect(await listFolder(lockFolder(home, other))).toStrictEqual([])
      return PASSPHRASE
    })
    asNewProcess(home, { passphrase })
    const holdSignals: SignalHold = (work) => {
      isHeld = true
      return work()
    }
    await createSessionStore(home, { holdSignals, elsewhere: [] }).update(other, async () => undefined)
    expect(passphrase).toHaveBeenCalledOnce()
  })

  test('once a process has the key, a keychain that is locked then does not matter', async () => {
    const home = await tempFolder()
    const { keychain } = await encryptStore(home, 'keychain')
    await sessionsOf(home).update(THUMBPRINT, async ({ commit }) => {
      await commit(sessionRecord({ intent: { tokenHash: 'hash', at: 1 } }))
      Object.assign(await keychain(), { isLocked: true })
      await commit(sessionRecord({ rotation: 1 }))
    })
    expect(await sessionsOf(home).list()).toMatchObject([{ rotation: 1 }])
    asNewProcess(home, { keychain })
    expect(await failure(sessionsOf(home).list())).toMatchObject({ facts: { reason: 'keychain-locked' } })
  })
})

describe('a file that was changed', () => {
  test('one that is copied over another is not read', async () => {
    const home = await filled('passphrase')
    const folder = join(home, 'pending')
    const [one, other] = await readdir(folder)
    await cp(join(folder, one!), join(folder, other!))
    const logins = createPendingStore(home)
    const results = await Promise.allSettled(['canary-state', 'another'].map((state) => logins.get(state)))
    expect(results.map(({ status }) => status).sort()).toStrictEqual(['fulfilled', 'rejected'])
    await cp(join(folder, one!), join(home, 'sessions', `${THUMBPRINT}.json`))
    expect(await failure(sessionsOf(home).read(THUMBPRINT))).toMatchObject({
      code: 'STORE_INVALID',
      facts: { reason: 'record-damaged', kind: 'sessions' },
    })
  })

  test('each character is authenticated', async () => {
    const home = await filled('passphrase')
    const path = join(home, 'sessions', `${THUMBPRINT}.json`)
    const text = await readFile(path, 'utf8')
    for (const at of [30, text.indexOf('..') + 4, text.length - 40, text.length - 6]) {
      await writeFile(path, text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1))
      expect(await failure(sessionsOf(home).read(THUMBPRINT)), String(at)).toMatchObject({ code: 'STORE_INVALID' })
    }
  })

  test('without store-encryption.json nothing can be read, and nothing is written in plain text over it', async () => {
    const home = await filled('passphrase')
    await rm(join(home, 'store-encryption.json'))
    asNewProcess(home, NEVER)
    const expected = { code: 'STORE_INVALID', facts: { reason: 'store-encryption-foreign' } }
    expect(await failure(sessionsOf(home).list())).toMatchObject(expected)
    expect(await failure(store(home))).toMatchObject(expected)
  })

  test('without store-encryption.json nothing else is written in plain text either, and no other key is made', async () => {
    const home = await filled('passphrase')
    const path = join(home, 'store-encryption.json')
    const header = await readFile(path, 'utf8')
    const files = await readdir(home, { recursive: true })
    await rm(path)
    asNewProcess(home, NEVER)
    const expected = { code: 'STORE_INVALID', facts: { reason: 'store-encryption-foreign' } }
    const other = { ...KEY, x: KEY.y, y: KEY.x }
    const next = sessionRecord({ thumbprint: thumbprintOf(other), dpopPrivateJwk: other })
    const work = [
      () => sessionsOf(home).update(next.thumbprint, ({ commit }) => commit(next)),
      () => createPendingStore(home).prepare(),
      () => writeKnownVault(home, { address: 'redis://vault.example.com', key: 'k'.repeat(43) }),
      ...(['passphrase', 'off'] as const).map(
        (mode) => () => changeStoreEncryption(home, mode, { passphrase: PASSPHRASE, cost: CHEAP }),
      ),
    ]
    for (const each of work) expect(await failure(each()), String(each)).toMatchObject(expected)
    const [sessions, logins] = [await readdir(join(home, 'sessions')), await readdir(join(home, 'pending'))]
    expect([...sessions, ...logins].sort()).toStrictEqual(
      files
        .filter((file) => /^(?:sessions|pending)\//.test(file))
        .map((file) => file.replace(/^.*\//, ''))
        .sort(),
    )

    await writeFile(path, header)
    asNewProcess(home, { passphrase: async () => PASSPHRASE })
    expect(await sessionsOf(home).list()).toHaveLength(1)
  })

  test('with the store-encryption.json of another store, a change says what it cannot read', async () => {
    const [home, another] = [await filled('passphrase'), await filled('passphrase')]
    await cp(join(another, 'store-encryption.json'), join(home, 'store-encryption.json'))
    asNewProcess(home, { passphrase: async () => PASSPHRASE })
    const changing = changeStoreEncryption(home, 'passphrase', { passphrase: PASSPHRASE, cost: CHEAP, elsewhere: [] })
    expect(await failure(changing)).toMatchObject({
      code: 'STORE_INVALID',
      facts: { reason: 'store-encryption-foreign' },
    })
  })

  test('one kind of encrypted file is enough for that', async () => {
    for (const kept of ['sessions', 'pending', 'vault.json']) {
      const home = await filled('passphrase')
      for (const name of ['sessions', 'pending', 'vault.json', 'store-encryption.json']) {
        if (name !== kept) await rm(join(home, name), { recursive: true, force: true })
      }
      asNewProcess(home, NEVER)
      expect(await failure(createPendingStore(home).prepare()), kept).toMatchObject({ code: 'STORE_INVALID' })
    }
  })

  test('an encrypted login that a killed process has left keeps nobody from a store in plain text', async () => {
    const [home, another] = [await tempFolder(), await filled('passphrase')]
    await store(home)
    await cp(join(another, 'pending'), join(home, 'pending'), { recursive: true })
    asNewProcess(home, NEVER)
    await store(home, { rotation: 1 })
    expect((await storeCipher(home).sealer()).isEncrypted).toBe(false)
  })

  test('a store that is being encrypted at this moment is not taken for one whose store-encryption.json was lost', async () => {
    const home = await filled('passphrase')
    const path = join(home, 'store-encryption.json')
    const header = await readFile(path, 'utf8')
    await rm(path)
    // Asked for when the file was found missing, and before the others are looked at.
    const setting = () => void writeFileSync(path, header)
    asNewProcess(home, { passphrase: async () => PASSPHRASE, setting })
    expect((await storeCipher(home).sealer()).isEncrypted).toBe(true)
  })

  test.each([
    ['not JSON', () => '{', 'damaged'],
    ['of a newer version', (header: object) => JSON.stringify({ ...header, version: 2 }), 'newer'],
    ['with costs that no machine has', costs({ N: 2 ** 24 }), 'damaged'],
    ['with passes that take a minute', costs({ N: 2 ** 18, r: 16, p: 2 }), 'damaged'],
    ['with costs that are no numbers of scrypt', costs({ N: 1000 }), 'damaged'],
    ['with costs below those of scrypt', costs({ r: 0 }), 'damaged'],
  ])('store-encryption.json that is %s is rejected before anything is asked', async (_, changed, reason) => {
    const home = await filled('passphrase')
    const path = join(home, 'store-encryption.json')
    await writeFile(path, changed(JSON.parse(await readFile(path, 'utf8'))))
    asNewProcess(home, NEVER)
    const expected = { code: 'STORE_INVALID', facts: { reason: `store-encryption-${reason}` } }
    expect(await failure(sessionsOf(home).list())).toMatchObject(expected)
    expect(await failure(store(home))).toMatchObject(expected)
  })
})

describe('a store that is not encrypted as its user has set it', () => {
  const SETTING = { mode: 'keychain', path: '/settings/config.json' } as const
  const header = (home: string) => join(home, 'store-encryption.json')
  const edited = async (home: string, change: (header: object) => object | undefined) => {
    const changed = change(JSON.parse(await readFile(header(home), 'utf8')))
    if (changed === undefined) await rm(header(home))
    else await writeFile(header(home), JSON.stringify(changed))
  }
  /** Writes of every kind, before anything is sent. */
  const work = (home: string) => [
    () => store(home, { rotation: 1 }),
    () => createPendingStore(home).prepare(),
    async () => {
      const logins = createPendingStore(home)
      expect(await logins.claim(SPENT)).toBe(true)
      await logins.put(SPENT)
    },
    () => writeKnownVault(home, { address: 'redis://vault.example.com', key: VAULT_KEY }),
    () => sessionsOf(home).keepClientKey!('https://app.example.com/client.json', { ...KEY, kid: 'one' }),
  ]

  test.each([
    ['edited to off', (found: object) => ({ ...found, mode: 'off' })],
    ['edited to off, as if a change had begun', (found: object) => ({ ...found, mode: 'off', isChanging: true })],
  ])('store-encryption.json that was %s: nothing is written, and the setting repairs it', async (_, change) => {
    const home = await tempFolder()
    const unlock = { ...(await encryptStore(home, 'keychain')), setting: () => SETTING }
    await store(home)
    await createPendingStore(home).put(pendingRecord())
    await edited(home, change)
    asNewProcess(home, { ...NEVER, setting: () => SETTING })
    const stored = async () => (await textOf(home)).replaceAll(/^.*"released"\n*/gm, '')
    const before = await stored()
    for (const each of work(home)) {
      expect(await failure(each()), String(each)).toMatchObject({
        code: 'STORE_INVALID',
        message: 'the store is not encrypted, but encrypt-store in /settings/config.json is keychain; nothing was sent',
        facts: { reason: 'store-encryption-differs', mode: 'keychain' },
      })
    }
    expect(await stored()).toBe(before)
    asNewProcess(home, unlock)
    await changeStoreEncryption(home, 'keychain', { keychain: await unlock.keychain(), elsewhere: [] })
    for (const each of work(home)) await each()
    expect(/canary-(?!state)/.test(await textOf(home))).toBe(false)
  })

  test('one that was encrypted in another way when it was saved to a backup', async () => {
    const home = await tempFolder()
    const unlock = await encryptStore(home, 'passphrase')
    await store(home)
    const backup = await readFile(header(home), 'utf8')
    await changeStoreEncryption(home, 'keychain', { keychain: await unlock.keychain(), elsewhere: [] })
    await writeFile(header(home), backup)
    asNewProcess(home, { ...NEVER, setting: () => SETTING })
    expect(await failure(store(home))).toMatchObject({
      message: expect.stringContaining('the store is encrypted with a passphrase, but'),
      facts: { reason: 'store-encryption-differs' },
    })
  })

  test('one that was restored whole, from before it was encrypted, or is empty', async () => {
    for (const fill of [async () => undefined, store]) {
      const home = await tempFolder()
      await fill(home)
      asNewProcess(home, { ...NEVER, setting: () => SETTING })
      expect(await failure(createPendingStore(home).prepare())).toMatchObject({ code: 'STORE_INVALID' })
      expect(await failure(storeCipher(home).assertAsSet())).toMatchObject({ code: 'STORE_INVALID' })
    }
  })

  test('an older store-encryption.json, with an older key: nothing new is encrypted with it', async () => {
    const home = await tempFolder()
    const unlock = await encryptStore(home, 'passphrase')
    const older = await readFile(header(home), 'utf8')
    await rm(header(home))
    await encryptStore(home, 'passphrase')
    await store(home)
    await writeFile(header(home), older)
    asNewProcess(home, { ...unlock, setting: () => ({ ...SETTING, mode: 'passphrase' }) })
    expect(await failure(createPendingStore(home).prepare())).toMatchObject({
      facts: { reason: 'store-encryption-foreign' },
    })
  })

  test('a file of another store beside those of this one keeps nothing from being written', async () => {
    const [home, another] = [await filled('passphrase'), await filled('passphrase')]
    await cp(join(another, 'sessions'), join(home, 'sessions'), { recursive: true })
    asNewProcess(home, { passphrase: async () => PASSPHRASE })
    await createPendingStore(home).put(pendingRecord())
  })

  test('what is stricter than the setting is used; what was begun is finished', async () => {
    const home = await filled('passphrase')
    asNewProcess(home, { passphrase: async () => PASSPHRASE, setting: () => ({ ...SETTING, mode: 'off' }) })
    await store(home, { rotation: 1 })
    expect(await textOf(home)).not.toMatch(/canary/)
    asNewProcess(home, { passphrase: async () => PASSPHRASE, setting: () => SETTING })
    await edited(home, (found) => ({ ...found, isChanging: true }))
    await store(home, { rotation: 2 })
    await edited(home, (found) => ({ ...found, mode: 'off' }))
    expect(await storeCipher(home).sealer({ isBegun: true })).toMatchObject({ isEncrypted: false })
  })

  test('a change that ends between two looks is no difference', async () => {
    const home = await tempFolder()
    const unlock = await encryptStore(home, 'keychain')
    const text = await readFile(header(home), 'utf8')
    await rm(header(home))
    let isRestored = false
    const setting = () => {
      // Another process has finished, after this one has read the file.
      if (!isRestored) writeFileSync(header(home), text)
      isRestored = true
      return SETTING
    }
    asNewProcess(home, { ...unlock, setting })
    expect((await storeCipher(home).sealer()).isEncrypted).toBe(true)
    isRestored = false
    await rm(header(home))
    await storeCipher(home).assertAsSet()
  })

  test('a mode that is not that of its key is an edited file', async () => {
    const home = await filled('passphrase')
    await edited(home, (found) => ({ ...found, mode: 'keychain' }))
    asNewProcess(home, NEVER)
    expect(await failure(store(home))).toMatchObject({ facts: { reason: 'store-encryption-damaged' } })
  })
})

function costs(changes: object) {
  return (header: { lock?: object }) => JSON.stringify({ ...header, lock: { ...header.lock, ...changes } })
}

test('a passphrase is stretched, whatever the spelling of its letters, and its costs are in the file', async () => {
  const home = await tempFolder()
  await changeStoreEncryption(home, 'passphrase', { passphrase: 'pa\u0308ssphrase long', elsewhere: [] })
  expect((await readEncryption(home))?.lock).toMatchObject({ by: 'passphrase', ...SCRYPT_COST })
  asNewProcess(home, { passphrase: async () => 'p\u00e4ssphrase long' })
  await store(home)
})

test.each([
  ['base64', randomBytes(32).toString('base64'), GENERATED_COST],
  ['hex', randomBytes(32).toString('hex'), GENERATED_COST],
  ['another length', randomBytes(33).toString('base64'), SCRYPT_COST],
  ['letters without the end of base64', 'x'.repeat(43), SCRYPT_COST],
])('a generated key of 32 bytes costs little to use: %s', async (_, passphrase, cost) => {
  const home = await tempFolder()
  await changeStoreEncryption(home, 'passphrase', { passphrase, elsewhere: [] })
  expect((await readEncryption(home))?.lock).toMatchObject(cost)
  asNewProcess(home, { passphrase: async () => passphrase })
  await store(home)
})

test('a short passphrase is rejected', async () => {
  const home = await tempFolder()
  const error = await failure(changeStoreEncryption(home, 'passphrase', { passphrase: 'short' }))
  expect(error).toMatchObject({ code: 'USAGE' })
  expect(await readdir(home)).toStrictEqual([])
})

test('a state file is for another machine, and never encrypted', async () => {
  const home = await filled('passphrase')
  const path = join(home, 'login.json')
  await createStateFileStore(path).put(pendingRecord())
  expect(await readFile(path, 'utf8')).toMatch(/canary-verifier/)
  expect(await PLAIN.open('text', '', path)).toBe('text')
  expect(storeCipher(home)).toBe(storeCipher(`${home}/.`))
})

test('the entry of a keychain has a name that no program takes for an option', async () => {
  const keychain = { kind: 'secret-service' } as Keychain
  for (let count = 0; count < 1000; count += 1) {
    const { lock } = await lockWithKeychain(randomBytes(32), keychain)
    expect(lock.id).toMatch(/^[0-9a-f]{32}$/)
  }
})
