import { readdir, rename, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { besideOf } from '../../../src/node/store/files.ts'
import { createPendingStore, createStateFileStore } from '../../../src/node/store/logins.ts'
import { hasTinyDisk, onTinyDisk, pendingRecord, sessionRecord, startNode, tempFolder } from '../helpers.ts'

const SPENT = { version: 1, status: 'spent', state: 'canary-state', codeHash: 'h', outcome: 'sent', at: 1 } as const
const DID = sessionRecord().did

describe.each([
  ['of this machine', createPendingStore],
  ['in a state file', (home: string) => createStateFileStore(join(home, 'state.json'))],
])('6.7 the claim of a login %s', (_, create) => {
  const claims = (at: number) => ({ ...SPENT, codeHash: `hash-${at}`, at })

  test('of five at once, one may send the code, and its note is what is kept', async () => {
    const home = await tempFolder()
    await create(home).put(pendingRecord())
    const stores = [1, 2, 3, 4, 5].map(() => create(home))
    const granted = await Promise.all(stores.map((store, at) => store.claim(claims(at))))
    expect(granted.filter(Boolean)).toHaveLength(1)
    const winner = granted.indexOf(true)
    expect(await create(home).get('canary-state')).toStrictEqual(claims(winner))

    await stores[winner]!.put({ ...SPENT, outcome: 'refused' })
    expect(await create(home).get('canary-state')).toMatchObject({ outcome: 'refused' })
    expect((await readdir(home, { recursive: true })).filter((name) => name.endsWith('.tmp'))).toStrictEqual([])
  })

  test('that a kill cut short counts as one whose code may have been sent', async () => {
    const home = await tempFolder()
    await create(home).put(pendingRecord({ did: DID }))
    const [name] = (await readdir(home, { recursive: true })).filter((each) => each.endsWith('.json'))
    const path = join(home, name!)
    await rename(path, besideOf(path, '.claimed'))
    expect(await create(home).get('canary-state')).toMatchObject({ status: 'spent', outcome: 'sent', did: DID })
    expect(await create(home).get('another-state')).toBeUndefined()
    expect(await create(home).claim(claims(1))).toBe(false)
  })

  test('of a login that is spent or unknown is not granted, and changes nothing', async () => {
    const home = await tempFolder()
    expect(await create(home).claim(claims(1))).toBe(false)
    await create(home).put(SPENT)
    expect(await create(home).claim(claims(2))).toBe(false)
    expect(await create(home).get('canary-state')).toStrictEqual(SPENT)
  })
})

test('what a process leaves behind that was killed while it wrote a login goes with the next one', async () => {
  const home = await tempFolder()
  const store = createPendingStore(home)
  await store.put(pendingRecord())
  const [name] = (await readdir(home, { recursive: true })).filter((each) => each.endsWith('.json'))
  const [left, claimed] = [besideOf(join(home, name!)), besideOf(join(home, name!), '.claimed')]
  for (const path of [left, claimed]) await writeFile(path, 'a token')
  const leftovers = async () => (await readdir(join(home, 'pending'))).filter((each) => each.endsWith('.tmp'))
  await store.put(pendingRecord({ state: 'another-state' }))
  expect(await leftovers()).toHaveLength(2) // it may be a process that is writing now
  const hourAgo = Date.now() / 1000 - 3601
  for (const path of [left, claimed]) await utimes(path, hourAgo, hourAgo)
  await store.put(pendingRecord({ state: 'one-more-state' }))
  expect(await leftovers()).toStrictEqual([claimed.slice(claimed.lastIndexOf('/') + 1)])
})

/** A process whose store is on a tiny disk with a pending login, and how to fill that disk. */
const ON_A_FILLING_DISK = `
    import { appendFile } from 'node:fs/promises'
    const { createPendingStore } = await import(process.env.SRC + 'node/store/logins.ts')
    const [home, pending, spent] = process.argv.slice(1)
    const store = createPendingStore(home)
    await store.put(JSON.parse(pending))
    const fill = async () => {
      for (let full = false; !full; ) await appendFile(home + '/filler', 'x'.repeat(512)).catch(() => { full = true })
    }`

test.runIf(hasTinyDisk())('a claim has the room for what comes back for the code', async () => {
  const home = await tempFolder()
  const code = `${ON_A_FILLING_DISK}
    console.log(await store.claim(JSON.parse(spent)))
    await fill()
    await store.put({ ...JSON.parse(spent), outcome: 'completed' })
    console.log((await store.get('canary-state')).outcome)`
  const args = [home, JSON.stringify(pendingRecord()), JSON.stringify(SPENT)]
  const { stdout, stderr } = await startNode(code, args, onTinyDisk(home)).ended
  expect({ stdout, stderr }).toStrictEqual({ stdout: 'true\ncompleted\n', stderr: '' })
})

test.runIf(hasTinyDisk())('a claim for which there is no room leaves the login as it was', async () => {
  const home = await tempFolder()
  const code = `${ON_A_FILLING_DISK}
    await fill()
    console.log(await store.claim(JSON.parse(spent)).catch((error) => error.code))
    console.log((await store.get('canary-state')).status)`
  const args = [home, JSON.stringify(pendingRecord()), JSON.stringify(SPENT)]
  const { stdout, stderr } = await startNode(code, args, onTinyDisk(home)).ended
  expect({ stdout, stderr }).toStrictEqual({ stdout: 'STORE_UNAVAILABLE\npending\n', stderr: '' })
})
