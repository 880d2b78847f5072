/** `config set encrypt-store`, with a store and a keychain of the test's own. */
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import type { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { forgetKeys } from '../../../src/node/store/cipher.ts'
import { readKnownVault, writeKnownVault } from '../../../src/node/vault/known.ts'
import { tempFolder } from '../../node/helpers.ts'
import { run } from '../../support/cli.ts'
import { createFakeWorld } from '../../support/fake-atproto.ts'

const KEY = 'canary-vault-key-'.padEnd(43, 'x')
/** As `openssl rand -hex 32` prints them: what people choose is stretched for half a second each time. */
const [FIRST, SECOND] = ['1'.repeat(64), '2'.repeat(64)]

/** `secret-tool` with one entry, which is locked while there is a file of that name. */
const SECRET_TOOL = `#!/bin/sh
cd "$(dirname "$0")" || exit 1
case "$1" in
  store) [ ! -e locked ] || { echo 'Cannot create an item in a locked collection' >&2; exit 1; }; cat > entry ;;
  lookup) [ -e entry ] && [ ! -e locked ] && cat entry ;;
  search) [ ! -e entry ] || echo '[/1]' ;;
  clear) [ -e kept ] || rm -f entry ;;
esac
`

async function newStore() {
  const home = join(await tempFolder(), 'home')
  const bin = await tempFolder()
  await writeFile(join(bin, 'secret-tool'), SECRET_TOOL)
  await chmod(join(bin, 'secret-tool'), 0o755)
  await writeKnownVault(home, { address: 'redis://vault.fake.dev', key: KEY })
  const config = (args: readonly string[], variables: Record<string, string> = {}, stdin: string | Readable = '') => {
    forgetKeys(home) // each run is a process
    const env = { ATPROTO_OAUTH_HOME: home, PATH: `${bin}${delimiter}${process.env['PATH']}`, ...variables }
    return run(createFakeWorld(), ['config', ...args], { env, stdin })
  }
  return { home, bin, config, stored: () => readFile(join(home, 'vault.json'), 'utf8') }
}

describe('config set encrypt-store', () => {
  test('passphrase: from the variable; everything is encrypted, and config get says so', async () => {
    const { home, config, stored } = await newStore()
    const variables = { ATPROTO_OAUTH_STORE_KEY: FIRST }
    const set = await config(['set', 'encrypt-store', 'passphrase'], variables)
    expect(set).toMatchObject({ code: 0, stdout: '' })
    expect(set.stderr).toContain('1 file is encrypted now\n')
    expect(await stored()).toMatch(/^eyJ/)
    expect(await config(['get', 'encrypt-store'])).toMatchObject({ code: 0, stdout: 'passphrase\n' })
    expect((await config(['list'], variables)).stdout).toMatch(
      RegExp(`^encrypt-store +passphrase +${home}/store-encryption.json$`, 'm'),
    )
    const locked = await config(['get', 'vault'])
    expect(locked.stderr).toMatch(/the store is encrypted, and no passphrase is set; nothing was sent \[STORE_LOCKED\]/)
    expect(locked.code).not.toBe(0)
    expect(await config(['get', 'vault'], variables)).toMatchObject({ code: 0, stdout: 'redis://vault.fake.dev\n' })

    expect(await config(['unset', 'encrypt-store'], variables)).toMatchObject({ code: 0 })
    expect(await stored()).toContain(KEY)
    expect((await config(['get', 'encrypt-store'])).code).not.toBe(0)
  })

  test('another passphrase is read from stdin, and the old one does not open the store any more', async () => {
    const { home, config } = await newStore()
    await config(['set', 'encrypt-store', 'passphrase'], { ATPROTO_OAUTH_STORE_KEY: FIRST })
    const changed = await config(
      ['set', 'encrypt-store', 'passphrase'],
      { ATPROTO_OAUTH_STORE_KEY: FIRST },
      `${SECOND}\n`,
    )
    expect(changed).toMatchObject({ code: 0, stdout: '' })
    const wrong = await config(['set', 'encrypt-store', 'off'], { ATPROTO_OAUTH_STORE_KEY: FIRST })
    expect(wrong).toMatchObject({ code: 2, stdout: '' })
    expect(wrong.stderr).toMatch(/the passphrase of the store is wrong; nothing was changed \[STORE_LOCKED\]/)
    expect(await config(['set', 'encrypt-store', 'off'], { ATPROTO_OAUTH_STORE_KEY: SECOND })).toMatchObject({
      code: 0,
    })
    expect(await readKnownVault(home)).toMatchObject({ key: KEY })
  })

  test.each([
    [{}, 'the new passphrase is missing: stdin is empty', 'set ATPROTO_OAUTH_STORE_KEY to the new passphrase'],
    [{ ATPROTO_OAUTH_STORE_KEY: 'short' }, 'the passphrase is shorter than 12 characters', '--help'],
  ])('passphrase with %j is rejected', async (variables, message, hint) => {
    const { config, stored } = await newStore()
    const { code, stdout, stderr } = await config(['set', 'encrypt-store', 'passphrase'], variables)
    expect([code, stdout]).toStrictEqual([2, ''])
    expect(stderr).toContain(message)
    expect(stderr).toContain(hint)
    expect(await stored()).toContain(KEY)
  })

  test('keychain: locked, it changes nothing', async () => {
    const { home, bin, config, stored } = await newStore()
    await writeFile(join(bin, 'locked'), '')
    const locked = await config(['set', 'encrypt-store', 'keychain'])
    expect(locked).toMatchObject({ code: 2, stdout: '' })
    expect(locked.stderr).toMatch(
      /the keychain is locked: Cannot create an item.*; nothing was changed \[STORE_LOCKED\]/,
    )
    expect(await stored()).toContain(KEY)
    await expect(readFile(join(home, 'store-encryption.json'), 'utf8')).rejects.toMatchObject({ code: 'ENOENT' })
    expect((await config(['get', 'encrypt-store'])).code).not.toBe(0)
  })

  test('keychain, and back: the entry is removed with the last file that needs it', async () => {
    const { bin, config, stored } = await newStore()
    expect(await config(['set', 'encrypt-store', 'keychain'])).toMatchObject({ code: 0 })
    expect(await stored()).toMatch(/^eyJ/)
    expect(await readFile(join(bin, 'entry'), 'utf8')).toMatch(/^[0-9a-f]{64}$/)
    expect(await config(['get', 'vault'])).toMatchObject({ stdout: 'redis://vault.fake.dev\n' })
    expect(await config(['set', 'encrypt-store', 'off'])).toMatchObject({ code: 0 })
    await expect(readFile(join(bin, 'entry'), 'utf8')).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await stored()).toContain(KEY)
  })

  test('keychain, and back: if it is locked when the entry is to be removed, the same command goes on', async () => {
    const { home, bin, config, stored } = await newStore()
    await config(['set', 'encrypt-store', 'keychain'])
    await writeFile(join(bin, 'kept'), '') // it opens the store, and cannot be changed
    const kept = await config(['unset', 'encrypt-store'])
    expect(kept).toMatchObject({ code: 2, stdout: '' })
    expect(kept.stderr).toMatch(
      /the keychain is locked; stored sessions can still be read; the same command continues \[STORE_LOCKED\]/,
    )
    expect(await stored()).toContain(KEY)
    await rm(join(bin, 'kept'))
    expect(await config(['unset', 'encrypt-store'])).toMatchObject({ code: 0 })
    await expect(readFile(join(bin, 'entry'), 'utf8')).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await readdir(home)).not.toContain('store-encryption.json')
  })

  test('a damaged file of the settings is found before anything is encrypted', async () => {
    const { home, config, stored } = await newStore()
    await writeFile(join(home, 'config.json'), '{', { mode: 0o600 })
    const failed = await config(['set', 'encrypt-store', 'passphrase'], { ATPROTO_OAUTH_STORE_KEY: FIRST })
    expect(failed).toMatchObject({ code: 2, stdout: '' })
    expect(await stored()).toContain(KEY)
  })

  test('without a keychain, it says what is needed', async () => {
    const { config, stored } = await newStore()
    const { code, stderr } = await config(['set', 'encrypt-store', 'keychain'], { PATH: '/nowhere' })
    expect(code).toBe(2)
    expect(stderr).toMatch(/cannot run secret-tool.*\[STORE_LOCKED\]\n.*install secret-tool/)
    expect(await stored()).toContain(KEY)
  })
})

test('a setting that the store does not follow is reported', async () => {
  const home = join(await tempFolder(), 'home')
  await mkdir(home, { mode: 0o700 })
  await writeFile(join(home, 'config.json'), '{ "encrypt-store": "keychain" }', { mode: 0o600 })
  const got = await run(createFakeWorld(), ['config', 'get', 'encrypt-store'], { env: { ATPROTO_OAUTH_HOME: home } })
  expect(got).toMatchObject({ code: 2, stdout: '' })
  expect(got.stderr).toContain('is keychain, and the store is not encrypted')
  expect(got.stderr).toContain('atproto-oauth config set encrypt-store keychain')
})

test('a store that was encrypted in another way is used only when the setting says so', async () => {
  const { home, config } = await newStore()
  const variables = { ATPROTO_OAUTH_STORE_KEY: FIRST }
  await config(['set', 'encrypt-store', 'passphrase'], variables)
  const settings = join(home, 'config.json')
  await writeFile(settings, (await readFile(settings, 'utf8')).replace('passphrase', 'keychain'))
  const env = { ATPROTO_OAUTH_HOME: home, ...variables }
  forgetKeys(home)
  const world = createFakeWorld()
  const failed = await run(world, ['init', world.alice.did], { env })
  expect(failed).toMatchObject({ code: 2, stdout: '' })
  expect(failed.stderr).toMatch(
    /encrypted with a passphrase, but encrypt-store in .*config.json is keychain; nothing was sent/,
  )
  expect(failed.stderr).toContain('hint: atproto-oauth config set encrypt-store keychain\n')
  const got = await config(['get', 'encrypt-store'], variables)
  expect(got.stderr).toContain('is keychain, and the store is encrypted with a passphrase')
  forgetKeys(home)
  const { stdout } = await run(createFakeWorld(), ['doctor'], { env })
  expect(stdout).toMatch(/the store is encrypted with a passphrase, but/)
})
