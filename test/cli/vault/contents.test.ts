import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { VAULT_RECORD } from '../../../src/node/vault/engine.ts'
import {
  clientKeyRecordName,
  createUserKey,
  createVault,
  parseUserKey,
  sealRecord,
  sessionName,
  wrapKeys,
} from '../../../src/node/vault/envelope.ts'
import { readKnownVault, readKnownVaults } from '../../../src/node/vault/known.ts'
import { createFolderMemory } from '../../../src/node/vault/machine.ts'
import { vaultFolder } from '../../../src/node/vault/open.ts'
import { seal, unseal, type VaultRecord } from '../../../src/node/vault/record.ts'
import { createVaultSessions } from '../../../src/node/vault/sessions.ts'
import { fakeNodeRuntime, run } from '../../support/cli.ts'
import { ADDRESS, type CommandWorld, connectEngine, createCommandWorld } from '../../support/vault-commands.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))
vi.mock('../../../src/node/vault/connect.ts', async (load) => ({ ...(await load<object>()), connectEngine }))

/** Changes the record of a login that `put` has stored. */
async function change(world: CommandWorld, changes: (record: VaultRecord) => Partial<VaultRecord>): Promise<void> {
  for (const [name, text] of world.service.records) {
    if (name === VAULT_RECORD) continue
    const { record } = (await unseal(name, text, world.keys))!
    world.service.set(name, (await seal({ ...record, ...changes(record) }, world.keys)).text)
  }
}

const CLAIM = {
  ...{ id: 'x', rotation: 0, purpose: 'refresh', holder: 'another', durable: false },
  label: 'run 7 of alice/bot',
} as const
const end = (world: CommandWorld) =>
  change(world, ({ session: { refreshToken, accessToken, ...session } }) => ({
    session: { ...session, ended: { at: 1, reason: 'it was revoked' } },
    endedBy: 'person',
  }))

function memoryOf({ home, service, userKey }: CommandWorld) {
  return createFolderMemory(join(home, 'vaults', vaultFolder(service.address, parseUserKey(userKey))))
}

/** For commands that use a session: it is that of the vault which this machine has. */
function withVault({ fake, home }: CommandWorld): CommandWorld['fake'] {
  const vault = createVaultSessions({
    home,
    find: () => readKnownVault(home),
    environment: {},
    holdSignals: (work) => work(),
    endTokens: async () => {},
    randomBytes: fake.randomBytes,
    warn: fake.warn,
  })
  return { ...fake, stores: { ...fake.stores, local: fake.stores.sessions, vault, sessions: vault } }
}

describe('vault check', () => {
  test('what is there, and nothing broken is 0', async () => {
    const world = await createCommandWorld()
    await world.put()
    const version = world.service.version
    const { code, stdout, stderr } = await world.vault(['check'])
    expect(code, stderr).toBe(0)
    expect(stdout.replace(/ \(\d+ ms\)$/m, '')).toBe(
      `ok  vault            ${ADDRESS} (kept on this machine)
ok  records          2
ok  key              opens the vault
ok  records          1 session
ok  claims           none
ok  this machine     has nothing that is missing in the vault
`,
    )
    expect(stderr).toBe('No problems found.\n')
    expect(world.service.version).toBe(version)
  })

  test('a claim, a response that is missing, and what this machine owes', async () => {
    const world = await createCommandWorld()
    const session = await world.put()
    await change(world, () => ({ claim: CLAIM }))
    expect((await world.vault(['check'])).stdout).toMatch(
      /^ok {2}claims +alice\.fake\.dev: refresh by run 7 of alice\/bot$/m,
    )

    const memory = memoryOf(world)
    await memory.write('ahead', session.thumbprint, 'x\ny')
    const newer = await seal({ version: 1, kind: 'session', session: { ...session, rotation: 3 } }, world.keys)
    await memory.write('seen', newer.name, newer.text)
    const intent = { tokenHash: 'x', at: 1 }
    await change(world, (record) => ({
      claim: undefined,
      sentBy: { holder: 'another', label: 'run 7 of alice/bot' },
      session: { ...record.session, intent },
    }))
    const { code, stdout } = await world.vault(['check', '--json'])
    expect(code).toBe(0)
    const warnings = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter(({ verdict }) => verdict !== 'ok')
    expect(warnings).toMatchObject([
      {
        topic: 'claims',
        detail: expect.stringContaining('has stored no response'),
        fix: expect.stringContaining('run 7'),
      },
      { topic: 'this machine', detail: 'has new tokens of 1 session that are not in the vault yet' },
      {
        topic: 'this machine',
        detail: expect.stringContaining('newer copy of the session of alice.fake.dev'),
        fix: 'store it there again: atproto-oauth refresh --account alice.fake.dev',
      },
    ])
  })

  test('a damaged record is broken, with its fix; 4', async () => {
    const world = await createCommandWorld()
    const { did } = await world.put()
    const name = sessionName(did, world.keys)
    world.service.set(name, world.service.records.get(name)!.slice(0, -9))
    const { code, stdout, stderr } = await world.vault(['check'])
    expect(code).toBe(4)
    expect(stdout).toMatch(
      new RegExp(`^xx {2}records +1 record cannot be read: .*: ${name}\\n +fix: restore the branch`, 'm'),
    )
    expect(stderr).toContain('broken: records [DOCTOR_FOUND]')
  })

  test.each([
    [
      'another key',
      async (world: CommandWorld) =>
        (await createVault('memory:vault', parseUserKey(createUserKey(world.fake)), world.fake)).text,
    ],
    ['no vault', async () => undefined],
    [
      'a copy',
      async (world: CommandWorld) => (await createVault('memory:other', parseUserKey(world.userKey), world.fake)).text,
    ],
    ['something else', async () => 'hello'],
  ])('%s is broken', async (_, make) => {
    const world = await createCommandWorld()
    world.service.set(VAULT_RECORD, await make(world))
    const { code, stdout } = await world.vault(['check'])
    expect(code).toBe(4)
    expect(stdout).toMatch(/^xx {2}key .*\n +fix: /m)
  })

  test('a vault that is gone, with a copy here: how to store it again, and `vault new` replaces nothing', async () => {
    const world = await createCommandWorld()
    const session = await world.put()
    await world.vault(['check'])
    world.service.clear()
    const without = await world.vault(['check'])
    expect(without.stdout).toContain(`xx  key              there is no vault at ${world.service.address}\n`)
    const memory = memoryOf(world)
    await memory.write('keys', VAULT_RECORD, await wrapKeys(world.keys, parseUserKey(world.userKey)))
    const seen = await seal({ version: 1, kind: 'session', session }, world.keys)
    await memory.write('seen', seen.name, seen.text)
    const said = `there is no vault at ${world.service.address} any more, and this machine has a copy of it`
    const { version } = world.service
    for (const args of [['check'], ['list'], ['new', ADDRESS]]) {
      const { stdout, stderr } = await world.vault(args)
      expect(stdout + stderr).toContain(said)
      expect(stdout + stderr).toContain(
        'to store it there again, on the machine that refreshed last: atproto-oauth refresh --account alice.fake.dev',
      )
    }
    expect(world.service.version).toBe(version)
    const env = { ATPROTO_OAUTH_HOME: world.home }
    const refreshed = await run(withVault(world), ['refresh', '--account', 'alice.fake.dev'], { env })
    expect(refreshed).toMatchObject({ code: 0, stderr: expect.stringContaining('saved to the vault') })
    expect((await world.vault(['check'])).stdout).toMatch(/^ok {2}key +opens the vault/m)
    world.service.clear()
    await memory.write('seen', seen.name, seen.text)
    expect(await world.vault(['new', ADDRESS])).toMatchObject({ code: 2 })
    expect(await world.vault(['new', ADDRESS, '--replace'])).toMatchObject({ code: 0 })
  })

  test('a vault that is gone, whose key is a variable only, is not replaced either', async () => {
    const world = await createCommandWorld(false)
    const memory = memoryOf(world)
    await memory.write('keys', VAULT_RECORD, await wrapKeys(world.keys, parseUserKey(world.userKey)))
    const seen = await seal({ version: 1, kind: 'session', session: await world.put() }, world.keys)
    await memory.write('seen', seen.name, seen.text)
    world.service.clear()
    const refused = await world.vault(['new', ADDRESS], { env: { ATPROTO_OAUTH_VAULT_KEY: world.userKey } })
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('this machine has a copy of it') })
    expect(world.service.records.size).toBe(0)
    const malformed = await world.vault(['new', ADDRESS], { env: { ATPROTO_OAUTH_VAULT_KEY: 'x' } })
    expect(malformed, malformed.stderr).toMatchObject({ code: 0 })
  })

  test('a key that was replaced is called that where it was used before', async () => {
    const world = await createCommandWorld()
    const memory = memoryOf(world)
    await memory.write('keys', VAULT_RECORD, await wrapKeys(world.keys, parseUserKey(world.userKey)))
    world.service.set(VAULT_RECORD, await wrapKeys(world.keys, parseUserKey(createUserKey(world.fake))))
    for (const args of [['check'], ['list'], ['rekey'], ['rekey', '--finish']]) {
      const { stdout, stderr } = await world.vault(args)
      expect(stdout + stderr).toContain('was replaced by a new one')
      expect(stdout + stderr).toContain(`then enter it here: atproto-oauth vault use ${world.service.address}`)
    }
  })

  test('a key of which this machine has a damaged record is wrong, and the vault is not called damaged', async () => {
    const world = await createCommandWorld()
    await memoryOf(world).write('keys', VAULT_RECORD, 'damaged')
    world.service.set(VAULT_RECORD, await wrapKeys(world.keys, parseUserKey(createUserKey(world.fake))))
    expect((await world.vault(['list'])).stderr).toContain('[VAULT_KEY_WRONG]')
  })

  test('a service that is unfit is named, and the records are checked all the same', async () => {
    const world = await createCommandWorld()
    const found = { topic: 'eviction', verdict: 'broken', detail: 'allkeys-lru', fix: 'set noeviction' } as const
    world.setFacts([found])
    const { code, stdout } = await world.vault(['check'])
    expect(code).toBe(4)
    expect(stdout).toMatch(/^xx {2}eviction +allkeys-lru\n +fix: set noeviction\nok {2}key /m)
    world.setHooks({ before: ({ operation }) => (operation === 'list' ? 'refused' : undefined) })
    expect((await world.vault(['check'])).stdout).not.toContain('service')
    world.setFacts(undefined)
    expect((await world.vault(['check'])).stdout).toMatch(
      /^xx {2}service +the vault rejected the request\n +fix: use credentials/m,
    )
  })

  test('a service that does not respond', async () => {
    const world = await createCommandWorld()
    world.setHooks({ before: () => 'unreachable' })
    expect(await world.vault(['check'])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('VAULT_UNREACHABLE'),
    })
  })
})

describe('vault list', () => {
  test('the account, its scope and deadlines, and no secret', async () => {
    const world = await createCommandWorld()
    const session = await world.put()
    await change(world, () => ({ claim: CLAIM }))
    const ran = await world.vault(['list'])
    expect(ran).toMatchObject({ code: 0, stderr: '' })
    expect(ran.stdout).toMatch(
      /^account +alice\.fake\.dev \(did:plc:\w+\)\nsession +alive.*\nscope +atproto\nlogin +.*\n/,
    )
    expect(ran.stdout).toMatch(/^claim +refresh by run 7 of alice\/bot$/m)
    const json = await world.vault(['list', '--json'])
    expect(JSON.parse(json.stdout)).toMatchObject([
      { did: session.did, state: 'alive', claim: { purpose: 'refresh', label: CLAIM.label, rotation: 0 } },
    ])
    for (const secret of [session.refreshToken!, session.accessToken!, session.dpopPrivateJwk.d, world.userKey]) {
      expect(ran.stdout + json.stdout).not.toContain(secret)
    }
  })

  test('an ended one, an empty vault, and one with damage', async () => {
    const world = await createCommandWorld()
    expect(await world.vault(['list'])).toStrictEqual({
      code: 0,
      stdout: '',
      stderr: `There are no sessions in the vault at ${ADDRESS}.
`,
    })
    await world.put()
    await end(world)
    expect((await world.vault(['list'])).stdout).toMatch(/^session +ended \(it was revoked\)$/m)
    world.service.set('0'.repeat(40), 'damaged')
    expect((await world.vault(['list'])).stderr).toContain('warning: 1 record cannot be read')
  })
})

describe('vault remove', () => {
  test('wrong usage, before anything is asked', async () => {
    const world = await createCommandWorld()
    for (const args of [['remove'], ['remove', '--account', 'https://pds.fake.dev'], ['remove', '--account', '?']]) {
      expect(await world.vault(args)).toMatchObject({ code: 2, stdout: '' })
    }
    expect(world.asked()).toBe(0)
    for (const account of ['alice', 'https://pds.fake.dev']) {
      const { stderr } = await world.vault(['remove', '--account', account])
      expect(stderr).toContain('as it is listed by: atproto-oauth vault list')
    }
  })

  test('a session that has not ended stays, unless --keep-at-server', async () => {
    const world = await createCommandWorld()
    const session = await world.put()
    const before = new Map(world.service.records)
    const refused = await world.vault(['remove', '--account', 'alice.fake.dev'])
    expect(refused).toMatchObject({ code: 2, stdout: '' })
    expect(refused.stderr).toMatch(
      /has not ended \[USAGE\]\n.*session: still valid\n.*atproto-oauth revoke --account alice\.fake\.dev\n$/,
    )
    expect(world.service.records).toStrictEqual(before)

    const { code, stdout, stderr } = await world.vault([
      'remove',
      '--account',
      session.did,
      '--keep-at-server',
      '--json',
    ])
    expect(code, stderr).toBe(0)
    expect(JSON.parse(stdout)).toStrictEqual({ did: session.did, wasLiving: true })
    const name = sessionName(session.did, world.keys)
    const { record } = (await unseal(name, world.service.records.get(name)!, world.keys))!
    expect(record).toMatchObject({ endedBy: 'person', session: { ended: { reason: 'it was removed from the vault' } } })
    expect(record.session.refreshToken ?? record.session.accessToken).toBeUndefined()
    // It is alive at its server: nothing was sent there.
    expect(world.fake.sent('revoke')).toStrictEqual([])
    // A machine that saw it alive does not store it again.
    const { store } = await world.machine()
    expect((await store.list())[0]?.ended).toBeDefined()
  })

  test('the record of an ended one goes', async () => {
    const world = await createCommandWorld()
    const { did } = await world.put()
    await end(world)
    expect(await world.vault(['remove', '--account', did])).toMatchObject({ code: 0, stdout: '' })
    expect([...world.service.records.keys()]).toStrictEqual([VAULT_RECORD])
    expect(await world.vault(['remove', '--account', did])).toMatchObject({ code: 5 })
  })

  test.each(['lost-before', 'lost-after'] as const)('a request that was %s is found out', async (fault) => {
    const world = await createCommandWorld()
    const { did } = await world.put()
    await end(world)
    let faults = 1
    world.setHooks({ before: ({ operation }) => (operation === 'swap' && faults-- > 0 ? fault : undefined) })
    await world.vault(['remove', '--account', did])
    expect([...world.service.records.keys()]).toStrictEqual([VAULT_RECORD])
  })
})

describe('vault destroy', () => {
  test('its key on this machine is found under another spelling of the address', async () => {
    const world = await createCommandWorld()
    const env = { ATPROTO_OAUTH_VAULT: 'git:git@git.example.com:alice/bot' }
    expect(await world.vault(['destroy', '--yes'], { env })).toMatchObject({ code: 0 })
    expect(await readKnownVaults(world.home)).toStrictEqual({ vaults: [] })
  })

  test('is not done without a word', async () => {
    const world = await createCommandWorld()
    const ran = await world.vault(['destroy'])
    expect(ran).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('add --yes') })
    expect(world.asked()).toBe(0)
  })

  test('nor with sessions that have not ended', async () => {
    const world = await createCommandWorld()
    await world.put()
    const { code, stderr } = await world.vault(['destroy', '--yes'])
    expect(code).toBe(2)
    expect(stderr).toMatch(
      /1 session in the vault has not ended: alice\.fake\.dev.*\n.*still valid\n.*revoke --account alice\.fake\.dev\n$/,
    )
    expect(world.service.records.size).toBe(2)
    expect(await world.vault(['destroy', '--yes', '--abandon-sessions'])).toMatchObject({ code: 0 })
    expect(world.service.records.size).toBe(0)
  })

  test('nor with records that cannot be read', async () => {
    const world = await createCommandWorld()
    world.service.set('0'.repeat(40), 'damaged')
    expect(await world.vault(['destroy', '--yes'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('may hold a session'),
    })
    expect(world.service.records.size).toBe(2)
  })

  test('deletes the vault, its key here, and what this machine has seen of it', async () => {
    const world = await createCommandWorld()
    await world.put()
    await world.vault(['remove', '--account', 'alice.fake.dev', '--keep-at-server'])
    expect(await memoryOf(world).names('seen')).toHaveLength(1)
    const { code, stdout, stderr } = await world.vault(['destroy', '--yes', '--json'])
    expect(code, stderr).toBe(0)
    expect(JSON.parse(stdout)).toStrictEqual({ address: ADDRESS })
    expect(world.service.records.size).toBe(0)
    expect(await readKnownVaults(world.home)).toStrictEqual({ vaults: [] })
    expect(await memoryOf(world).names('seen')).toStrictEqual([])
  })

  test('a client key in it is named', async () => {
    const world = await createCommandWorld()
    const name = clientKeyRecordName('https://bot.fake.dev/client.json', world.keys)
    world.service.set(name, await sealRecord({ version: 1, kind: 'client-key' }, name, world.keys))
    expect((await world.vault(['check'])).stdout).toMatch(/^ok {2}records +0 sessions, 1 client key$/m)
    const { code, stderr } = await world.vault(['destroy', '--yes'])
    expect(code, stderr).toBe(0)
    expect(stderr).toContain('warning: the vault had a copy of a client key')
  })

  test('that fails keeps the key', async () => {
    const world = await createCommandWorld()
    world.setHooks({ before: ({ operation }) => (operation === 'destroy' ? 'refused' : undefined) })
    expect(await world.vault(['destroy', '--yes'])).toMatchObject({ code: 4 })
    expect((await readKnownVault(world.home))?.key).toBe(world.userKey)
  })

  test('the key of a vault that is gone is kept, unless one says so', async () => {
    const world = await createCommandWorld()
    world.service.clear()
    expect(await world.vault(['destroy', '--yes'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('its key was not deleted'),
    })
    expect(await readKnownVault(world.home)).toBeDefined()
    expect(await world.vault(['destroy', '--yes', '--abandon-sessions'])).toMatchObject({ code: 0 })
    expect(await readKnownVault(world.home)).toBeUndefined()
  })

  test('with the key of another vault nothing is deleted', async () => {
    const world = await createCommandWorld()
    const { text } = await createVault('memory:vault', parseUserKey(createUserKey(world.fake)), world.fake)
    world.service.set(VAULT_RECORD, text)
    expect(await world.vault(['destroy', '--yes', '--abandon-sessions'])).toMatchObject({ code: 2 })
    expect(world.service.records.get(VAULT_RECORD)).toBe(text)
  })
})
