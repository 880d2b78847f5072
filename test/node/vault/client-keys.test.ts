/** The key of a confidential client lies in the vault with its sessions. */
import { exportJWK, generateKeyPair } from 'jose'
import { expect, test } from 'vitest'
import { complete } from '../../../src/login/complete.ts'
import { init } from '../../../src/login/init.ts'
import { keepClientKey, readClientKey } from '../../../src/node/vault/client-keys.ts'
import type { SessionStore } from '../../../src/ports.ts'
import { openStoredSession } from '../../../src/session/open.ts'
import { saveSession } from '../../../src/session/saving.ts'
import { failure } from '../../support/failure.ts'
import { createVaultWorld, type VaultTestMachine } from '../../support/vault-world.ts'

const CLIENT_ID = 'https://app.fake.dev/oauth-client-metadata.json'
const CLIENT = { clientId: CLIENT_ID, redirectUri: 'https://app.fake.dev/callback', scope: 'atproto' }

async function clientKey(kid: string) {
  const { x, y, d } = await exportJWK((await generateKeyPair('ES256', { extractable: true })).privateKey)
  return { kty: 'EC', crv: 'P-256', x: x!, y: y!, d: d!, kid } as const
}

function withKeys({ store, runtime }: VaultTestMachine, clientJwk?: Awaited<ReturnType<typeof clientKey>>) {
  const methods: Partial<SessionStore> = {
    clientKey: (clientId, name) => readClientKey(clientId, name, store),
    keepClientKey: (clientId, jwk) => keepClientKey(clientId, jwk, store),
  }
  const vault = new Proxy(store, {
    get: (target, name) => Reflect.get(methods, name) ?? bound(target, name),
  }) as SessionStore
  return {
    ...runtime,
    settings: { ...runtime.settings, clientJwk },
    saving: { ...runtime.saving, inVault: true },
    stores: { ...runtime.stores, sessions: vault, vault },
  }
}

function bound(target: object, name: string | symbol): unknown {
  const value: unknown = Reflect.get(target, name)
  return typeof value === 'function' ? value.bind(target) : value
}

test('a login puts the client key into the vault, and a machine without it can refresh', async () => {
  const world = await createVaultWorld()
  const jwk = await clientKey('first')
  const { d, ...published } = jwk
  world.fake.clients.set(CLIENT_ID, {
    redirect_uris: [CLIENT.redirectUri],
    scope: 'atproto',
    jwks: { keys: [published] },
  })
  const one = withKeys(await world.machine(), jwk)
  const { authorizationUrl } = await init('alice.fake.dev', CLIENT, one)
  const { credentials } = await complete(world.fake.authorize(authorizationUrl), one)
  await saveSession(credentials, undefined, one)
  expect([...world.service.records.values()].filter((text) => text.includes(d))).toStrictEqual([])

  const two = withKeys(await world.machine())
  await (await openStoredSession(undefined, two)).refresh()
  expect(world.fake.sessions.map(({ endedBecause }) => endedBecause)).toStrictEqual([undefined])

  const foreign = withKeys(await world.machine(), await clientKey('second'))
  await (await openStoredSession(undefined, foreign)).refresh()
  expect(world.fake.sessionAlive(credentials.did)).toBe(true)

  const { kid } = jwk
  const store = (await world.machine()).store
  const read = await readClientKey(CLIENT_ID, { kid }, store)
  expect(read).toStrictEqual(jwk)
  expect(await readClientKey(CLIENT_ID, { kid: 'second' }, store)).toBeUndefined()
})

test('a record that was put under the name of a client key is refused', async () => {
  const world = await createVaultWorld()
  const { store } = await world.machine()
  await keepClientKey(CLIENT_ID, await clientKey('first'), store)
  const [[name] = []] = [...world.service.records].filter(([each]) => each !== 'vault')
  world.service.set(name!, world.service.records.get('vault'))
  const error = await failure(readClientKey(CLIENT_ID, { kid: 'first' }, store))
  expect(error).toMatchObject({ code: 'VAULT_INVALID', facts: { reason: 'vault-damaged' } })
})
