import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseVaultAddress } from '../../../src/node/vault/address.ts'
import { connectEngine, isSameAddress, normalizeAddress, vaultSetting } from '../../../src/node/vault/connect.ts'
import { createUserKey } from '../../../src/node/vault/envelope.ts'
import { writeKnownVault } from '../../../src/node/vault/known.ts'
import { parseRedisAddress, redisLogin } from '../../../src/node/vault/redis-address.ts'
import { failure } from '../../support/failure.ts'
import { shown, tempFolder } from '../helpers.ts'

const CANARY = 'canary-5d1f'
const KEY = createUserKey({ randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)) })

test.each([
  ['redis://localhost', 'redis://localhost', 'localhost', 6379, 0, 'atproto-oauth:'],
  ['redis://Redis.Example.com:6379/0/', undefined],
  ['redis://Redis.Example.com:6379/', 'redis://redis.example.com', 'redis.example.com', 6379, 0, 'atproto-oauth:'],
  ['rediss://u:p%40@[::1]:6380/12', 'rediss://[::1]:6380/12', '::1', 6380, 12, 'atproto-oauth:'],
  ['redis://127.0.0.1/00?prefix=atproto-oauth:', 'redis://127.0.0.1', '127.0.0.1', 6379, 0, 'atproto-oauth:'],
  ['redis://h?prefix=bot/a%26b:', 'redis://h?prefix=bot%2Fa%26b:', 'h', 6379, 0, 'bot/a&b:'],
])('%s', (text, normalized, ...[host, port, database, prefix]) => {
  if (normalized === undefined) return void expect(() => parseRedisAddress(text)).toThrow(/database number/)
  const address = parseRedisAddress(text)
  expect(address).toMatchObject({ kind: 'redis', text: normalized, host, port, database, prefix })
  expect(address.isEncrypted).toBe(text.startsWith('rediss:'))
  expect(parseRedisAddress(address.text)).toStrictEqual({ ...address, login: undefined })
})

test('user and password are no part of what is printed and compared', async () => {
  const text = `redis://bot:${CANARY}%2F@h/1`
  expect(await normalizeAddress(text, {})).toBe('redis://h/1')
  expect(await isSameAddress(text, 'redis://other:secret@h/1', {})).toBe(true)
  expect(await isSameAddress(text, 'redis://h/2', {})).toBe(false)
  expect(redisLogin(parseRedisAddress(text).login!)).toStrictEqual({ user: 'bot', password: `${CANARY}/` })
  expect(redisLogin(parseRedisAddress('redis://:pw@h').login!)).toStrictEqual({ user: undefined, password: 'pw' })
  expect(redisLogin(parseRedisAddress('redis://bot@h').login!)).toStrictEqual({ user: 'bot', password: undefined })
  expect((await connectEngine(text, { environment: {}, cache: '/nowhere' })).address).toBe('redis://h/1')
})

test.each([
  `redis:${CANARY}@h`,
  `redis://`,
  `redis://:${CANARY}`,
  `redis://:${CANARY}@`,
  `redis://:a/${CANARY}@h`,
  `redis://:a#${CANARY}@h`,
  `redis://:a?${CANARY}@h`,
  `redis://:%zz${CANARY}@h`,
  `redis://:${CANARY}@h:1x`,
  `redis://:${CANARY}@h/name`,
  `redis://:${CANARY}@h?password=${CANARY}`,
  `redis://:${CANARY}@h?prefix=`,
  `redis://:${CANARY}@h?prefix=a%20b`,
  `redis://:${CANARY}@h?prefix=a&prefix=b`,
  `redis://:${CANARY}@h%20i`,
  `redis://:${CANARY}\n@h`,
])('rejected, without its password: %j', async (text) => {
  const error = await failure(parseVaultAddress(text))
  expect(error).toMatchObject({ code: 'USAGE', facts: { reason: 'redis-address-malformed' } })
  expect(shown(error)).not.toContain(CANARY)
})

test.each([`valkey://u:${CANARY}@h`, `valkey://u:/${CANARY}@h`, `Redis://:a /${CANARY}@h`, `x:${CANARY}@h`])(
  'of an unknown kind, without its password: %s',
  async (text) => {
    const error = await failure(parseVaultAddress(text))
    expect(error).toMatchObject({ code: 'USAGE', facts: { reason: 'vault-address-malformed' } })
    expect(shown(error)).not.toContain(CANARY)
  },
)

test('user and password are kept apart from the address, and complete one without them', async () => {
  const home = await tempFolder()
  const [address, login] = ['redis://h', `bot:${CANARY}`]
  await writeKnownVault(home, { address, key: KEY, login })
  expect(await vaultSetting({}, home)).toStrictEqual({ address, key: KEY, login, source: 'machine' })
  expect(JSON.parse(await readFile(join(home, 'vault.json'), 'utf8'))).toMatchObject({ current: address })
  const setting = (ATPROTO_OAUTH_VAULT: string) => vaultSetting({ ATPROTO_OAUTH_VAULT }, home)
  expect(await setting('redis://H:6379/0')).toStrictEqual({ address, key: KEY, login, source: 'environment' })
  expect(await setting('redis://:other@h')).toMatchObject({ address, login: ':other' })
  const error = await failure(setting(`redis://:${CANARY}@other`))
  expect(error).toMatchObject({ code: 'VAULT_INVALID', message: 'no key is set for the vault at redis://other' })
  const both = { ATPROTO_OAUTH_VAULT: `redis://:${CANARY}@h`, ATPROTO_OAUTH_VAULT_KEY: KEY }
  expect(await vaultSetting(both, undefined)).toStrictEqual({
    address,
    key: KEY,
    login: `:${CANARY}`,
    source: 'environment',
  })
})
