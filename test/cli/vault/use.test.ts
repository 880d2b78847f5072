import { Readable } from 'node:stream'
import { describe, expect, test, vi } from 'vitest'
import { VAULT_RECORD } from '../../../src/node/vault/engine.ts'
import { createUserKey, createVault, parseUserKey, wrapKeys } from '../../../src/node/vault/envelope.ts'
import { readKnownVault, readKnownVaults, writeKnownVault } from '../../../src/node/vault/known.ts'
import { fakeNodeRuntime } from '../../support/cli.ts'
import { ADDRESS, connectEngine, createCommandWorld } from '../../support/vault-commands.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))
vi.mock('../../../src/node/vault/connect.ts', async (load) => ({ ...(await load<object>()), connectEngine }))

/** The same vault, on a machine that does not know it. */
async function createSecondMachine() {
  const world = await createCommandWorld(false)
  world.service.restore(1)
  return world
}

/** What is typed, at a terminal. */
function terminal(typed: string): Readable {
  const stdin = new Readable({ read() {} })
  Object.assign(stdin, { isTTY: true, setRawMode: () => stdin })
  setImmediate(() => stdin.push(typed))
  return stdin
}

describe('vault use', () => {
  test.each([
    ['the variable', (key: string) => ({ env: { ATPROTO_OAUTH_VAULT_KEY: `"${key}"\r\n` } })],
    ['stdin', (key: string) => ({ stdin: `${key}\n` })],
  ])('takes the key from %s, checks it, and keeps it', async (_, given) => {
    const world = await createSecondMachine()
    const { code, stdout, stderr } = await world.vault(['use', `${ADDRESS}.git`], given(world.userKey))
    expect(code, stderr).toBe(0)
    expect(stdout).toBe(`${ADDRESS}\n`)
    expect(stdout + stderr).not.toContain(world.userKey)
    expect(await readKnownVault(world.home)).toStrictEqual({ address: ADDRESS, key: world.userKey })
  })

  test('asks at a terminal, and shows nothing of what is typed', async () => {
    const world = await createSecondMachine()
    const given = { stdin: terminal(`${world.userKey}\r`), terminals: ['stdout', 'stderr'] as const }
    const { code, stdout, stderr } = await world.vault(['use', ADDRESS], given)
    expect(code, stderr).toBe(0)
    expect(stderr).toContain(`Key of the vault at ${ADDRESS}:`)
    expect(stdout + stderr).not.toContain(world.userKey.slice(0, 5))
    expect((await readKnownVault(world.home))?.key).toBe(world.userKey)
  })

  test.each([
    ['nothing on stdin', '', 'USAGE'],
    ['half of a key', 'half', 'VAULT_INVALID'],
    ['too much', 'x'.repeat(5000), 'USAGE'],
  ])('%s is found before anything is asked', async (_, stdin, code) => {
    const world = await createSecondMachine()
    const ran = await world.vault(['use', ADDRESS], { stdin })
    expect(ran).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(`[${code}]`) })
    expect(world.asked()).toBe(0)
    expect(await readKnownVault(world.home)).toBeUndefined()
  })

  test('a key of another vault is not kept, nor quoted', async () => {
    const world = await createSecondMachine()
    const key = createUserKey(world.fake)
    const { code, stdout, stderr } = await world.vault(['use', ADDRESS], { stdin: key })
    expect({ code, stdout }).toStrictEqual({ code: 2, stdout: '' })
    expect(stderr).toContain('[VAULT_KEY_WRONG]')
    expect(stderr).not.toContain(key)
    expect(await readKnownVault(world.home)).toBeUndefined()
  })

  test('where no vault is, and at a copy', async () => {
    const world = await createCommandWorld(false)
    expect((await world.vault(['use', ADDRESS], { stdin: world.userKey })).stderr).toContain('there is no vault at')
    const { text } = await createVault('memory:elsewhere', parseUserKey(world.userKey), world.fake)
    world.service.set(VAULT_RECORD, text)
    const copy = await world.vault(['use', ADDRESS], { stdin: world.userKey })
    expect(copy).toMatchObject({ code: 2, stderr: expect.stringContaining('is a copy of the one at memory:elsewhere') })
    expect(await readKnownVault(world.home)).toBeUndefined()
  })

  test('keeps the key of the vault before, to which one can go back without a key', async () => {
    const world = await createCommandWorld()
    const other = { address: 'git:/srv/other', key: createUserKey(world.fake) }
    await writeKnownVault(world.home, other)
    const { code, stdout, stderr } = await world.vault(['use', ADDRESS, '--json'])
    expect(code, stderr).toBe(0)
    expect(JSON.parse(stdout)).toStrictEqual({ address: ADDRESS, previous: other.address })
    expect((await readKnownVaults(world.home)).vaults).toContainEqual(other)
    await writeKnownVault(world.home, other)
    expect((await world.vault(['use', ADDRESS])).stderr).toContain(
      'To switch back:\n  atproto-oauth vault use git:/srv/other\n',
    )
  })

  test('asks for the new key where the kept one no longer fits', async () => {
    const world = await createCommandWorld()
    const key = createUserKey(world.fake)
    world.service.set(VAULT_RECORD, await wrapKeys(world.keys, parseUserKey(key)))
    expect((await world.vault(['use', ADDRESS], { stdin: key })).code).toBe(0)
    expect((await readKnownVaults(world.home)).vaults).toStrictEqual([{ address: ADDRESS, key }])
  })
})

describe('vault key', () => {
  test('prints the key alone', async () => {
    const world = await createCommandWorld()
    expect(await world.vault(['key'])).toStrictEqual({ code: 0, stdout: `${world.userKey}\n`, stderr: '' })
    expect(world.asked()).toBe(0)
    expect(JSON.parse((await world.vault(['key', '--json'])).stdout)).toStrictEqual({
      address: ADDRESS,
      key: world.userKey,
    })
  })

  test('warns at a terminal', async () => {
    const world = await createCommandWorld()
    const { stderr } = await world.vault(['key', '--quiet'], { terminals: ['stdout'] })
    expect(stderr).toContain('warning: this key is a secret')
  })

  test('of the vault in the environment', async () => {
    const world = await createCommandWorld()
    const key = createUserKey(world.fake)
    const env = { ATPROTO_OAUTH_VAULT: 'git:/srv/other', ATPROTO_OAUTH_VAULT_KEY: key }
    expect((await world.vault(['key'], { env })).stdout).toBe(`${key}\n`)
    const { code, stderr } = await world.vault(['key'], { env: { ATPROTO_OAUTH_VAULT: 'git:/srv/other' } })
    expect(code).toBe(2)
    expect(stderr).toContain('no key is set for the vault at git:/srv/other')
  })

  test.each([['key'], ['check'], ['list'], ['remove', '--account', 'alice.fake.dev'], ['destroy', '--yes']])(
    '%s without a vault says how to make one',
    async (...args) => {
      const world = await createCommandWorld(false)
      const { code, stdout, stderr } = await world.vault(args)
      expect({ code, stdout }).toStrictEqual({ code: 2, stdout: '' })
      expect(stderr).toMatch(/no vault is set.*\n.*hint: create one, as in: atproto-oauth vault new git:https:/)
    },
  )
})
