import { openSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { describe, expect, test, vi } from 'vitest'
import { OAuthError } from '../../../src/errors.ts'
import { forgetKeys } from '../../../src/node/store/cipher.ts'
import { VAULT_RECORD } from '../../../src/node/vault/engine.ts'
import { createUserKey, parseUserKey, unwrapKeys } from '../../../src/node/vault/envelope.ts'
import { readKnownVault, readKnownVaults, writeKnownVault } from '../../../src/node/vault/known.ts'
import { tempFolder } from '../../node/helpers.ts'
import { fakeNodeRuntime, run } from '../../support/cli.ts'
import { ADDRESS, type CommandWorld, connectEngine, createCommandWorld } from '../../support/vault-commands.ts'

const saved: Record<string, string>[] = []
let saving: 'works' | 'fails' = 'works'
vi.mock('../../../src/node/runtime.ts', async (load) => {
  const { nodeRuntime } = await load<typeof import('../../../src/node/runtime.ts')>()
  return {
    nodeRuntime(options: Parameters<typeof nodeRuntime>[0]) {
      const target = (name: string) => ({
        name,
        durable: true,
        async save(entries: readonly (readonly [string, string])[]) {
          if (saving === 'fails') throw new OAuthError('SAVE_FAILED', `cannot save to ${name}: permission denied`)
          saved.push(Object.fromEntries(entries))
        },
      })
      const runtime = fakeNodeRuntime(options ?? {})
      const real = nodeRuntime(options).saving.targets
      const targets = real.map((each) => (each.name.startsWith('gh:') ? target(each.name) : each))
      return { ...runtime, sleep: async () => {}, saving: { ...runtime.saving, targets } }
    },
  }
})
vi.mock('../../../src/node/vault/connect.ts', async (load) => ({ ...(await load<object>()), connectEngine }))

async function expectOpens({ service, home }: CommandWorld, key: string): Promise<void> {
  const keys = await unwrapKeys(service.records.get(VAULT_RECORD)!, parseUserKey(key), service.address)
  expect(keys.address).toBe(service.address)
  expect(await readKnownVault(home)).toStrictEqual({ address: ADDRESS, key })
}

test('it is made, kept on this machine, and printed as two variables', async () => {
  const world = await createCommandWorld(false)
  const { code, stdout, stderr } = await world.vault(['new', `${ADDRESS}.git`])
  expect(code, stderr).toBe(0)
  const { ATPROTO_OAUTH_VAULT, ATPROTO_OAUTH_VAULT_KEY = '', ...rest } = parse(stdout)
  expect({ ATPROTO_OAUTH_VAULT, rest }).toStrictEqual({ ATPROTO_OAUTH_VAULT: ADDRESS, rest: {} })
  await expectOpens(world, ATPROTO_OAUTH_VAULT_KEY)
  expect(stderr).not.toContain(ATPROTO_OAUTH_VAULT_KEY)
  expect(stderr).toMatch(/^created a vault at .*\n.*Keep a second copy.*if it is lost, so are the sessions\./)
})

test('at a terminal only the address is printed, and how to print the key', async () => {
  const world = await createCommandWorld(false)
  const { stdout, stderr } = await world.vault(['new', ADDRESS], { terminals: ['stdout'] })
  expect(stdout).toBe(`${ADDRESS}\n`)
  expect(stderr).toContain('  atproto-oauth vault key\n')
  const { key } = (await readKnownVault(world.home))!
  expect(stdout + stderr).not.toContain(key)
})

test.each([
  ['export', /^export ATPROTO_OAUTH_VAULT='git:.*'\nexport ATPROTO_OAUTH_VAULT_KEY='[\w-]{43}'\n$/],
  ['fish', /^set -gx ATPROTO_OAUTH_VAULT 'git:.*'\nset -gx ATPROTO_OAUTH_VAULT_KEY '[\w-]{43}'\n$/],
  ['json', /^\{\n {2}"ATPROTO_OAUTH_VAULT": "git:.*",\n {2}"ATPROTO_OAUTH_VAULT_KEY": "[\w-]{43}"\n\}\n$/],
])('--format %s, also at a terminal', async (format, expected) => {
  const world = await createCommandWorld(false)
  const { stdout } = await world.vault(['new', ADDRESS, '--format', format], { terminals: ['stdout'] })
  expect(stdout).toMatch(expected)
})

test('--json: one object, with the key unless at a terminal', async () => {
  const piped = await (await createCommandWorld(false)).vault(['new', ADDRESS, '--json'])
  expect(piped.stderr).toBe('')
  expect(JSON.parse(piped.stdout)).toStrictEqual({
    address: ADDRESS,
    savedTo: [],
    ATPROTO_OAUTH_VAULT: ADDRESS,
    ATPROTO_OAUTH_VAULT_KEY: expect.stringMatching(/^[\w-]{43}$/),
  })
  const seen = await (await createCommandWorld(false)).vault(['new', ADDRESS, '--json'], { terminals: ['stdout'] })
  expect(JSON.parse(seen.stdout)).toStrictEqual({ address: ADDRESS, savedTo: [] })
})

test('a file that others can read is named', async () => {
  const world = await createCommandWorld(false)
  const path = join(await tempFolder(), 'vault.env')
  await writeFile(path, '', { mode: 0o644 })
  const { stderr } = await world.vault(['new', ADDRESS], { stdoutFile: openSync(path, 'w') })
  expect(stderr).toContain('run chmod 600 on it')
})

describe('--save', () => {
  test('puts address and key into the targets, and prints the address', async () => {
    const world = await createCommandWorld(false)
    const path = join(await tempFolder(), 'vault.env')
    saved.length = 0
    const { code, stdout, stderr } = await world.vault([
      'new',
      ADDRESS,
      '--save',
      'gh:alice/bot',
      '--save',
      `file:${path}`,
    ])
    expect(code, stderr).toBe(0)
    expect(stdout).toBe(`${ADDRESS}\n`)
    const variables = parse(await readFile(path))
    await expectOpens(world, variables['ATPROTO_OAUTH_VAULT_KEY']!)
    expect(saved).toStrictEqual([variables])
    expect(stdout + stderr).not.toContain(variables['ATPROTO_OAUTH_VAULT_KEY'])
  })

  test('that fails leaves no vault, and the next run uses the same key', async () => {
    const world = await createCommandWorld(false)
    const [path, args] = [join(await tempFolder(), 'vault.env'), ['new', ADDRESS, '--save']]
    saving = 'fails'
    const failed = await world.vault([...args, `file:${path}`, '--save', 'gh:alice/bot'])
    saving = 'works'
    expect(failed).toMatchObject({ code: 10, stdout: '' })
    expect(world.service.records.size).toBe(0)
    expect(await readKnownVault(world.home)).toBeUndefined()
    const first = parse(await readFile(path))['ATPROTO_OAUTH_VAULT_KEY']!
    expect(await world.vault([...args, `file:${path}`])).toMatchObject({ code: 0 })
    await expectOpens(world, first)
  })

  test('gets nothing if the service is not usable', async () => {
    const world = await createCommandWorld(false)
    const path = join(await tempFolder(), 'vault.env')
    world.setHooks({ before: ({ operation }) => (operation === 'describe' ? 'refused' : undefined) })
    const { code, stderr } = await world.vault(['new', ADDRESS, '--save', `file:${path}`])
    expect(code, stderr).toBe(4)
    await expect(readFile(path)).rejects.toThrow('ENOENT')
    expect(world.service.records.size).toBe(0)
  })

  test('does not overwrite the key of another vault', async () => {
    const world = await createCommandWorld(false)
    const path = join(await tempFolder(), 'vault.env')
    const text = `ATPROTO_OAUTH_VAULT='git:/other'\nATPROTO_OAUTH_VAULT_KEY='${createUserKey(world.fake)}'\n`
    await writeFile(path, text)
    expect(await world.vault(['new', ADDRESS, '--save', `file:${path}`])).toMatchObject({
      code: 10,
      stderr: expect.stringContaining('already holds the key of a vault'),
    })
    expect(await readFile(path, 'utf8')).toBe(text)
    expect(world.service.records.size).toBe(0)
  })

  test.each(['store', 'vault', 'nonsense'])('%s is a usage error, before anything is asked', async (target) => {
    const world = await createCommandWorld(false)
    expect(await world.vault(['new', ADDRESS, '--save', target])).toMatchObject({ code: 2, stdout: '' })
    expect(world.asked()).toBe(0)
  })
})

test('wrong usage is found before anything is asked', async () => {
  const world = await createCommandWorld(false)
  for (const args of [['new'], ['new', 'nonsense'], ['new', ADDRESS, '--format', 'bundle'], ['new', ADDRESS, 'more']]) {
    expect(await world.vault(args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('[USAGE]') })
  }
  expect(world.asked()).toBe(0)
})

describe('where there is a vault', () => {
  test('nothing is changed', async () => {
    const world = await createCommandWorld()
    const before = new Map(world.service.records)
    const { code, stdout, stderr } = await world.vault(['new', ADDRESS])
    expect({ code, stdout }).toStrictEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/already exists at .*\[VAULT_INVALID\]\n.*hint: .*: atproto-oauth vault use git:https:/)
    expect(world.service.records).toStrictEqual(before)
    expect(await readKnownVault(world.home)).toStrictEqual({ address: ADDRESS, key: world.userKey })
  })

  test('--replace is refused while its key is kept here', async () => {
    const world = await createCommandWorld()
    const before = new Map(world.service.records)
    expect(await world.vault(['new', ADDRESS, '--replace'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('is not lost'),
    })
    expect(world.service.records).toStrictEqual(before)
  })

  test('--replace without the key makes a new one, removes the old records, and says what is lost', async () => {
    const world = await createCommandWorld()
    await world.put()
    await writeKnownVault(world.home, { address: ADDRESS, key: createUserKey(world.fake) }) // not this one
    const { code, stdout, stderr } = await world.vault(['new', ADDRESS, '--replace'])
    expect(code, stderr).toBe(0)
    expect([...world.service.records.keys()]).toStrictEqual([VAULT_RECORD])
    await expectOpens(world, parse(stdout)['ATPROTO_OAUTH_VAULT_KEY']!)
    expect((await readKnownVaults(world.home)).vaults).toHaveLength(1)
    expect(stderr).toMatch(/warning: the sessions in the vault that was replaced are lost;.* stay valid/)
  })

  test('records without the vault’s own count as one', async () => {
    const world = await createCommandWorld()
    await world.put()
    world.service.set(VAULT_RECORD, undefined)
    await writeKnownVault(world.home, { address: ADDRESS, key: createUserKey(world.fake) })
    expect(await world.vault(['new', ADDRESS])).toMatchObject({ code: 2, stdout: '' })
    expect(world.service.records.size).toBe(1)
  })
})

describe('an interrupted or failed run', () => {
  test('with the request rejected leaves nothing, here neither', async () => {
    const world = await createCommandWorld(false)
    world.setHooks({ before: ({ operation }) => (operation === 'swap' ? 'refused' : undefined) })
    const { code, stderr } = await world.vault(['new', ADDRESS])
    expect(code, stderr).toBe(4)
    expect(stderr).toContain('[VAULT_REFUSED]')
    expect(world.service.records.size).toBe(0)
    expect((await readKnownVaults(world.home)).vaults).toStrictEqual([])
  })

  test('the key is on the disk before the vault is', async () => {
    const world = await createCommandWorld(false)
    let keyBefore: string | undefined
    world.setHooks({
      async before({ operation }) {
        if (operation === 'swap') keyBefore = (await readKnownVaults(world.home)).vaults[0]?.key
        return undefined
      },
    })
    const { stdout } = await world.vault(['new', ADDRESS])
    expect(parse(stdout)['ATPROTO_OAUTH_VAULT_KEY']).toBe(keyBefore)
  })

  test.each(['lost-before', 'lost-after'] as const)('a request that was %s is found out', async (fault) => {
    const world = await createCommandWorld(false)
    let faults = 1
    world.setHooks({ before: ({ operation }) => (operation === 'swap' && faults-- > 0 ? fault : undefined) })
    const { code, stdout, stderr } = await world.vault(['new', ADDRESS])
    expect(code, stderr).toBe(0)
    await expectOpens(world, parse(stdout)['ATPROTO_OAUTH_VAULT_KEY']!)
  })

  test('a vault that may have been made is finished by the next run', async () => {
    const world = await createCommandWorld(false)
    let isSwapped = false
    world.setHooks({
      before({ operation }) {
        if (isSwapped) return 'unreachable'
        isSwapped = operation === 'swap'
        return isSwapped ? 'lost-after' : undefined
      },
    })
    expect(await world.vault(['new', ADDRESS])).toMatchObject({ code: 3, stdout: '' })
    const [{ key, unconfirmed } = { key: '' }] = (await readKnownVaults(world.home)).vaults
    expect(unconfirmed).toBe(true)
    expect(await readKnownVault(world.home)).toBeUndefined()
    const made = world.service.records.get(VAULT_RECORD)
    world.setHooks({})
    const { code, stdout, stderr } = await world.vault(['new', ADDRESS])
    expect(code, stderr).toBe(0)
    expect(parse(stdout)['ATPROTO_OAUTH_VAULT_KEY']).toBe(key)
    expect(world.service.records.get(VAULT_RECORD)).toBe(made)
    await expectOpens(world, key)
  })

  test('of two at once, one makes it, and the other changes nothing', async () => {
    const world = await createCommandWorld(false)
    const other = await createUserKey(world.fake)
    let isFirst = true
    world.setHooks({
      before({ operation }) {
        if (operation === 'swap' && isFirst) world.service.set(VAULT_RECORD, other)
        if (operation === 'swap') isFirst = false
        return undefined
      },
    })
    expect(await world.vault(['new', ADDRESS])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('already exists'),
    })
    expect(world.service.records.get(VAULT_RECORD)).toBe(other)
    expect((await readKnownVaults(world.home)).vaults).toStrictEqual([])
  })
})

test('a variable that names another vault is pointed out', async () => {
  const world = await createCommandWorld(false)
  const { stderr } = await world.vault(['new', ADDRESS], { env: { ATPROTO_OAUTH_VAULT: 'git:/srv/other' } })
  expect(stderr).toContain('warning: ATPROTO_OAUTH_VAULT is set to git:/srv/other')
})

describe('in a store that is locked, the service is not asked', () => {
  const locked = async (known: boolean) => {
    const world = await createCommandWorld(known)
    if (!known) world.service.set('f'.repeat(40), 'left')
    const env = { ATPROTO_OAUTH_HOME: world.home, ATPROTO_OAUTH_STORE_KEY: 'correct horse battery staple' }
    expect(await run(world.fake, ['config', 'set', 'encrypt-store', 'passphrase'], { env })).toMatchObject({ code: 0 })
    forgetKeys(world.home)
    return world
  }
  const variables = ({ userKey }: CommandWorld) => ({
    ATPROTO_OAUTH_VAULT: ADDRESS,
    ATPROTO_OAUTH_VAULT_KEY: userKey,
  })

  test.each([
    ['new', false, ['new', ADDRESS]],
    ['new --replace', false, ['new', ADDRESS, '--replace']],
    ['new --replace, with a key of another vault', true, ['new', ADDRESS, '--replace']],
    ['use', false, ['use', ADDRESS]],
    ['rekey', false, ['rekey']],
  ])('%s', async (_, known, args) => {
    const world = await locked(known)
    const { version } = world.service
    const env = args[0] === 'new' ? {} : variables(world)
    const { code, stderr } = await world.vault(args, { env })
    expect([code, stderr]).toStrictEqual([2, expect.stringContaining('[STORE_LOCKED]')])
    expect([world.asked(), world.service.version]).toStrictEqual([0, version])
  })
})
