/** `update`, the one door: what it promises when processes, disks and folders fail. */
import { chmod, mkdir, readdir, readFile, rename, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { SessionRecord } from '../../../src/model.ts'
import { serialize } from '../../../src/node/store/files.ts'
import { sealed } from '../../../src/node/store/records.ts'
import { createRescue } from '../../../src/node/store/rescue.ts'
import { createSessionStore } from '../../../src/node/store/sessions.ts'
import { createWitness } from '../../../src/node/store/witness.ts'
import { failure } from '../../support/failure.ts'
import { hasTinyDisk, onTinyDisk, sessionRecord, shown, startNode, THUMBPRINT, tempFolder, until } from '../helpers.ts'

const INTENT = { tokenHash: 'hash', at: 1 }
const impatient = (home: string) =>
  createSessionStore(home, { holdSignals: (work) => work(), saveTimes: { nowhere: 1, elsewhere: 1 } })
const store = (home: string) => createSessionStore(home, { holdSignals: (work) => work() })
const pathIn = (home: string) => join(home, 'sessions', `${THUMBPRINT}.json`)
const put = (home: string, record: SessionRecord) => store(home).update(THUMBPRINT, ({ commit }) => commit(record))

async function stored(home = ''): Promise<string> {
  const folder = home === '' ? await tempFolder() : home
  await put(folder, sessionRecord())
  return folder
}

describe('a transaction', () => {
  test('is given what is stored now, and its value comes out', async () => {
    const home = await tempFolder()
    expect(await store(home).update(THUMBPRINT, async ({ stored }) => stored)).toBeUndefined()
    await put(home, sessionRecord())
    expect(await store(home).update(THUMBPRINT, async ({ stored }) => stored)).toStrictEqual(sessionRecord())
  })

  test('each commit is there at once, for everybody', async () => {
    const home = await stored()
    await store(home).update(THUMBPRINT, async ({ commit }) => {
      await commit(sessionRecord({ intent: INTENT }))
      expect(await store(home).read(THUMBPRINT)).toMatchObject({ intent: INTENT })
      await commit(sessionRecord({ refreshToken: 'next' }))
      expect(await store(home).read(THUMBPRINT)).toStrictEqual(sessionRecord({ refreshToken: 'next' }))
    })
  })

  test('that forgets leaves nothing of the session, and may do so twice', async () => {
    const home = await stored()
    await store(home).writeNonces(THUMBPRINT, { 'https://pds.example.com': 'n' })
    for (let round = 0; round < 2; round += 1) await store(home).update(THUMBPRINT, ({ forget }) => forget())
    expect(await store(home).read(THUMBPRINT)).toBeUndefined()
    expect([await readdir(join(home, 'sessions')), await readdir(join(home, 'nonces'))]).toStrictEqual([[], []])
  })

  test('that fails changes nothing more, leaves nothing beside, and frees the lock', async () => {
    const home = await stored()
    const failing = store(home).update(THUMBPRINT, async ({ commit }) => {
      await commit(sessionRecord({ intent: INTENT }))
      throw new Error('no answer')
    })
    await expect(failing).rejects.toThrow('no answer')
    expect(await store(home).read(THUMBPRINT)).toMatchObject({ intent: INTENT })
    expect(await readdir(join(home, 'sessions'))).toStrictEqual([`${THUMBPRINT}.json`])
    await stored(home)
  })

  test('11.5 read, work and write of parallel ones do not mix', async () => {
    const home = await stored()
    const append = (name: string) =>
      store(home).update(THUMBPRINT, async ({ stored: current, commit }) => {
        await new Promise(setImmediate)
        await commit({ ...current!, spentTokens: [...current!.spentTokens, name] })
      })
    await Promise.all(['a', 'b', 'c', 'd', 'e'].map(append))
    const { spentTokens } = (await store(home).read(THUMBPRINT))!
    expect([...spentTokens].sort()).toStrictEqual(['a', 'b', 'c', 'd', 'e'])
  })

  test('11.7 all of it is inside the hold of signals, the wait for the lock is not', async () => {
    const home = await tempFolder()
    const events: string[] = []
    const { update } = createSessionStore(home, {
      async holdSignals(work) {
        events.push('hold')
        const result = await work()
        events.push('release')
        return result
      },
    })
    await Promise.all([
      update(THUMBPRINT, async ({ commit }) => commit(sessionRecord()).then(() => events.push('one'))),
      update(THUMBPRINT, async () => events.push('two')),
    ])
    expect(events.join(' ')).toMatch(/^hold (one|two) release hold (?!\1)(?:one|two) release$/)
  })

  test('what a killed process left beside goes after a day', async () => {
    const home = await stored()
    const left = join(home, 'sessions', '.left.tmp')
    await writeFile(left, 'canary')
    await utimes(left, new Date(0), new Date(0))
    await stored(home)
    expect(await readdir(join(home, 'sessions'))).toStrictEqual([`${THUMBPRINT}.json`])
  })
})

test.runIf(hasTinyDisk()).each([
  ['young', 0],
  ['renewed every hour for months', 4000],
])('a disk that fills up after the intent cannot keep the new token out: a session %s', async (_, renewals) => {
  const home = await tempFolder()
  const code = `
    import { appendFile, readdir } from 'node:fs/promises'
    const { createSessionStore } = await import(process.env.SRC + 'node/store/sessions.ts')
    const [home, text] = process.argv.slice(1)
    const record = JSON.parse(text)
    const store = createSessionStore(home, { holdSignals: (work) => work() })
    const fill = async () => { for (;;) await appendFile(home + '/filler', 'x'.repeat(512)) }
    await store.update(record.thumbprint, async ({ commit }) => {
      await commit({ ...record, intent: { tokenHash: 'h', at: 1 } })
      console.log(await fill().catch((error) => error.code))
      await commit({ ...record, refreshToken: 'next', spentTokens: [...record.spentTokens, 'one more'] })
    })
    console.log((await store.read(record.thumbprint)).refreshToken)
    await fill().catch(() => undefined)
    let entered = false
    const next = store.update(record.thumbprint, async () => { entered = true })
    console.log(await next.catch((error) => error.code + ' ' + error.message), entered)
    console.log((await store.read(record.thumbprint)).refreshToken, (await readdir(home + '/sessions')).length)`
  const spentTokens = Array.from({ length: renewals }, (_, at) => `hash-${at}`.padEnd(16, '-'))
  const args = [home, JSON.stringify(sessionRecord({ spentTokens }))]
  const { stdout, stderr } = await startNode(code, args, onTinyDisk(home)).ended
  expect(stderr).toBe('')
  expect(stdout.split('\n')).toStrictEqual([
    'ENOSPC',
    'next',
    expect.stringMatching(/^STORE_UNAVAILABLE cannot (?:write|lock) .*: no space left on device false$/),
    'next 1',
    '',
  ])
})

describe('another process has taken over while this one was suspended', () => {
  const theirs = sessionRecord({ refreshToken: 'theirs', rotation: 1 })
  /** As the process that took over leaves it. */
  const leave = (home: string, record: SessionRecord) => writeFile(pathIn(home), serialize(sealed(record)))

  test('before a token was sent: nothing is committed, and confirm says so', async () => {
    const home = await stored()
    const errors = await store(home).update(THUMBPRINT, async ({ commit, confirm }) => {
      await confirm()
      await leave(home, theirs)
      return [await failure(confirm()), await failure(commit(sessionRecord({ refreshToken: 'mine' })))]
    })
    for (const error of errors) {
      expect(error).toMatchObject({ code: 'SESSION_BUSY', session: 'alive', facts: { reason: 'lock-lost' } })
    }
    expect(await store(home).read(THUMBPRINT)).toStrictEqual(theirs)
  })

  test('after the new tokens were stored: it is not said that nothing was sent', async () => {
    const home = await stored()
    const error = await failure(
      store(home).update(THUMBPRINT, async ({ commit }) => {
        await commit(sessionRecord({ intent: INTENT }))
        await commit(sessionRecord({ refreshToken: 'mine', rotation: 1 }))
        await leave(home, theirs)
        await commit(sessionRecord({ refreshToken: 'mine', rotation: 1, savedTo: ['file:/x'] }))
      }),
    )
    expect(error).toMatchObject({ code: 'SESSION_BUSY', session: 'alive' })
    expect(error.message).toMatch(/; the new tokens were stored before that$/)
  })

  test.each([
    ['and got newer tokens: theirs stay', theirs, 'theirs'],
    [
      'and was told that the token is spent: ours are the newest',
      { ...theirs, ended: { at: 1, reason: 'replayed' } },
      'mine',
    ],
    ['and waits for its response: ours are the newest', { ...theirs, intent: INTENT }, 'mine'],
  ])('after a token was sent, %s', async (_, record, expected) => {
    const home = await stored()
    const attempt = store(home).update(THUMBPRINT, async ({ commit }) => {
      await commit(sessionRecord({ intent: INTENT }))
      await leave(home, record)
      await commit(sessionRecord({ refreshToken: 'mine', rotation: 1 }))
    })
    if (expected === 'theirs') expect(await failure(attempt)).toMatchObject({ code: 'SESSION_BUSY', session: 'alive' })
    else await attempt
    expect((await store(home).read(THUMBPRINT))?.refreshToken).toBe(expected)
  })
})

test('what is stored was damaged while a token was on its way: the new token is stored', async () => {
  const home = await stored()
  await store(home).update(THUMBPRINT, async ({ commit }) => {
    await commit(sessionRecord({ intent: INTENT }))
    await writeFile(pathIn(home), '{')
    await commit(sessionRecord({ refreshToken: 'mine', rotation: 1 }))
  })
  expect((await store(home).read(THUMBPRINT))?.refreshToken).toBe('mine')
})

test('a restored store stays one when its record is written again without a refresh', async () => {
  const [home, cache] = [await tempFolder(), await tempFolder()]
  const witness = createWitness(home, { cache, machine: async () => 'one' })
  const { update, assertNewest } = createSessionStore(home, { holdSignals: (work) => work(), witness })
  await update(THUMBPRINT, async ({ commit }) => {
    await commit(sessionRecord({ intent: INTENT }))
    await commit(sessionRecord({ refreshToken: 'next', rotation: 2 }))
  })
  const backup = sessionRecord({ rotation: 1 })
  await writeFile(pathIn(home), serialize(sealed(backup)))
  await update(THUMBPRINT, ({ commit }) => commit({ ...backup, savedTo: ['file:/x'] }))
  expect(await failure(assertNewest(backup))).toMatchObject({ code: 'SESSION_OUTDATED' })
})

describe('the folder is missing when the new token arrives', () => {
  /** One refresh, in the middle of which `harm` happens. */
  const refreshed = (home: string, harm: () => Promise<unknown>) =>
    impatient(home).update(THUMBPRINT, async ({ commit }) => {
      await commit(sessionRecord({ intent: INTENT }))
      await harm()
      await commit(sessionRecord({ refreshToken: 'next', rotation: 1 }))
    })

  const NEXT = sessionRecord({ refreshToken: 'next', rotation: 1 })

  /** With a folder of its own for a session that cannot be written, and a refresh as above. */
  async function withElsewhere(harm: (home: string) => Promise<unknown>) {
    const [home, elsewhere] = [await stored(), await tempFolder()]
    const sessions = createSessionStore(home, { holdSignals: (work) => work(), elsewhere: [elsewhere] })
    await sessions.update(THUMBPRINT, async ({ commit }) => {
      await commit(sessionRecord({ intent: INTENT }))
      await harm(home)
      await commit(NEXT)
    })
    return { home, elsewhere, sessions }
  }

  test('the folder was removed: it is made again', async () => {
    const { home, elsewhere, sessions } = await withElsewhere((path) => rm(path, { recursive: true }))
    expect(JSON.parse(await readFile(pathIn(home), 'utf8'))).toMatchObject({ refreshToken: 'next' })
    expect(await sessions.update(THUMBPRINT, async ({ stored }) => stored)).toStrictEqual(NEXT)
    expect(await readdir(elsewhere)).toStrictEqual([])
  })

  test('the folder was away, such as that of a share: the session is found when it is back', async () => {
    const away = join(await tempFolder(), 'away')
    const { home, elsewhere, sessions } = await withElsewhere((path) => rename(path, away))
    await rm(home, { recursive: true })
    await rename(away, home)
    expect(await sessions.read(THUMBPRINT)).toStrictEqual(NEXT)
    expect(await sessions.update(THUMBPRINT, async ({ stored }) => stored)).toStrictEqual(NEXT)
    expect(JSON.parse(await readFile(pathIn(home), 'utf8'))).toMatchObject({ refreshToken: 'next' })
    expect(await readdir(elsewhere)).toStrictEqual([])
  })

  test('it cannot be written: the message says where the session is now', async () => {
    const home = await stored()
    const error = await failure(
      refreshed(home, async () => {
        await rm(pathIn(home))
        await mkdir(pathIn(home))
      }),
    )
    expect(error).toMatchObject({ code: 'SAVE_FAILED', session: 'alive' })
    expect(shown(error)).not.toContain('next')
    const [, elsewhere] = /is in (\S+)$/.exec(error.message)!
    expect(error.facts).toStrictEqual({ reason: 'session-elsewhere', from: elsewhere, to: pathIn(home) })
    expect((await stat(elsewhere!)).mode & 0o777).toBe(0o600)
    await rm(pathIn(home), { recursive: true })
    // Found by whoever looks, taken over by the next transaction, and then in no other place.
    const next = sessionRecord({ refreshToken: 'next', rotation: 1 })
    expect(await store(home).read(THUMBPRINT)).toStrictEqual(next)
    expect(await store(home).list()).toStrictEqual([next])
    expect(await store(home).update(THUMBPRINT, async ({ stored }) => stored)).toStrictEqual(next)
    await expect(stat(elsewhere!)).rejects.toThrow('ENOENT')
    expect(JSON.parse(await readFile(pathIn(home), 'utf8'))).toMatchObject({ refreshToken: 'next' })
    expect(await store(await tempFolder()).list()).toStrictEqual([])
  })

  test('the home has two names: what was rescued under one is found under the other', async () => {
    const [home, elsewhere] = [await stored(), await tempFolder()]
    const link = join(await tempFolder(), 'link')
    await symlink(home, link, 'junction')
    const named = (path: string) =>
      createSessionStore(path, {
        holdSignals: (work) => work(),
        elsewhere: [elsewhere],
        saveTimes: { nowhere: 1, elsewhere: 1 },
      })
    const rescued = named(link).update(THUMBPRINT, async ({ commit }) => {
      await commit(sessionRecord({ intent: INTENT }))
      await rename(join(home, 'sessions'), join(home, 'away'))
      await writeFile(join(home, 'sessions'), '')
      await commit(sessionRecord({ refreshToken: 'next', rotation: 1 }))
    })
    expect(await failure(rescued)).toMatchObject({ facts: { reason: 'session-elsewhere' } })
    await rm(join(home, 'sessions'))
    await rename(join(home, 'away'), join(home, 'sessions'))
    expect(await named(home).read(THUMBPRINT)).toMatchObject({ refreshToken: 'next' })
    expect(await named(home).update(THUMBPRINT, async ({ stored }) => stored)).toMatchObject({ refreshToken: 'next' })
    expect(await readdir(elsewhere)).toStrictEqual([])
  })

  test('what was rescued is older than what is stored: dropped', async () => {
    const home = await stored()
    const elsewhere = await tempFolder()
    const rescue = createRescue(home, [elsewhere])
    await rescue.write(THUMBPRINT, serialize(sealed(sessionRecord({ refreshToken: 'older' }))))
    const store = createSessionStore(home, { holdSignals: (work) => work(), elsewhere: [elsewhere] })
    expect(await store.update(THUMBPRINT, async ({ stored }) => stored)).toStrictEqual(sessionRecord())
    expect(await readdir(elsewhere)).toStrictEqual([])
  })

  test.runIf(process.platform !== 'win32')(
    'a rescued file that others could have written or read is not used',
    async () => {
      const home = await tempFolder()
      const elsewhere = await tempFolder()
      const rescue = createRescue(home, [elsewhere])
      const path = await rescue.write(THUMBPRINT, serialize(sealed(sessionRecord())))
      await chmod(path!, 0o644)
      expect(await rescue.read(THUMBPRINT)).toBeUndefined()
      await chmod(path!, 0o600)
      expect(await rescue.read(THUMBPRINT)).toStrictEqual(sessionRecord())
    },
  )

  test('it comes back while the process waits: saved there, and nowhere else', async () => {
    const home = await stored()
    const elsewhere = await tempFolder()
    const store = createSessionStore(home, { holdSignals: (work) => work(), elsewhere: [elsewhere] })
    await store.update(THUMBPRINT, async ({ commit }) => {
      await commit(sessionRecord({ intent: INTENT }))
      await rm(pathIn(home))
      await mkdir(pathIn(home))
      const saved = commit(sessionRecord({ refreshToken: 'next' }))
      await until(async () => (await readdir(elsewhere)).some((name) => name.endsWith('.json')))
      await rm(pathIn(home), { recursive: true })
      await saved
    })
    expect(await store.read(THUMBPRINT)).toStrictEqual(sessionRecord({ refreshToken: 'next' }))
    expect(await readdir(elsewhere)).toStrictEqual([])
  })

  test('nor anywhere else: the fate of the session is not known, and that is said', async () => {
    const home = await stored()
    const before = process.env['TMPDIR']
    process.env['TMPDIR'] = join(pathIn(home), 'none') // becomes a path through a file
    onTestFinished(() => {
      if (before === undefined) delete process.env['TMPDIR']
      else process.env['TMPDIR'] = before
    })
    const harm = async () => {
      await rm(join(home, 'sessions'), { recursive: true })
      await writeFile(join(home, 'sessions'), '')
      process.env['TMPDIR'] = join(home, 'sessions')
    }
    expect(await failure(refreshed(home, harm))).toMatchObject({ code: 'SAVE_FAILED', session: 'unknown' })
  })

  test('nothing was sent: a commit that fails is an ordinary failure', async () => {
    const home = await stored()
    const attempt = store(home).update(THUMBPRINT, async ({ commit }) => {
      await rm(join(home, 'sessions'), { recursive: true })
      await commit(sessionRecord({ refreshToken: 'next' }))
    })
    expect(await failure(attempt)).toMatchObject({ code: 'STORE_UNAVAILABLE', session: 'alive' })
    expect(await store(home).read(THUMBPRINT)).toBeUndefined()
  })

  test('before anything was sent it is an ordinary failure, and nothing is put elsewhere', async () => {
    const home = await tempFolder()
    await mkdir(pathIn(home), { recursive: true })
    const error = await failure(put(home, sessionRecord()))
    expect(error).toMatchObject({ code: 'STORE_INVALID', session: 'alive' })
  })
})

test('a process killed between intent and response leaves the intent, and its lock to the next', async () => {
  const home = await tempFolder()
  const code = `
    const { createSessionStore } = await import(process.env.SRC + 'node/store/sessions.ts')
    const record = JSON.parse(process.argv[2])
    await createSessionStore(process.argv[1], { holdSignals: (work) => work() }).update(record.thumbprint, async ({ commit }) => {
      await commit({ ...record, intent: { tokenHash: 'hash', at: 1 } })
      console.log('sent')
      await new Promise((resolve) => setTimeout(resolve, 600_000))
    })`
  const holder = startNode(code, [home, JSON.stringify(sessionRecord())])
  await holder.said('sent')
  holder.kill('SIGKILL')
  await holder.ended
  const current = await store(home).update(THUMBPRINT, async ({ stored }) => stored)
  expect(current).toStrictEqual(sessionRecord({ intent: INTENT }))
})

test('what was revoked is known by its key, newest first, and damaged or foreign files are ignored', async () => {
  const home = await tempFolder()
  const { noteRevoked, revoked } = store(home)
  expect(await revoked!()).toStrictEqual([])
  const { did } = sessionRecord()
  const other = 'B'.repeat(43)
  await noteRevoked!({ version: 1, thumbprint: THUMBPRINT, did, at: 1 })
  await noteRevoked!({ version: 1, thumbprint: other, did, at: 2 })
  await writeFile(join(home, 'revoked', `${'C'.repeat(43)}.json`), '{"version":1')
  await writeFile(join(home, 'revoked', 'notes.txt'), 'mine')
  expect((await revoked!()).map(({ thumbprint }) => thumbprint)).toStrictEqual([other, THUMBPRINT])
  expect((await revoked!(THUMBPRINT)).map(({ at }) => at)).toStrictEqual([1])
  expect(await revoked!('C'.repeat(43))).toStrictEqual([])
})

test('a revocation that cannot be noted is no failure, and after two years it is forgotten', async () => {
  const home = await tempFolder()
  const { noteRevoked, revoked } = store(home)
  const session = { version: 1, thumbprint: THUMBPRINT, did: sessionRecord().did, at: 1 } as const
  await writeFile(join(home, 'revoked'), '')
  await noteRevoked!(session)
  await rm(join(home, 'revoked'))
  await noteRevoked!(session)
  const long = new Date(Date.now() - 3 * 366 * 24 * 3600 * 1000)
  await utimes(join(home, 'revoked', `${THUMBPRINT}.json`), long, long)
  await noteRevoked!({ ...session, thumbprint: 'B'.repeat(43) })
  expect(await revoked!(THUMBPRINT)).toStrictEqual([])
})
