import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { describe, expect, test, vi } from 'vitest'
import { parseUserKey } from '../../../src/node/vault/envelope.ts'
import { readContents } from '../../../src/node/vault/inspect.ts'
import { readKnownVaults } from '../../../src/node/vault/known.ts'
import { createFolderMemory } from '../../../src/node/vault/machine.ts'
import { vaultFolder } from '../../../src/node/vault/open.ts'
import type { MemoryService } from '../../support/memory-engine.ts'
import {
  ADDRESS,
  addPlace,
  type CommandWorld,
  connectEngine,
  createCommandWorld,
  OTHER_ADDRESS,
} from '../../support/vault-commands.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => {
  const { fakeNodeRuntime } = await import('../../support/cli.ts')
  return { ...(await load<object>()), nodeRuntime: fakeNodeRuntime }
})
vi.mock('../../../src/node/vault/connect.ts', async (load) => ({ ...(await load<object>()), connectEngine }))

/** A vault with a session, and a service with nothing. */
async function createWorld(): Promise<CommandWorld & { readonly target: MemoryService }> {
  const world = await createCommandWorld()
  await world.put()
  return { ...world, target: addPlace() }
}

const FROM_OLD = { ATPROTO_OAUTH_VAULT: ADDRESS }
const sessionsAt = async (service: MemoryService, key: string) => (await readContents(service.connect(), key)).sessions

describe('vault move', () => {
  test('moves the sessions, switches this machine, and says what to set elsewhere', async () => {
    const world = await createWorld()
    const { code, stdout, stderr } = await world.vault(['move', OTHER_ADDRESS])
    expect(code, stderr).toBe(0)
    expect(stdout).toBe(`${OTHER_ADDRESS}\n`)
    expect(stderr).toContain(`moved the vault from ${ADDRESS} to ${OTHER_ADDRESS}`)
    expect(stderr).toContain(`  atproto-oauth vault use ${OTHER_ADDRESS}\n`)
    expect(stderr).toContain(`Where ATPROTO_OAUTH_VAULT is set, as for CI jobs, set it to:\n  ${OTHER_ADDRESS}\n`)
    expect(stderr).toContain(`  ATPROTO_OAUTH_VAULT=${ADDRESS} atproto-oauth vault destroy\n`)
    expect(stderr).not.toContain(world.userKey)
    const key = world.userKey
    expect(await readKnownVaults(world.home)).toMatchObject({
      current: OTHER_ADDRESS,
      vaults: [
        { address: ADDRESS, key },
        { address: OTHER_ADDRESS, key },
      ],
    })
    expect(await sessionsAt(world.target, key)).toHaveLength(1)
    expect((await world.vault(['list', '--json'])).stdout).toContain('alice.fake.dev')
  })

  test('again says that nothing is left to do, at either address', async () => {
    const world = await createWorld()
    await world.vault(['move', OTHER_ADDRESS])
    const { version } = world.target
    const here = await world.vault(['move', `${OTHER_ADDRESS}.git`])
    expect(here).toMatchObject({ code: 0, stdout: `${OTHER_ADDRESS}\n` })
    expect(here.stderr).toContain('nothing to move: the vault is at this address')
    const there = await world.vault(['move', `${OTHER_ADDRESS}.git`], { env: FROM_OLD })
    expect(there).toMatchObject({ code: 0, stdout: `${OTHER_ADDRESS}\n` })
    expect(there.stderr).toContain(`the vault has moved from ${ADDRESS} to ${OTHER_ADDRESS} before`)
    expect(there.stderr).toContain(`ATPROTO_OAUTH_VAULT is set to ${ADDRESS}: commands use that vault`)
    expect(world.target.version).toBe(version)
  })

  test('--json', async () => {
    const world = await createWorld()
    const { stdout } = await world.vault(['move', OTHER_ADDRESS, '--json'])
    expect(JSON.parse(stdout)).toStrictEqual({ address: OTHER_ADDRESS, previous: ADDRESS, records: 1, unreadable: [] })
    const again = await world.vault(['move', OTHER_ADDRESS, '--json'])
    expect(JSON.parse(again.stdout)).toStrictEqual({ address: OTHER_ADDRESS, records: 0, unreadable: [] })
  })

  test.each(['unreachable', 'lost-after'] as const)('interrupted (%s), the next run finishes it', async (fault) => {
    for (const last of [1, 2, 3]) {
      const world = await createWorld()
      let swaps = 0
      world.setHooks({
        before({ operation }) {
          if (operation === 'swap') swaps++
          if (swaps < last) return undefined
          return operation === 'swap' && swaps === last ? fault : 'unreachable'
        },
      })
      const cut = await world.vault(['move', OTHER_ADDRESS])
      expect(cut).toMatchObject({ code: 3, stdout: '' })
      expect(cut.stderr).not.toContain('session: unknown')
      expect(await readKnownVaults(world.home)).toMatchObject({ current: ADDRESS })
      world.setHooks({})
      expect(await world.vault(['move', OTHER_ADDRESS])).toMatchObject({ code: 0 })
      expect(await readKnownVaults(world.home)).toMatchObject({ current: OTHER_ADDRESS })
      expect(await sessionsAt(world.target, world.userKey)).toHaveLength(1)
    }
  })

  test('a target with something else in it is refused, and nothing is changed', async () => {
    const world = await createWorld()
    world.target.set('f'.repeat(40), 'left')
    const { version } = world.service
    const { code, stderr } = await world.vault(['move', OTHER_ADDRESS])
    expect(code).toBe(2)
    expect(stderr).toContain(`there is something else at ${OTHER_ADDRESS}; nothing was moved there [VAULT_INVALID]`)
    expect(stderr).toContain('choose an unused address')
    expect(world.service.version).toBe(version)
  })

  test('an address of no known kind is refused before this machine or the service is asked', async () => {
    const world = await createWorld()
    await writeFile(join(world.home, 'vault.json'), '{')
    const { code, stderr } = await world.vault(['move', 'ftp://x'])
    expect(code).toBe(2)
    expect(stderr).toContain('ftp://x')
    expect(stderr).toContain('[USAGE]')
    expect(world.asked()).toBe(0)
  })

  test('with the vault in variables, this machine keeps nothing', async () => {
    const world = await createWorld()
    const home = join(world.home, 'other')
    const env = { ...FROM_OLD, ATPROTO_OAUTH_VAULT_KEY: world.userKey, ATPROTO_OAUTH_HOME: home }
    expect(await world.vault(['move', OTHER_ADDRESS], { env })).toMatchObject({ code: 0 })
    await expect(readFile(join(home, 'vault.json'))).rejects.toThrow('ENOENT')
  })
})

describe('the address that a vault has left', () => {
  const said = `the vault at ${ADDRESS} has moved to ${OTHER_ADDRESS} [VAULT_INVALID]`
  const hint = `use the new address: atproto-oauth vault use ${OTHER_ADDRESS}`

  test.each([
    ['list'],
    ['rekey'],
    ['rekey', '--finish'],
    ['remove', '--account', 'alice.fake.dev'],
    ['use', ADDRESS],
    ['new', ADDRESS],
    ['new', ADDRESS, '--replace'],
    ['move', `${OTHER_ADDRESS}#third`],
  ])('vault %s %s says so, and changes nothing', async (...args) => {
    const world = await createWorld()
    addPlace(`${OTHER_ADDRESS}#third`)
    await world.vault(['move', OTHER_ADDRESS])
    const { version } = world.service
    const failed = await world.vault(args, { env: FROM_OLD })
    expect(failed).toMatchObject({ code: 2, stdout: '' })
    expect(failed.stderr).toContain(said)
    expect(failed.stderr).toContain(hint)
    expect(world.service.version).toBe(version)
  })

  test('vault check says so', async () => {
    const world = await createWorld()
    await world.vault(['move', OTHER_ADDRESS])
    const checked = await world.vault(['check'], { env: FROM_OLD })
    expect(checked.code).toBe(4)
    expect(checked.stdout).toMatch(/^xx {2}vault +the vault at \S+ has moved to \S+$/m)
    expect(checked.stdout).toContain(hint)
  })

  test('vault use of the new address needs no key where the old one is kept', async () => {
    const world = await createWorld()
    const home = join(world.home, 'other')
    const env = { ATPROTO_OAUTH_HOME: home }
    await world.vault(['use', ADDRESS], { env, stdin: world.userKey })
    await world.vault(['move', OTHER_ADDRESS])
    expect(await world.vault(['use', OTHER_ADDRESS], { env })).toMatchObject({ code: 0, stdout: `${OTHER_ADDRESS}\n` })
    expect(await readKnownVaults(home)).toMatchObject({ current: OTHER_ADDRESS })
  })

  test('vault use of the new address has what was received at the old one, also if the key was replaced since', async () => {
    const world = await createWorld()
    const home = join(world.home, 'other')
    const env = { ATPROTO_OAUTH_HOME: home }
    await world.vault(['use', ADDRESS], { env, stdin: world.userKey })
    await world.vault(['move', OTHER_ADDRESS])
    const memory = (address: string, key: string) =>
      createFolderMemory(join(home, 'vaults', vaultFolder(address, parseUserKey(key))))
    await memory(ADDRESS, world.userKey).write('ahead', 'thumbprint', 'text')
    const key = parse((await world.vault(['rekey'])).stdout)['ATPROTO_OAUTH_VAULT_KEY']!
    await world.vault(['rekey', '--finish'])
    const used = await world.vault(['use', OTHER_ADDRESS], { env, stdin: key })
    expect(used).toMatchObject({ code: 0, stdout: `${OTHER_ADDRESS}\n` })
    expect(used.stderr).not.toContain('To switch back')
    expect(await memory(OTHER_ADDRESS, key).read('ahead', 'thumbprint')).toBe('text')
    expect(await memory(ADDRESS, world.userKey).names('ahead')).toStrictEqual([])
  })

  test('vault destroy deletes what is left there, and this machine goes on at the new one', async () => {
    const world = await createWorld()
    const home = join(world.home, 'other')
    const env = { ATPROTO_OAUTH_HOME: home }
    await world.vault(['use', ADDRESS], { env, stdin: world.userKey })
    await world.vault(['move', OTHER_ADDRESS])
    const { code, stderr } = await world.vault(['destroy', '--yes'], { env })
    expect(code, stderr).toBe(0)
    expect(stderr).toContain(`deleted what was left at ${ADDRESS} of the vault, which is at ${OTHER_ADDRESS}`)
    expect(world.service.records.size).toBe(0)
    expect(await readKnownVaults(home)).toMatchObject({ current: OTHER_ADDRESS, vaults: [{ address: OTHER_ADDRESS }] })
    expect((await world.vault(['list', '--json'], { env })).stdout).toContain('alice.fake.dev')
  })

  test('vault destroy refuses if something was stored there afterwards, or cannot be read', async () => {
    const world = await createWorld()
    const [[name, text] = ['', '']] = [...world.service.records].filter(([each]) => each !== 'vault')
    await world.vault(['move', OTHER_ADDRESS])
    const destroy = (...args: string[]) => world.vault(['destroy', '--yes', ...args], { env: FROM_OLD })
    world.service.set(name, text)
    const refused = await destroy()
    expect(refused.code).toBe(2)
    expect(refused.stderr).toContain(`1 record at ${ADDRESS} has not moved to ${OTHER_ADDRESS} yet [USAGE]`)
    expect(refused.stderr).toContain(`ATPROTO_OAUTH_VAULT=${ADDRESS} atproto-oauth vault move ${OTHER_ADDRESS}`)
    await world.vault(['move', OTHER_ADDRESS], { env: FROM_OLD })
    world.service.set(name, 'damaged')
    expect((await destroy()).stderr).toContain(`1 record at ${ADDRESS} could not be moved because it cannot`)
    expect(world.service.records.size).toBe(2)
    expect(await destroy('--abandon-sessions')).toMatchObject({ code: 0 })
    expect(world.service.records.size).toBe(0)
  })

  test('a late record of a vault that has moved on is moved with the command that is printed', async () => {
    const world = await createWorld()
    const last = `${OTHER_ADDRESS}#third`
    const third = addPlace(last)
    const [[name, text] = ['', '']] = [...world.service.records].filter(([each]) => each !== 'vault')
    await world.vault(['move', OTHER_ADDRESS])
    await world.vault(['move', last])
    world.service.set(name, text)
    const { code, stderr } = await world.vault(['move', OTHER_ADDRESS], { env: FROM_OLD })
    expect(code, stderr).toBe(0)
    const command = `ATPROTO_OAUTH_VAULT=${OTHER_ADDRESS} atproto-oauth vault move '${last}'`
    expect(stderr).toContain(`has moved on from ${OTHER_ADDRESS} to ${last}; to move 1 record there too: ${command}`)
    const { version } = third
    const onward = await world.vault(['move', last], { env: { ATPROTO_OAUTH_VAULT: OTHER_ADDRESS } })
    expect(onward).toMatchObject({ code: 0 })
    expect(onward.stderr).not.toContain('has moved on')
    // It is the session that is there already.
    expect(third.version).toBe(version)
    for (const address of [ADDRESS, OTHER_ADDRESS]) {
      const env = { ATPROTO_OAUTH_VAULT: address }
      expect(await world.vault(['destroy', '--yes'], { env })).toMatchObject({ code: 0 })
    }
  })

  test('vault check at the new address counts what was received at the old one', async () => {
    const world = await createWorld()
    await world.vault(['move', OTHER_ADDRESS])
    const folder = join(world.home, 'vaults', vaultFolder(ADDRESS, parseUserKey(world.userKey)))
    await createFolderMemory(folder).write('ahead', 'thumbprint', 'text')
    const { stdout } = await world.vault(['check'])
    expect(stdout).toContain('has new tokens of 1 session that are not in the vault yet')
  })

  test('vault destroy refuses while not everything has arrived', async () => {
    const world = await createWorld()
    let swaps = 0
    world.setHooks({ before: ({ operation }) => (operation === 'swap' && ++swaps > 1 ? 'unreachable' : undefined) })
    await world.vault(['move', OTHER_ADDRESS])
    world.setHooks({})
    const there = { ATPROTO_OAUTH_VAULT: OTHER_ADDRESS, ATPROTO_OAUTH_VAULT_KEY: world.userKey }
    for (const env of [{}, there]) {
      const refused = await world.vault(['destroy', '--yes'], { env })
      expect(refused).toMatchObject({ code: 2, stdout: '' })
      expect(refused.stderr).toContain(
        `finish it: ATPROTO_OAUTH_VAULT=${ADDRESS} atproto-oauth vault move ${OTHER_ADDRESS}`,
      )
    }
    expect(await world.vault(['move', OTHER_ADDRESS])).toMatchObject({ code: 0 })
  })
})
