/** GNOME Keyring itself, locked, unlocked and gone. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Keychain } from '../../../src/node/keychain/keychain.ts'
import { systemKeychain } from '../../../src/node/keychain/system.ts'
import { failure } from '../../support/failure.ts'
import { lacksSecretService, openSecretService, type SecretService } from '../../support/secret-service.ts'

const SECRET = new Uint8Array(randomBytes(32))

describe.skipIf(lacksSecretService())('GNOME Keyring', () => {
  let service: SecretService
  let keychain: Keychain
  beforeAll(async () => {
    service = await openSecretService()
    keychain = await systemKeychain({ environment: service.env, isInteractive: false }, 'linux')
  })
  afterAll(() => service.close())
  beforeEach(() => service.unlock())

  test('a secret is there until it is removed, and what is stored twice has the second value', async () => {
    expect(await keychain.isThere()).toBe(true)
    expect(await failure(keychain.read('one', undefined))).toMatchObject({
      facts: { reason: 'keychain-entry-missing' },
    })
    await keychain.store('one', 'label', new Uint8Array(32))
    await keychain.store('one', 'label', SECRET)
    await keychain.store('other', 'label', new Uint8Array(32))
    expect(await keychain.read('one', undefined)).toStrictEqual(SECRET)
    await keychain.remove('one')
    await keychain.remove('one')
    expect(await failure(keychain.read('one', undefined))).toMatchObject({
      facts: { reason: 'keychain-entry-missing' },
    })
    expect(await keychain.read('other', undefined)).toStrictEqual(new Uint8Array(32))
  })

  test('locked, it is there, and gives, takes and loses nothing', async () => {
    await keychain.store('locked', 'label', SECRET)
    await service.lock()
    expect(await keychain.isThere()).toBe(true)
    for (const attempt of [
      () => keychain.read('locked', undefined),
      () => keychain.store('another', 'label', SECRET),
      () => keychain.remove('locked'),
    ]) {
      expect(await failure(attempt())).toMatchObject({ code: 'STORE_LOCKED', facts: { reason: 'keychain-locked' } })
    }
    await service.unlock()
    expect(await keychain.read('locked', undefined)).toStrictEqual(SECRET)
  })

  test('gone, it is missing; when it is back, it has what was stored', async () => {
    await keychain.store('kept', 'label', SECRET)
    await service.stop()
    expect(await keychain.isThere()).toBe(false)
    for (const attempt of [() => keychain.read('kept', undefined), () => keychain.store('kept', 'label', SECRET)]) {
      expect(await failure(attempt())).toMatchObject({ code: 'STORE_LOCKED', facts: { reason: 'keychain-missing' } })
    }
    await service.start()
    expect(await keychain.read('kept', undefined)).toStrictEqual(SECRET)
  })

  test('without a message bus it is missing', async () => {
    const { PATH } = service.env
    const none = await systemKeychain({ environment: { PATH }, isInteractive: false }, 'linux')
    expect(await none.isThere()).toBe(false)
    expect(await failure(none.read('one', undefined))).toMatchObject({ facts: { reason: 'keychain-missing' } })
  })
})

test('without its program there is no keychain', async () => {
  const keychain = await systemKeychain({ environment: { PATH: '/nowhere' }, isInteractive: false }, 'linux')
  expect(await keychain.isThere()).toBe(false)
  const error = await failure(keychain.store('one', 'label', SECRET))
  expect(error).toMatchObject({ code: 'STORE_LOCKED', facts: { reason: 'keychain-missing' } })
  expect(error.message).toBe('cannot run secret-tool; nothing was sent')
})
