/** A change of the store's encryption, and a refresh in an encrypted store, on a disk that is really full. */
import { expect, test } from 'vitest'
import {
  hasTinyDisk,
  KEY,
  onTinyDisk,
  pendingRecord,
  sessionRecord,
  startNode,
  tempFolder,
  thumbprintOf,
} from '../helpers.ts'

const OTHER_KEY = { ...KEY, x: KEY.y, y: KEY.x }
const RECORDS = [sessionRecord(), sessionRecord({ thumbprint: thumbprintOf(OTHER_KEY), dpopPrivateJwk: OTHER_KEY })]
const LOGINS = ['one', 'two', 'three'].map((state) => pendingRecord({ state }))
/** Pages that are free: from none, where not even a lock can be taken, to enough. */
const LARGEST = 40
/** A part is enough for every run: CI tries more once. */
const STRIDE = process.env['ATPROTO_OAUTH_TEST_THOROUGH'] === undefined ? 13 : 3

const PRELUDE = `
  import { appendFile, mkdir, rm, truncate, stat } from 'node:fs/promises'
  const { changeStoreEncryption, storeEncryption } = await import(process.env.SRC + 'node/store/change-encryption.ts')
  const { createSessionStore } = await import(process.env.SRC + 'node/store/sessions.ts')
  const { createPendingStore } = await import(process.env.SRC + 'node/store/logins.ts')
  const { changeConfig } = await import(process.env.SRC + 'node/config/write.ts')
  const { encryptionSetting } = await import(process.env.SRC + 'node/config/encryption.ts')
  const support = await import(process.env.SRC + '../test/support/store-encryption.ts')
  const [disk, records, logins, largest, stride] = [process.argv[1], ...process.argv.slice(2).map((text) => JSON.parse(text))]
  const passphrase = 'a passphrase for a disk'
  const filler = disk + '/filler'
  const fill = async (pages) => {
    await rm(filler, { force: true })
    await appendFile(filler, '')
    for (;;) { try { await appendFile(filler, 'x'.repeat(4096)) } catch { break } }
    const { size } = await stat(filler)
    await truncate(filler, Math.max(0, size - pages * 4096))
  }
  const place = async (home, mode) => {
    const keychain = support.memoryKeychain()
    const begin = () => support.asNewProcess(home, {
      passphrase: async () => passphrase, keychain: async () => keychain, setting: () => encryptionSetting(home),
    })
    begin()
    const sessions = createSessionStore(home, { holdSignals: (work) => work(), elsewhere: [] })
    const change = (to) => changeStoreEncryption(home, to, {
      keychain, passphrase, cost: support.CHEAP, elsewhere: [],
      saveSetting: () => changeConfig({ home, path: home + '/config.json' }, { 'encrypt-store': to }),
    })
    for (const record of records) await sessions.update(record.thumbprint, ({ commit }) => commit(record))
    for (const login of logins) await createPendingStore(home).put(login)
    await change(mode)
    const read = async () => {
      begin()
      const [stored, pending] = [await createSessionStore(home, { holdSignals: (work) => work(), elsewhere: [] }).list(), await createPendingStore(home).list()]
      return stored.length + pending.length
    }
    return { keychain, sessions, change, read }
  }`

test.runIf(hasTinyDisk())('a change that runs out of space loses nothing, and goes on when there is some', async () => {
  const home = await tempFolder()
  const code = `${PRELUDE}
  const modes = ['off', 'passphrase', 'keychain']
  for (const from of modes) for (const to of modes.filter((mode) => mode !== from)) {
    const ends = new Set()
    for (let pages = 0; pages < largest; pages += stride) {
      const home = disk + '/home'
      await mkdir(home)
      const { keychain, change, read } = await place(home, from)
      await fill(pages)
      const end = await change(to).then(() => 'done', (error) => error.code)
      const full = await read()
      await rm(filler)
      const { after } = await change(to)
      const state = [full, await read(), after, await storeEncryption(home), encryptionSetting(home).mode, keychain.entries.size]
      const wanted = [5, 5, to, to, to, to === 'keychain' ? 1 : 0]
      if (JSON.stringify(state) !== JSON.stringify(wanted)) console.log(from, to, pages, JSON.stringify(state))
      ends.add(end)
      await rm(home, { recursive: true })
    }
    console.log(from, to, [...ends].sort().join(' '))
  }`
  const args = [home, JSON.stringify(RECORDS), JSON.stringify(LOGINS), `${LARGEST}`, `${STRIDE}`]
  const { stdout, stderr } = await startNode(code, args, onTinyDisk(home)).ended
  expect(stderr).toBe('')
  expect(stdout.trimEnd().split('\n')).toStrictEqual(
    [
      'off passphrase',
      'off keychain',
      'passphrase off',
      'passphrase keychain',
      'keychain off',
      'keychain passphrase',
    ].map((change) => `${change} STORE_UNAVAILABLE done`),
  )
})

test.runIf(hasTinyDisk())(
  'a disk that fills up after the intent cannot keep the new token out of an encrypted store',
  async () => {
    const home = await tempFolder()
    const code = `${PRELUDE}
  const home = disk + '/home'
  await mkdir(home)
  const { sessions } = await place(home, 'keychain')
  const [record] = records
  await sessions.update(record.thumbprint, async ({ commit }) => {
    await commit({ ...record, intent: { tokenHash: 'h', at: 1 } })
    await fill(0)
    await commit({ ...record, refreshToken: 'next', rotation: 1 })
  })
  console.log((await sessions.read(record.thumbprint)).refreshToken)
  await fill(0)
  let entered = false
  const next = sessions.update(record.thumbprint, async () => { entered = true })
  console.log(await next.catch((error) => error.code), entered)`
    const { stdout, stderr } = await startNode(
      code,
      [home, JSON.stringify(RECORDS), JSON.stringify(LOGINS), '0', '1'],
      onTinyDisk(home),
    ).ended
    expect(stderr).toBe('')
    expect(stdout.split('\n')).toStrictEqual(['next', 'STORE_UNAVAILABLE false', ''])
  },
)
