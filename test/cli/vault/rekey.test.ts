import { join } from 'node:path'
import { parse } from 'dotenv'
import { describe, expect, test, vi } from 'vitest'
import { VAULT_RECORD } from '../../../src/node/vault/engine.ts'
import { parseUserKey, unwrapKeys, wrapsOf } from '../../../src/node/vault/envelope.ts'
import { readKnownVault, readKnownVaults } from '../../../src/node/vault/known.ts'
import { createFolderMemory } from '../../../src/node/vault/machine.ts'
import { vaultFolder } from '../../../src/node/vault/open.ts'
import { seal } from '../../../src/node/vault/record.ts'
import { fakeNodeRuntime } from '../../support/cli.ts'
import { ADDRESS, type CommandWorld, connectEngine, createCommandWorld } from '../../support/vault-commands.ts'

const saved: Record<string, string>[] = []
vi.mock('../../../src/node/runtime.ts', async (load) => ({
  ...(await load<object>()),
  nodeRuntime(options: Parameters<typeof fakeNodeRuntime>[0]) {
    const runtime = fakeNodeRuntime(options)
    const targets = (options.save ?? []).map((name) => ({
      name,
      async save(entries: readonly (readonly [string, string])[]) {
        saved.push(Object.fromEntries(entries))
      },
    }))
    return { ...runtime, saving: { ...runtime.saving, targets } }
  },
}))
vi.mock('../../../src/node/vault/connect.ts', async (load) => ({ ...(await load<object>()), connectEngine }))

const KEY = 'ATPROTO_OAUTH_VAULT_KEY'
const wraps = ({ service }: CommandWorld) => wrapsOf(service.records.get(VAULT_RECORD)!)
const opens = ({ service }: CommandWorld, key: string) =>
  unwrapKeys(service.records.get(VAULT_RECORD)!, parseUserKey(key), service.address)

async function rekeyed(world: CommandWorld): Promise<string> {
  const { code, stdout, stderr } = await world.vault(['rekey'])
  expect(code, stderr).toBe(0)
  return parse(stdout)[KEY]!
}

describe('vault rekey', () => {
  test('prints the new key, keeps it here, and both open the vault', async () => {
    const world = await createCommandWorld()
    await world.put()
    const { code, stdout, stderr } = await world.vault(['rekey'])
    expect(code, stderr).toBe(0)
    const { ATPROTO_OAUTH_VAULT: address, [KEY]: key } = parse(stdout)
    expect(address).toBe(ADDRESS)
    expect(key).not.toBe(world.userKey)
    expect(await readKnownVaults(world.home)).toMatchObject({ current: ADDRESS, vaults: [{ address: ADDRESS, key }] })
    for (const each of [key!, world.userKey]) await opens(world, each)
    expect(stderr).toContain('  atproto-oauth vault rekey --finish')
    expect((await world.vault(['list', '--json'])).stdout).toContain('alice.fake.dev')
  })

  test('again prints the same key', async () => {
    const world = await createCommandWorld()
    const key = await rekeyed(world)
    expect(await rekeyed(world)).toBe(key)
    expect(wraps(world)).toHaveLength(2)
  })

  test.each(['unreachable', 'lost-after'] as const)(
    'interrupted (%s), the next run uses the same key',
    async (fault) => {
      const world = await createCommandWorld()
      let isCut = false
      world.setHooks({
        before({ operation }) {
          if (operation === 'swap' && !isCut) {
            isCut = true
            return fault
          }
          return isCut ? 'unreachable' : undefined
        },
      })
      const failed = await world.vault(['rekey'])
      expect(failed).toMatchObject({ code: 3, stdout: '' })
      const { vaults } = await readKnownVaults(world.home)
      expect(vaults).toMatchObject([{ key: world.userKey }, { unconfirmed: true }])
      expect(await readKnownVault(world.home)).toMatchObject({ key: world.userKey })
      world.setHooks({})
      expect(await rekeyed(world)).toBe(vaults[1]!.key)
      expect(wraps(world)).toHaveLength(2)
    },
  )

  test('at a terminal, only the address is printed', async () => {
    const world = await createCommandWorld()
    const { stdout, stderr } = await world.vault(['rekey'], { terminals: ['stdout'] })
    expect(stdout).toBe(`${ADDRESS}\n`)
    expect(stderr).not.toContain((await readKnownVault(world.home))!.key)
  })

  test('--save puts address and key into the targets, and prints the address', async () => {
    const world = await createCommandWorld()
    const { stdout, stderr } = await world.vault(['rekey', '--save', 'file:/a'])
    expect(stdout).toBe(`${ADDRESS}\n`)
    const { key } = (await readKnownVault(world.home))!
    expect(saved).toStrictEqual([{ ATPROTO_OAUTH_VAULT: ADDRESS, [KEY]: key }])
    expect(stderr).toContain('saved address and key to file:/a')
    const shown = JSON.parse((await world.vault(['rekey', '--json'])).stdout)
    expect(shown).toStrictEqual({ address: ADDRESS, savedTo: [], ATPROTO_OAUTH_VAULT: ADDRESS, [KEY]: key })
  })

  test('what this machine has received with the old key is not lost', async () => {
    const world = await createCommandWorld()
    const session = await world.put()
    const memory = (key: string) =>
      createFolderMemory(join(world.home, 'vaults', vaultFolder(world.service.address, parseUserKey(key))))
    const newer = await seal({ version: 1, kind: 'session', session: { ...session, rotation: 3 } }, world.keys)
    const ahead = `${newer.name}\n${newer.text}`
    await memory(world.userKey).write('ahead', session.thumbprint, ahead)
    const key = await rekeyed(world)
    expect(await memory(key).read('ahead', session.thumbprint)).toBe(ahead)
    expect(await memory(world.userKey).names('ahead')).toStrictEqual([])
  })

  test('while both keys open the vault, another machine takes the new one from stdin', async () => {
    const world = await createCommandWorld()
    const home = join(world.home, 'other')
    const env = { ATPROTO_OAUTH_HOME: home }
    await world.vault(['use', ADDRESS], { env, stdin: world.userKey })
    const key = await rekeyed(world)
    expect(await world.vault(['use', ADDRESS], { env })).toMatchObject({ code: 2, stdout: '' })
    expect(await readKnownVault(home)).toMatchObject({ key: world.userKey })
    expect(await world.vault(['use', ADDRESS], { env, stdin: key })).toMatchObject({ code: 0 })
    expect(await readKnownVault(home)).toMatchObject({ key })
    expect(await world.vault(['use', ADDRESS], { env })).toMatchObject({ code: 0 })
  })

  test('a machine that did not begin it neither begins nor finishes', async () => {
    const world = await createCommandWorld()
    await rekeyed(world)
    const env = { ATPROTO_OAUTH_HOME: join(world.home, 'other'), ATPROTO_OAUTH_VAULT: ADDRESS, [KEY]: world.userKey }
    for (const args of [['rekey'], ['rekey', '--finish']]) {
      const { code, stderr } = await world.vault(args, { env })
      expect(code).toBe(2)
      expect(stderr).toContain('has a newer key, which is not known on this machine [VAULT_INVALID]')
    }
    expect(wraps(world)).toHaveLength(2)
  })
})

describe('vault rekey --finish', () => {
  test('the old key opens nothing any more, and the sessions are there', async () => {
    const world = await createCommandWorld()
    await world.put()
    const key = await rekeyed(world)
    const { code, stdout, stderr } = await world.vault(['rekey', '--finish'])
    expect({ code, stdout }, stderr).toStrictEqual({ code: 0, stdout: '' })
    expect(stderr).toContain('encrypted 1 record with a new key; the old key no longer opens the vault')
    await opens(world, key)
    await expect(opens(world, world.userKey)).rejects.toMatchObject({ code: 'VAULT_KEY_WRONG' })
    expect((await world.vault(['list', '--json'])).stdout).toContain('alice.fake.dev')
    const again = await world.vault(['rekey', '--finish', '--json'])
    expect(JSON.parse(again.stdout)).toStrictEqual({ address: ADDRESS, encrypted: 0, unreadable: [] })
    expect(await world.vault(['rekey', '--finish'])).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('nothing to finish: the vault has one key'),
    })
  })

  test('a machine that has only the old key says how to get the new one', async () => {
    const world = await createCommandWorld()
    await world.put()
    const home = join(world.home, 'other')
    const env = { ATPROTO_OAUTH_HOME: home }
    await world.vault(['use', ADDRESS], { env: { ...env, [KEY]: world.userKey } })
    const account = ['remove', '--account', 'alice.fake.dev', '--keep-at-server']
    const key = await rekeyed(world)
    await world.vault(['rekey', '--finish'])
    const failed = await world.vault(account, { env })
    expect(failed.stderr).toContain('[VAULT_KEY_WRONG]')
    expect(await world.vault(['use', ADDRESS], { env, stdin: `${key}\n` })).toMatchObject({ code: 0 })
    expect(await world.vault(account, { env })).toMatchObject({ code: 0 })
  })

  test('finishes what was interrupted before this machine knew that the key was added', async () => {
    const world = await createCommandWorld()
    await world.put()
    let isCut = false
    world.setHooks({
      before({ operation }) {
        if (isCut) return 'unreachable'
        isCut = operation === 'swap'
        return isCut ? 'lost-after' : undefined
      },
    })
    expect(await world.vault(['rekey'])).toMatchObject({ code: 3 })
    world.setHooks({})
    expect(await world.vault(['rekey', '--finish'])).toMatchObject({ code: 0 })
    await opens(world, (await readKnownVault(world.home))!.key)
    expect((await world.vault(['list', '--json'])).stdout).toContain('alice.fake.dev')
  })

  test('until then, `vault check` warns', async () => {
    const world = await createCommandWorld()
    await rekeyed(world)
    const { code, stdout } = await world.vault(['check'])
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^!! {2}key +is being replaced by a new one\n +fix: .*: atproto-oauth vault rekey --finish$/m,
    )
    await world.vault(['rekey', '--finish'])
    expect((await world.vault(['check'])).stdout).not.toContain('replaced')
  })

  test('--save is for the first step', async () => {
    const world = await createCommandWorld()
    const { code, stderr } = await world.vault(['rekey', '--finish', '--save', 'file:a'])
    expect(code).toBe(2)
    expect(stderr).toContain('--finish cannot be used with --format or --save')
    expect(world.asked()).toBe(0)
  })
})
