import { mkdir, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { withLock } from '../../../src/node/store/lock.ts'
import { createPendingStore, createStateFileStore } from '../../../src/node/store/logins.ts'
import { lockFolder } from '../../../src/node/store/parts.ts'
import { createSessionStore } from '../../../src/node/store/sessions.ts'
import { failure } from '../../support/failure.ts'
import { KEY, pendingRecord, sessionRecord, shown, THUMBPRINT, tempFolder, thumbprintOf } from '../helpers.ts'

const EIGHT_DAYS_AGO = new Date(Date.now() - 8 * 24 * 3600 * 1000)
const SPENT = { version: 1, status: 'spent', state: 'canary-state', codeHash: 'h', outcome: 'sent', at: 1 } as const
const HOSTILE_STATES = ['../../etc/passwd', '/etc/passwd', 'con', '..', '', 'a/b', 'nul\0', 'x'.repeat(1_000_000)]
const mode = async (path: string) => (await stat(path)).mode & 0o777

describe('pending authorizations of this machine', () => {
  test('credentials that were received and not delivered stay, however old', async () => {
    const home = await tempFolder()
    const store = createPendingStore(home)
    const { did, dpopPrivateJwk, pds } = sessionRecord()
    const credentials = { did, dpopPrivateJwk, server: pds }
    const received = { ...SPENT, status: 'received', did, requestedScope: 'a', credentials } as const
    const { outcome: _, ...record } = received
    await store.put(record)
    const [file] = await readdir(join(home, 'pending'))
    await utimes(join(home, 'pending', file!), EIGHT_DAYS_AGO, EIGHT_DAYS_AGO)
    await store.put(pendingRecord({ state: 'another' }))
    expect(await store.get(SPENT.state)).toMatchObject({ status: 'received' })
  })

  test('credentials that were received are stored at once, whoever has the lock', async () => {
    const home = await tempFolder()
    const store = createPendingStore(home)
    await store.put(pendingRecord())
    await store.claim(SPENT)
    const { outcome: _, ...record } = SPENT
    const { did, dpopPrivateJwk, pds } = sessionRecord()
    const credentials = { did, dpopPrivateJwk, server: pds }
    await withLock(lockFolder(home, 'logins'), () =>
      store.put({ ...record, status: 'received', did, requestedScope: 'a', credentials }),
    )
    expect(await store.get(SPENT.state)).toMatchObject({ status: 'received', credentials })
  })

  test('one file each, found by its state alone', async () => {
    const store = createPendingStore(await tempFolder())
    const records = ['one', 'two', 'three'].map((state) => pendingRecord({ state }))
    for (const record of records) await store.put(record)
    for (const record of records) expect(await store.get(record.state)).toStrictEqual(record)
    expect(await store.get('four')).toBeUndefined()
  })

  test('6.7 the record of the same state is replaced', async () => {
    const store = createPendingStore(await tempFolder())
    await store.put(pendingRecord())
    await store.put(SPENT)
    expect(await store.get('canary-state')).toStrictEqual(SPENT)
  })

  test('the server of received credentials is stored under the name that it has in a bundle', async () => {
    const home = await tempFolder()
    const store = createPendingStore(home)
    const { did, dpopPrivateJwk, pds } = sessionRecord()
    const credentials = { did, dpopPrivateJwk, server: pds }
    const { state, codeHash, at } = SPENT
    const record = {
      version: 1,
      status: 'received',
      state,
      codeHash,
      did,
      requestedScope: 'a',
      credentials,
      at,
    } as const
    await store.put(record)
    const [file] = await readdir(join(home, 'pending'))
    const stored = JSON.parse(await readFile(join(home, 'pending', file!), 'utf8'))
    expect(stored.credentials).toStrictEqual({ did, dpopPrivateJwk, pdsIssuer: pds })
    expect(await store.get(state)).toStrictEqual(record)
  })

  test.each(HOSTILE_STATES)('6.9 a state of the browser’s names no file: %#', async (state) => {
    const home = await tempFolder()
    const store = createPendingStore(join(home, 'inner'))
    expect(await store.get(state)).toBeUndefined()
    await store.put(pendingRecord({ state }))
    expect(await store.get(state)).toMatchObject({ state })
    expect(await readdir(home)).toStrictEqual(['inner'])
    expect(await readdir(join(home, 'inner'))).toStrictEqual(['locks', 'pending'])
    expect(await readdir(join(home, 'inner', 'pending'))).toStrictEqual([expect.stringMatching(/^[0-9a-f]{64}\.json$/)])
  })

  test('a file that was copied over another belongs to neither', async () => {
    const home = await tempFolder()
    const store = createPendingStore(home)
    await store.put(pendingRecord({ state: 'one' }))
    const [one] = await readdir(join(home, 'pending'))
    await store.put(pendingRecord({ state: 'two' }))
    await writeFile(join(home, 'pending', one!), JSON.stringify(pendingRecord({ state: 'two' })))
    expect(await store.get('one')).toBeUndefined()
  })

  test('20.5 private', async () => {
    const home = await tempFolder()
    await createPendingStore(home).put(pendingRecord())
    const [name] = await readdir(join(home, 'pending'))
    expect(await mode(join(home, 'pending'))).toBe(0o700)
    expect(await mode(join(home, 'pending', name!))).toBe(0o600)
  })

  test('6.8 what nobody came back for is removed after a week, and nothing else', async () => {
    const home = await tempFolder()
    const store = createPendingStore(home)
    await store.put(pendingRecord({ state: 'old' }))
    const [old] = await readdir(join(home, 'pending'))
    await store.put(pendingRecord({ state: 'young' }))
    await mkdir(join(home, 'pending', 'folder'))
    for (const name of [old!, 'folder']) await utimes(join(home, 'pending', name), EIGHT_DAYS_AGO, EIGHT_DAYS_AGO)
    await store.put(pendingRecord({ state: 'new' }))
    expect(await store.get('old')).toBeUndefined()
    expect(await store.get('young')).toBeDefined()
    expect(await readdir(join(home, 'pending'))).toHaveLength(3)
  })
})

describe('--state-file', () => {
  test('may be moved', async () => {
    const home = await tempFolder()
    await createStateFileStore(join(home, 'a.json')).put(pendingRecord())
    await writeFile(join(home, 'b.json'), await readFile(join(home, 'a.json')))
    expect(await createStateFileStore(join(home, 'b.json')).get('canary-state')).toStrictEqual(pendingRecord())
    expect(await createStateFileStore(join(home, 'b.json')).get('another')).toBeUndefined()
    expect(await mode(join(home, 'a.json'))).toBe(0o600)
  })

  test.each([
    ['an older login', JSON.stringify(pendingRecord({ state: 'older' }))],
    ['an empty file, as mktemp makes it', ''],
  ])('%s is replaced', async (_, before) => {
    const path = join(await tempFolder(), 'state.json')
    await writeFile(path, before)
    await createStateFileStore(path).put(pendingRecord())
    expect(await createStateFileStore(path).get('canary-state')).toStrictEqual(pendingRecord())
    expect(await mode(path)).toBe(0o600)
  })

  test.each(['KEY=canary\n', '{"name":"canary"}', ' ', JSON.stringify(sessionRecord())])(
    'what is not ours is not overwritten: %#',
    async (text) => {
      const path = join(await tempFolder(), 'state.json')
      await writeFile(path, text)
      const error = await failure(createStateFileStore(path).put(pendingRecord()))
      expect(error).toMatchObject({ code: 'STORE_INVALID' })
      expect(shown(error)).not.toContain('canary')
      expect(await readFile(path, 'utf8')).toBe(text)
    },
  )

  test('a link is refused, its target untouched', async () => {
    const home = await tempFolder()
    await writeFile(join(home, 'target'), '')
    await symlink(join(home, 'target'), join(home, 'state.json'))
    const store = createStateFileStore(join(home, 'state.json'))
    for (const attempt of [() => store.put(pendingRecord()), () => store.get('canary-state')]) {
      expect(await failure(attempt())).toMatchObject({ code: 'STORE_INVALID' })
    }
    expect(await readFile(join(home, 'target'), 'utf8')).toBe('')
  })

  test('none there: named', async () => {
    const path = join(await tempFolder(), 'state.json')
    const error = await failure(createStateFileStore(path).get('canary-state'))
    expect(error).toMatchObject({ code: 'STORE_UNAVAILABLE', facts: { reason: 'state-file-missing' } })
    expect(error.message).toContain(path)
  })
})

describe('sessions, read', () => {
  const store = (home: string) => createSessionStore(home, { holdSignals: (work) => work() })
  const put = (home: string, record = sessionRecord()) =>
    store(home).update(record.thumbprint, ({ commit }) => commit(record))
  const other = { ...KEY, x: 'A'.repeat(43) }
  const otherRecord = sessionRecord({ dpopPrivateJwk: other, thumbprint: thumbprintOf(other) })

  test('none at first, then what was committed, in private files', async () => {
    const home = await tempFolder()
    expect(await store(home).read(THUMBPRINT)).toBeUndefined()
    expect(await store(home).list()).toStrictEqual([])
    await put(home)
    await put(home, otherRecord)
    expect(await store(home).read(THUMBPRINT)).toStrictEqual(sessionRecord())
    expect(await store(home).list()).toHaveLength(2)
    const path = join(home, 'sessions', `${THUMBPRINT}.json`)
    expect([await mode(path), await mode(join(home, 'sessions'))]).toStrictEqual([0o600, 0o700])
  })

  test('what else is in the folder is no session', async () => {
    const home = await tempFolder()
    await put(home)
    for (const name of ['.uuid.tmp', 'notes.txt', 'short.json']) await writeFile(join(home, 'sessions', name), 'x')
    expect(await store(home).list()).toHaveLength(1)
  })

  test('20.7 swapped files are rejected by read and update, and omitted by list', async () => {
    const home = await tempFolder()
    await put(home)
    await put(home, otherRecord)
    const path = join(home, 'sessions', `${THUMBPRINT}.json`)
    await writeFile(path, await readFile(join(home, 'sessions', `${otherRecord.thumbprint}.json`)))
    for (const attempt of [() => store(home).read(THUMBPRINT), () => put(home)]) {
      const error = await failure(attempt())
      expect(error).toMatchObject({ code: 'STORE_INVALID' })
      expect(error.message).toContain(path)
      expect(shown(error)).not.toContain('canary')
    }
    expect(await store(home).list()).toMatchObject([{ thumbprint: otherRecord.thumbprint }])
  })

  test('a damaged file does not hide the other sessions; alone, it is reported', async () => {
    const home = await tempFolder()
    await put(home)
    await writeFile(join(home, 'sessions', `${THUMBPRINT}.json`), '{')
    expect(await failure(store(home).list())).toMatchObject({ code: 'STORE_INVALID' })
    await put(home, otherRecord)
    expect(await store(home).list()).toHaveLength(1)
  })

  test.each(['../escape', '', 'A'.repeat(42), `${'A'.repeat(42)}/`])('%j is no thumbprint', async (name) => {
    const { read, update, readNonces } = store(await tempFolder())
    for (const run of [() => read(name), () => readNonces(name), async () => update(name, async () => 1)]) {
      await expect(run()).rejects.toThrow(TypeError)
    }
  })

  test('nonces: kept beside, and never worth a failure', async () => {
    const home = await tempFolder()
    expect(await store(home).readNonces(THUMBPRINT)).toStrictEqual({})
    await store(home).writeNonces(THUMBPRINT, { 'https://pds.example.com': 'n' })
    expect(await store(home).readNonces(THUMBPRINT)).toStrictEqual({ 'https://pds.example.com': 'n' })
    const path = join(home, 'nonces', `${THUMBPRINT}.json`)
    expect(await mode(path)).toBe(0o600)
    await rm(path)
    await mkdir(path)
    expect(await store(home).readNonces(THUMBPRINT)).toStrictEqual({})
  })
})
