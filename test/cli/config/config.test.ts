/** The commands that show and change the user's settings. */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { changeKnownVaults, readKnownVault, writeKnownVault } from '../../../src/node/vault/known.ts'
import { tempFolder } from '../../node/helpers.ts'
import { run } from '../../support/cli.ts'
import { createFakeWorld } from '../../support/fake-atproto.ts'

const CLIENT = 'https://app.fake.dev/oauth-client-metadata.json'

async function newHome(settings?: object | string) {
  const home = join(await tempFolder(), 'home')
  const path = join(home, 'config.json')
  if (settings !== undefined) {
    await mkdir(home, { mode: 0o700 })
    await writeFile(path, typeof settings === 'string' ? settings : JSON.stringify(settings), { mode: 0o600 })
  }
  const config = (args: readonly string[], variables: Record<string, string> = {}) =>
    run(createFakeWorld(), ['config', ...args], { env: { ATPROTO_OAUTH_HOME: home, ...variables } })
  return { home, path, config, content: async () => JSON.parse(await readFile(path, 'utf8')) }
}

describe('config set', () => {
  test.each([
    ['client-id', [CLIENT], CLIENT],
    ['redirect-uri', ['https://app.fake.dev/callback'], 'https://app.fake.dev/callback'],
    ['account', ['alice.fake.dev'], 'alice.fake.dev'],
    ['account', [' did:plc:bbbbbbbbbbbbbbbbbbbbbbbb\r\n'], 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb'],
    ['save', ['store', 'gh:alice/bot'], ['store', 'gh:alice/bot']],
    ['plc-url', ['https://plc.fake.dev'], 'https://plc.fake.dev'],
    ['plc-url', ['http://127.0.0.1:2582', '--dev'], 'http://127.0.0.1:2582'],
    ['handle-resolver', ['https://public.fake.dev'], 'https://public.fake.dev'],
    ['encrypt-store', ['off'], 'off'],
  ] as const)('%s %j: printed by config get, and kept in a private file', async (key, words, value) => {
    const { config, content, path } = await newHome()
    const done = await config(['set', key, ...words])
    expect(done).toStrictEqual({ code: 0, stdout: '', stderr: `${key} is set in ${path}\n` })
    expect(await content()).toStrictEqual({ [key]: value })
    expect((await stat(path)).mode & 0o077).toBe(0)
    const dev = words.at(-1) === '--dev' ? ['--dev'] : []
    const printed = await config(['get', key, ...dev])
    expect(printed).toStrictEqual({ code: 0, stdout: `${[value].flat().join('\n')}\n`, stderr: '' })
    expect(await config(['unset', key])).toMatchObject({ code: 0, stdout: '' })
    await expect(stat(path)).rejects.toThrow()
  })

  test.each([
    [['client-id', 'https://app.fake.dev'], 'client-id: invalid client_id "https://app.fake.dev"', 'use the URL of a'],
    [['client-id', 'http://app.fake.dev/c'], 'client-id: http://app.fake.dev/c is not a loopback client_id', ''],
    [['redirect-uri', 'callback'], 'redirect-uri must be a URI', ''],
    [['redirect-uri', 'https://a.dev/cb?code=1'], 'redirect-uri cannot have the parameter "code"', 'metadata document'],
    [['redirect-uri', 'https://a.dev/cb?x=1&iss=a'], 'redirect-uri cannot have the parameter "iss"', ''],
    [['redirect-uri', 'https://a.dev/cb#x'], 'redirect-uri cannot have a fragment', ''],
    [['redirect-uri', 'https://me:canary@a.dev/cb'], 'redirect-uri cannot have a user name or a password', ''],
    [['save', 'vault'], 'save cannot be vault: no vault is set', 'create one, as in: atproto-oauth vault new git:'],
    [['account', 'https://pds.fake.dev'], 'account: "https://pds.fake.dev" is a server', 'write a handle'],
    [['account', 'alice'], 'account: ', 'write a handle'],
    [['account', 'a.dev', 'b.dev'], 'account has one value, not 2', 'config set account a.dev\n'],
    [['account'], 'the value of account is missing', 'config unset account\n'],
    [['account', ''], 'the value of account is empty', 'config unset account\n'],
    [['save', 'store', ''], 'the value of save is empty', ''],
    [['save', 'stroe'], 'unknown save target "stroe"', 'use store, vault, file:PATH'],
    [['save', 'store,file:/a'], 'unknown save target', 'config set save store file:/a\n'],
    [['save', 'gh:'], 'depends on the current directory', 'gh:alice/bot'],
    [['save', 'vault', 'store'], 'cannot be used with other targets', ''],
    [['plc-url', 'http://plc.fake.dev'], 'plc-url must be an https origin', 'add --dev'],
    [['plc-url', 'https://plc.fake.dev/x'], 'plc-url must be an https origin', ''],
    [
      ['handle-resolver', 'bsky.social'],
      'handle-resolver must be an https origin',
      'set handle-resolver https://bsky.social\n',
    ],
    [['encrypt-store', 'yes'], 'encrypt-store must be off, keychain or passphrase', 'set encrypt-store passphrase\n'],
    [
      ['vault', 'git:https://git.fake.dev/a/b'],
      'no key is kept on this machine for a vault at',
      'vault use git:https:',
    ],
    [['plc-url=https://plc.fake.dev'], 'write the value after it', 'config set plc-url https://plc.fake.dev\n'],
    [['--client-id', CLIENT], '', ''],
    [['clientId', CLIENT], 'did you mean client-id?', `config set client-id ${CLIENT}\n`],
    [['client_id', CLIENT], 'did you mean client-id?', `config set client-id ${CLIENT}\n`],
    [
      ['ATPROTO_OAUTH_CLIENT_ID', CLIENT],
      'is a variable; the setting is client-id',
      `config set client-id ${CLIENT}\n`,
    ],
    [['acount', 'a.dev'], 'did you mean account?', 'config set account a.dev\n'],
    [['home', '/x'], '"home" cannot be kept in the settings', 'set ATPROTO_OAUTH_HOME'],
    [['no-store', '1'], '"no-store" cannot be kept in the settings', 'set ATPROTO_OAUTH_NO_STORE=1'],
    [['ATPROTO_OAUTH_REFRESH_TOKEN', 'canary'], 'cannot be kept in the settings', 'set ATPROTO_OAUTH_REFRESH_TOKEN'],
    [
      ['colour', 'red'],
      'unknown setting "colour"',
      'use one of client-id, redirect-uri, account, save, vault, plc-url',
    ],
  ])('%j is refused, and nothing is written', async (words, message, hint) => {
    const { config, path } = await newHome()
    const { code, stdout, stderr } = await config(['set', ...words])
    expect({ code, stdout }).toStrictEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(message)
    expect(stderr).toContain(hint)
    expect(stderr).not.toContain('canary')
    expect(stderr).not.toContain('session:')
    await expect(stat(path)).rejects.toThrow()
  })

  test('a relative path is kept as an absolute one', async () => {
    const { config, content } = await newHome()
    expect(await config(['set', 'save', 'file:a.env'])).toMatchObject({ code: 0 })
    expect(await content()).toStrictEqual({ save: [`file:${join(process.cwd(), 'a.env')}`] })
  })

  test('a variable that takes its place is named', async () => {
    const { config } = await newHome()
    const { stderr } = await config(['set', 'account', 'alice.fake.dev'], { ATPROTO_OAUTH_ACCOUNT: 'bob.fake.dev' })
    expect(stderr).toContain('warning: ATPROTO_OAUTH_ACCOUNT is set, and overrides this setting')
  })

  test('a redirect URI that the client cannot have is set with a warning, because the client may be set next', async () => {
    const { config } = await newHome({ 'client-id': CLIENT })
    const { code, stderr } = await config(['set', 'redirect-uri', 'http://app.fake.dev/callback'])
    expect(code).toBe(0)
    expect(stderr).toContain('warning: client-id and redirect-uri do not belong together: ')
  })
})

describe('config get', () => {
  test('a setting that is not set is nothing on stdout, and an exit code of its own', async () => {
    const { config } = await newHome()
    const { code, stdout, stderr } = await config(['get', 'plc-url'])
    expect({ code, stdout }).toStrictEqual({ code: 2, stdout: '' })
    expect(stderr).toContain('plc-url is not set; the default is https://plc.directory [SETTING_MISSING]')
    expect((await config(['get', 'plc_url'])).stderr).toContain('[USAGE]')
  })

  test('a variable is what commands use', async () => {
    const { config } = await newHome({ account: 'alice.fake.dev' })
    const variables = { ATPROTO_OAUTH_ACCOUNT: ' "bob.fake.dev"' }
    expect((await config(['get', 'account'], variables)).stdout).toBe('bob.fake.dev\n')
    expect(JSON.parse((await config(['get', 'account', '--json'], variables)).stdout)).toStrictEqual({
      key: 'account',
      value: 'bob.fake.dev',
      source: 'variable',
      origin: 'ATPROTO_OAUTH_ACCOUNT',
    })
  })
})

describe('config list', () => {
  test('each setting with where it comes from', async () => {
    const { config, path } = await newHome({ account: 'alice.fake.dev', save: ['store', 'gh:alice/bot'] })
    const variables = { ATPROTO_OAUTH_HANDLE_RESOLVER: 'https://public.fake.dev' }
    const { code, stdout, stderr } = await config(['list'], variables)
    expect({ code, stderr }).toStrictEqual({ code: 0, stderr: '' })
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/))).toStrictEqual([
      ['client-id', '-', 'default'],
      ['redirect-uri', '-', 'default'],
      ['account', 'alice.fake.dev', path],
      ['save', 'store, gh:alice/bot', path],
      ['vault', '-', 'default'],
      ['plc-url', 'https://plc.directory', 'default'],
      ['handle-resolver', 'https://public.fake.dev', 'ATPROTO_OAUTH_HANDLE_RESOLVER'],
      ['encrypt-store', 'off', 'default'],
      [''],
    ])
    const listed = JSON.parse((await config(['list', '--json'], variables)).stdout)
    expect(listed).toMatchObject({ path, unknown: [] })
    expect(listed.settings[3]).toStrictEqual({
      key: 'save',
      value: ['store', 'gh:alice/bot'],
      source: 'config',
      origin: path,
    })
    expect(listed.settings[5]).toStrictEqual({ key: 'plc-url', value: 'https://plc.directory', source: 'default' })
  })

  test('a variable that is not valid is named, and one with a relative path is valid', async () => {
    const { config } = await newHome({ 'plc-url': 'https://plc.fake.dev' })
    const variables = {
      ATPROTO_OAUTH_PLC_URL: 'plc.fake.dev',
      ATPROTO_OAUTH_SAVE: 'file:a.env\ngh:',
      ATPROTO_OAUTH_VAULT: 'ftp://git.fake.dev',
    }
    const { code, stdout, stderr } = await config(['list'], variables)
    expect(code).toBe(0)
    expect(stdout).toMatch(/^plc-url +not valid +ATPROTO_OAUTH_PLC_URL$/m)
    expect(stdout).toMatch(/^save +file:a\.env, gh: +ATPROTO_OAUTH_SAVE$/m)
    expect(stdout).toMatch(/^vault +not valid +ATPROTO_OAUTH_VAULT$/m)
    expect(stderr).toContain('warning: --plc-url (ATPROTO_OAUTH_PLC_URL) must be an https origin')
  })

  test('values that are not valid and names that are unknown are reported, and can be removed', async () => {
    const { config, path, content } = await newHome({
      'plc-url': 7,
      account: 'https://a.dev',
      colour: 'red',
      vault: 'x',
    })
    const { code, stdout, stderr } = await config(['list'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^plc-url +not valid +/m)
    expect(stderr).toContain(`warning: plc-url in ${path} must be a string: `)
    expect(stderr).toContain(`warning: account in ${path}: "https://a.dev" is a server, not an account: `)
    expect(stderr).toContain(`warning: ${path} has settings that this version does not know: colour, vault`)
    for (const key of ['plc-url', 'colour']) expect(await config(['unset', key])).toMatchObject({ code: 0 })
    expect(await config(['set', 'account', 'alice.fake.dev'])).toMatchObject({ code: 0 })
    expect(await content()).toStrictEqual({ account: 'alice.fake.dev', vault: 'x' })
  })

  test('a file that is no JSON is an error of each of them, and stays as it is', async () => {
    const { config, path } = await newHome('{"account": ')
    for (const args of [['list'], ['get', 'account'], ['set', 'account', 'a.fake.dev'], ['unset', 'account']]) {
      const { code, stdout, stderr } = await config(args)
      expect({ code, stdout }).toStrictEqual({ code: 2, stdout: '' })
      expect(stderr).toContain(`${path} is not valid JSON`)
      expect(stderr).toContain('[STORE_INVALID]')
    }
    expect(await readFile(path, 'utf8')).toBe('{"account": ')
  })
})

describe('the setting vault', () => {
  const KEY = Buffer.alloc(32, 7).toString('base64url')
  const [ONE, TWO] = ['git:https://git.fake.dev/a/one', 'git:https://git.fake.dev/a/two'] as const

  test('is the vault in use of those whose keys are kept, and nothing of the file', async () => {
    const { home, config, path } = await newHome()
    for (const address of [ONE, TWO]) await writeKnownVault(home, { address, key: KEY })
    expect((await config(['get', 'vault'])).stdout).toBe(`${TWO}\n`)
    expect(await config(['set', 'vault', ONE])).toMatchObject({ code: 0, stderr: `the vault at ${ONE} is used\n` })
    expect((await readKnownVault(home))?.address).toBe(ONE)
    expect((await config(['list'])).stdout).toMatch(RegExp(`^vault +${ONE} +${join(home, 'vault.json')}$`, 'm'))
    expect(await config(['unset', 'vault'])).toMatchObject({ code: 0 })
    expect(await readKnownVault(home)).toBeUndefined()
    expect((await config(['get', 'vault'])).stderr).toContain('vault is not set [SETTING_MISSING]')
    // Its key was kept.
    expect(await config(['set', 'vault', TWO])).toMatchObject({ code: 0 })
    await expect(stat(path)).rejects.toThrow()
    expect((await config(['get', 'vault'], { ATPROTO_OAUTH_VAULT: ONE })).stdout).toBe(`${ONE}\n`)
  })

  test('has to be set for the save target vault, and a save target without it is named', async () => {
    const { home, config, path } = await newHome()
    expect(await config(['set', 'save', 'vault'], { ATPROTO_OAUTH_VAULT: ONE })).toMatchObject({ code: 0 })
    await writeKnownVault(home, { address: ONE, key: KEY })
    expect(await config(['set', 'save', 'vault'])).toMatchObject({ code: 0 })
    const { stderr } = await config(['unset', 'vault'])
    expect(stderr).toContain(`warning: save in ${path} is vault: logins fail as long as no vault is set`)
    await config(['set', 'save', 'store'])
    await config(['set', 'vault', ONE])
    expect((await config(['unset', 'vault'])).stderr).not.toContain('warning')
  })

  test('is none whose creation was not finished', async () => {
    const { home, config } = await newHome()
    await changeKnownVaults(home, () => ({ vaults: [{ address: ONE, key: KEY, unconfirmed: true }] }))
    expect(await config(['set', 'vault', ONE])).toMatchObject({ code: 2 })
  })
})
