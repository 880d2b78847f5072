/** Sessions between the library, other libraries and a vault, on the real servers. */
import type { NodeSavedSession } from '@atproto/oauth-client-node'
import { decodeJwt } from 'jose'
import { expect, test } from 'vitest'
import { isOAuthError, type NodeSession, OAuthClient, type OAuthClientOptions } from '../../src/index.ts'
import type { Home } from '../world/cli.ts'
import { runCli } from '../world/cli.ts'
import { loadOfficialClient } from '../world/packages.ts'
import { signIn } from '../world/person.ts'
import { connectWorld } from '../world/world.ts'
import { officialClient } from './official-client.ts'
import { CONSENT, GENERIC, newHome } from './support.ts'
import { newVault, stored } from './vault-support.ts'

const { atprotoLoopbackClientMetadata } = await loadOfficialClient()
const world = connectWorld()
const { plcUrl, handleResolverUrl: handleResolver } = world
const NSID = 'com.atproto.server.getSession'

const clientAt = (home: Home, options: OAuthClientOptions = {}) =>
  new OAuthClient({ home: home.state, plcUrl, handleResolver, dev: true, ...options })

test('a session of @atproto/oauth-client-node with its secp256k1 key: taken over, refreshed, handed back', async () => {
  const account = await world.createAccount()
  const client = clientAt(await newHome())
  const clientId = `http://localhost?${new URLSearchParams({ redirect_uri: 'http://127.0.0.1/callback', scope: GENERIC })}`
  const sessions = new Map<string, NodeSavedSession>()
  const official = () => officialClient(world, { clientMetadata: atprotoLoopbackClientMetadata(clientId) }, sessions)
  const theirs = official()
  const url = await theirs.authorize(account.handle, { scope: GENERIC })
  const callback = new URL(await signIn(url.href, account, CONSENT))
  const { did } = (await theirs.callback(callback.searchParams)).session
  const made = sessions.get(did)!
  expect(made.dpopJwk).toMatchObject({ crv: 'secp256k1' })

  const session = await client.importSession(JSON.parse(JSON.stringify(made)), { clientId })
  sessions.delete(did)
  expect(await session.query(NSID)).toMatchObject({ did, handle: account.handle })
  await session.refresh()
  expect(await (await client.restore(did)).query(NSID)).toMatchObject({ did })

  // That library has no such keys: the session stays here.
  const refused = await session.handOver('atcute', () => undefined).catch((error: unknown) => error)
  expect(isOAuthError(refused, 'CREDENTIALS_INVALID')).toBe(true)
  expect(await session.query(NSID)).toMatchObject({ did })

  await session.handOver('oauth-client-node', (value: NodeSession) => void sessions.set(did, value as NodeSavedSession))
  const back = await official().restore(did, true)
  expect((await back.fetchHandler(`/xrpc/${NSID}`)).status).toBe(200)
  expect(decodeJwt(sessions.get(did)!.tokenSet.access_token).sub).toBe(did)
  await expect(client.restore(did)).rejects.toMatchObject({ code: 'SESSION_MISSING' })

  const again = await client.importSession(sessions.get(did), { clientId })
  await again.signOut()
  await expect(again.query(NSID)).rejects.toMatchObject({ code: 'SESSION_DEAD' })
})

test('a vault: given as an option, named by variables, and chosen with the commands', async () => {
  const account = await world.createAccount()
  const vault = await newVault()
  const { ATPROTO_OAUTH_VAULT: address, ATPROTO_OAUTH_VAULT_KEY: key } = vault.env
  const client = clientAt(await newHome(), { vault: { address, key } })
  const { url } = await client.authorize(account.handle, { scope: GENERIC })
  const session = await client.callback(await signIn(url.href, account, CONSENT))
  expect((await stored(vault)).did).toBe(session.did)

  const elsewhere = await clientAt(await newHome()).restore({ ...vault.env })
  await elsewhere.refresh()
  expect((await stored(vault)).rotation).toBe(1)
  // The first machine finds the new token.
  expect(await session.query(NSID)).toMatchObject({ did: session.did })
  await session.refresh()
  expect((await stored(vault)).rotation).toBe(2)

  const third = await newHome()
  const chosen = await runCli(['vault', 'use', address], { home: third, stdin: `${key}\n` })
  expect(chosen.code, chosen.stderr).toBe(0)
  expect((await clientAt(third).restore(account.handle)).did).toBe(session.did)
  await expect(clientAt(third, { vault: false }).restore()).rejects.toMatchObject({ code: 'SESSION_MISSING' })
  await session.signOut()
  const used = clientAt(third)
    .restore()
    .then((restored) => restored.query(NSID))
  await expect(used).rejects.toMatchObject({ code: expect.stringMatching(/SESSION_(DEAD|MISSING)/) })
})
