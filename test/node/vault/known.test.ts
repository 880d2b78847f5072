import { lstat, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { vaultSetting } from '../../../src/node/vault/connect.ts'
import { createUserKey } from '../../../src/node/vault/envelope.ts'
import {
  changeKnownVaults,
  forgetKnownVault,
  readKnownVault,
  readKnownVaults,
  writeKnownVault,
} from '../../../src/node/vault/known.ts'
import { tempFolder as folder } from '../helpers.ts'

const key = () => createUserKey({ randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)) })
const [KEY, OTHER_KEY] = [key(), key()]
const ONE = { address: 'git:https://git.example.com/alice/bot', key: KEY }
const OTHER = { address: 'git:https://git.example.com/alice/other', key: OTHER_KEY }

test('a vault is kept in a file that only its owner can read', async () => {
  const home = await folder()
  expect(await readKnownVault(home)).toBeUndefined()
  await writeKnownVault(home, ONE)
  expect(await readKnownVault(home)).toStrictEqual(ONE)
  expect((await lstat(join(home, 'vault.json'))).mode & 0o777).toBe(0o600)
})

test('the key of the vault before is kept, and goes only when that vault is forgotten', async () => {
  const home = await folder()
  await writeKnownVault(home, ONE)
  await writeKnownVault(home, OTHER)
  expect(await readKnownVault(home)).toStrictEqual(OTHER)
  expect((await readKnownVaults(home)).vaults).toStrictEqual([ONE, OTHER])
  await forgetKnownVault(home)
  expect(await readKnownVault(home)).toBeUndefined()
  expect((await readKnownVaults(home)).vaults).toStrictEqual([ONE])
  await forgetKnownVault(home, ONE.address)
  await expect(lstat(join(home, 'vault.json'))).rejects.toThrow('ENOENT')
})

test('members of a newer version survive a change', async () => {
  const home = await folder()
  const content = { version: 1, current: ONE.address, vaults: [{ ...ONE, label: 'mine' }], future: 1 }
  await writeFile(join(home, 'vault.json'), JSON.stringify(content))
  await writeKnownVault(home, OTHER)
  const after = JSON.parse(await readFile(join(home, 'vault.json'), 'utf8'))
  expect(after).toStrictEqual({ ...content, current: OTHER.address, vaults: [{ ...ONE, label: 'mine' }, OTHER] })
})

test.each([
  ['cut short', (text: string) => text.slice(0, -20)],
  ['with another key', (text: string) => text.replace(KEY, KEY.slice(1))],
  ['of another version', (text: string) => text.replace('"version": 1', '"version": 2')],
  ['with a current vault that is not in it', (text: string) => text.replace('"vaults": [', '"vaults": [], "x": [')],
  ['empty', () => ''],
])('a file %s is an error that names it, and it is left as it is', async (_, damage) => {
  const home = await folder()
  await writeKnownVault(home, ONE)
  const path = join(home, 'vault.json')
  const damaged = damage(await readFile(path, 'utf8'))
  await writeFile(path, damaged)
  for (const work of [readKnownVault, (at: string) => writeKnownVault(at, OTHER), forgetKnownVault]) {
    const error = await work(home).then(
      () => undefined,
      (thrown) => thrown,
    )
    expect(error).toMatchObject({ code: 'STORE_INVALID', facts: { reason: 'record-damaged', path, kind: 'vault' } })
    expect(error.message).not.toContain(KEY.slice(1))
  }
  expect(await readFile(path, 'utf8')).toBe(damaged)
})

test('no links', async () => {
  const home = await folder()
  await writeFile(join(home, 'elsewhere'), '{}')
  await symlink('elsewhere', join(home, 'vault.json'))
  for (const work of [readKnownVault, (at: string) => writeKnownVault(at, ONE)]) {
    await expect(work(home)).rejects.toMatchObject({ code: 'STORE_INVALID', facts: { reason: 'link-unsupported' } })
  }
})

test('two processes at once lose no key', async () => {
  const home = await folder()
  const vaults = Array.from({ length: 5 }, (_, index) => ({ address: `git:/${index}`, key: key() }))
  await Promise.all(vaults.map((vault) => writeKnownVault(home, vault)))
  const known = await readKnownVaults(home)
  expect([...known.vaults].sort((a, b) => a.address.localeCompare(b.address))).toStrictEqual(vaults)
})

test('the environment comes before the machine, and the key of a known address completes it', async () => {
  const home = await folder()
  expect(await vaultSetting({}, home)).toBeUndefined()
  expect(await vaultSetting({}, undefined)).toBeUndefined()
  await writeKnownVault(home, OTHER)
  await writeKnownVault(home, ONE)
  expect(await vaultSetting({}, home)).toStrictEqual({ ...ONE, source: 'machine' })
  const environment = { ATPROTO_OAUTH_VAULT: ` "${OTHER.address}"\r\n`, ATPROTO_OAUTH_VAULT_KEY: `${KEY}\n` }
  expect(await vaultSetting(environment, home)).toStrictEqual({ ...OTHER, key: KEY, source: 'environment' })
  expect(await vaultSetting({ ATPROTO_OAUTH_VAULT: OTHER.address }, home)).toStrictEqual({
    ...OTHER,
    source: 'environment',
  })
  const unknown = { ATPROTO_OAUTH_VAULT: 'git:https://git.example.com/alice/third', ATPROTO_OAUTH_VAULT_KEY: '' }
  for (const where of [home, undefined]) {
    await expect(vaultSetting(unknown, where)).rejects.toMatchObject({
      code: 'VAULT_INVALID',
      facts: { reason: 'vault-key-missing' },
    })
  }
})

test('a vault that may not exist yet is not used', async () => {
  const home = await folder()
  await changeKnownVaults(home, () => ({ vaults: [{ ...ONE, unconfirmed: true }] }))
  expect(await readKnownVault(home)).toBeUndefined()
  expect(await vaultSetting({}, home)).toBeUndefined()
  await expect(vaultSetting({ ATPROTO_OAUTH_VAULT: ONE.address }, home)).rejects.toThrow('no key is set')
  await writeKnownVault(home, ONE)
  expect((await readKnownVaults(home)).vaults).toStrictEqual([ONE])
})
