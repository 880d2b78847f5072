/** `update`, the one door: what it promises when processes, disks and folders fail. */
import { mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { SessionRecord } from '../../../src/model.ts'
import { createSessionStore } from '../../../src/node/store/sessions.ts'
import { failure } from '../../support/failure.ts'
import { hasTinyDisk, onTinyDisk, sessionRecord, shown, startNode, THUMBPRINT, tempFolder } from '../helpers.ts'

const INTENT = { tokenHash: 'hash', at: 1 }
const store = (home: string) => createSessionStore(home, (work) => work())
const pathIn = (home: string) => join(home, 'sessions', `${THUMBPRINT}.json`)
const put = (home: string, record: SessionRecord) => store(home).update(THUMBPRINT, (_, commit) => commit(record))

async function stored(home = ''): Promise<string> {
  const folder = home === '' ? await tempFolder() : home
  await put(folder, sessionRecord())
  return folder
}

describe('a transaction', () => {
  test('is given what is stored now, and its value comes out', async () => {
    const home = await tempFolder()
    expect(await store(home).update(THUMBPRINT, async (current) => current)).toBeUndefined()
    await put(home, sessionRecord())
    expect(await store(home).update(THUMBPRINT, async (current) => current)).toStrictEqual(sessionRecord())
  })

  test('each commit is there at once, for everybody', async () => {
    const home = await stored()
    await store(home).update(THUMBPRINT, async (_, commit) => {
      await commit(sessionRecord({ intent: INTENT }))
      expect(await store(home).read(THUMBPRINT)).toMatchObject({ intent: INTENT })
      await commit(sessionRecord({ refreshToken: 'next' }))
      expect(await store(home).read(THUMBPRINT)).toStrictEqual(sessionRecord({ refreshToken: 'next' }))
    })
  })

  test('that forgets leaves nothing of the session, and may do so twice', async () => {
    const home = await stored()
    await store(home).writeNonces(THUMBPRINT, { 'https://pds.example.com': 'n' })
    for (let round = 0; round < 2; round += 1) await store(home).update(THUMBPRINT, (_, __, forget) => forget())
    expect(await store(home).read(THUMBPRINT)).toBeUndefined()
    expect([await readdir(join(home, 'sessions')), await readdir(join(home, 'nonces'))]).toStrictEqual([[], []])
  })

  test('that fails changes nothing more, leaves nothing beside, and frees the lock', async () => {
    const home = await stored()
    const failing = store(home).update(THUMBPRINT, async (_, commit) => {
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
      store(home).update(THUMBPRINT, async (current, commit) => {
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
    const { update } = createSessionStore(home, async (work) => {
      events.push('hold')
      const result = await work()
      events.push('release')
      return result
    })
    await Promise.all([
      update(THUMBPRINT, async (_, commit) => commit(sessionRecord()).then(() => events.push('one'))),
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
    const store = createSessionStore(home, (work) => work())
    const fill = async () => { for (;;) await appendFile(home + '/filler', 'x'.repeat(512)) }
    await store.update(record.thumbprint, async (_, commit) => {
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

describe('the place is gone when the new token comes', () => {
  /** One refresh, in the middle of which `harm` happens. */
  const refreshed = (home: string, harm: () => Promise<unknown>) =>
    store(home).update(THUMBPRINT, async (_, commit) => {
      await commit(sessionRecord({ intent: INTENT }))
      await harm()
      await commit(sessionRecord({ refreshToken: 'next' }))
    })

  test('the folder was removed: it is made again', async () => {
    const home = await stored()
    await refreshed(home, () => rm(home, { recursive: true }))
    expect(await store(home).read(THUMBPRINT)).toStrictEqual(sessionRecord({ refreshToken: 'next' }))
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
    onTestFinished(() => rm(elsewhere!))
    expect(error.facts).toStrictEqual({ reason: 'session-elsewhere', from: elsewhere, to: pathIn(home) })
    await rm(pathIn(home), { recursive: true })
    await writeFile(pathIn(home), await readFile(elsewhere!))
    expect(await store(home).read(THUMBPRINT)).toStrictEqual(sessionRecord({ refreshToken: 'next' }))
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
    const attempt = store(home).update(THUMBPRINT, async (_, commit) => {
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

test('a process killed between intent and answer leaves the intent, and its lock to the next', async () => {
  const home = await tempFolder()
  const code = `
    const { createSessionStore } = await import(process.env.SRC + 'node/store/sessions.ts')
    const record = JSON.parse(process.argv[2])
    await createSessionStore(process.argv[1], (work) => work()).update(record.thumbprint, async (_, commit) => {
      await commit({ ...record, intent: { tokenHash: 'hash', at: 1 } })
      console.log('sent')
      await new Promise((resolve) => setTimeout(resolve, 600_000))
    })`
  const holder = startNode(code, [home, JSON.stringify(sessionRecord())])
  await holder.said('sent')
  holder.kill('SIGKILL')
  await holder.ended
  const current = await store(home).update(THUMBPRINT, async (record) => record)
  expect(current).toStrictEqual(sessionRecord({ intent: INTENT }))
})
