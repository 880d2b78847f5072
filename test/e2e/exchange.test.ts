/** A session goes to the official library and comes back, each side with the one good token in turn. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { NodeOAuthClientOptions, NodeSavedSession } from '@atproto/oauth-client-node'
import { parse } from 'dotenv'
import { calculateJwkThumbprint, decodeJwt } from 'jose'
import { expect, test } from 'vitest'
import type { NodeSession } from '../../src/credentials/node-session.ts'
import { formatCredentials } from '../../src/credentials/write.ts'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import { nodeRuntime } from '../../src/node/runtime.ts'
import { generateClientJwk, publicClientJwk } from '../../src/protocol/oauth/client-auth.ts'
import { exportSession } from '../../src/session/export.ts'
import { importSession } from '../../src/session/import.ts'
import { openSession, openStoredSession } from '../../src/session/open.ts'
import { runCli } from '../world/cli.ts'
import { loadOfficialClient } from '../world/packages.ts'
import { signIn } from '../world/person.ts'
import { connectWorld, uniqueHandle } from '../world/world.ts'
import { officialClient } from './official-client.ts'
import { CONSENT, callbackFor, expectFailure, GENERIC, library, newHome, sentByUs } from './support.ts'

const { atprotoLoopbackClientMetadata, JoseKey } = await loadOfficialClient()
const world = connectWorld()
const GET_SESSION = 'com.atproto.server.getSession'

/** That library, with at most one session in its store. */
function clientWith(options: Parameters<typeof officialClient>[1], session?: NodeSession) {
  const sessions = new Map<string, NodeSavedSession>(session && [[session.tokenSet.sub, session]])
  return { client: officialClient(world, options, sessions), sessions }
}

test('export, a refresh and a call by @atproto/oauth-client-node, import, a call and a refresh by us', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  const { credentials } = await complete(await callbackFor(account, home), library(world, home))
  const { clientId, did } = credentials
  const env = { ATPROTO_OAUTH_SESSION: formatCredentials(credentials, 'bundle') }

  const exported = await runCli(['export'], { home, env })
  expect(exported.code, exported.stderr).toBe(0)
  expect(exported.stderr).toContain(`\n  ${clientId}\n`)
  expect(exported.stderr).toContain('warning: delete the session from the environment')
  const value: NodeSession = JSON.parse(exported.stdout)
  expect(decodeJwt(value.tokenSet.access_token)).toMatchObject({
    sub: did,
    client_id: clientId,
    cnf: { jkt: expect.any(String) },
  })

  // The environment has only what is spent, or not ours any more: nobody is asked.
  await world.clearRequests()
  const gone = await runCli(['call', GET_SESSION], { home, env })
  expectFailure(gone, 5, 'SESSION_MISSING', 'alive')
  expect(gone.stderr).toContain('session: still valid')
  expect(await sentByUs(world)).toStrictEqual([])

  const { client, sessions } = clientWith({ clientMetadata: atprotoLoopbackClientMetadata(clientId!) }, value)
  const theirs = await client.restore(did)
  expect((await theirs.fetchHandler(`/xrpc/${GET_SESSION}`)).status).toBe(200)
  expect(sessions.get(did)).toBe(value) // good as it was
  const renewed = await client.restore(did, true)
  expect(await (await renewed.fetchHandler(`/xrpc/${GET_SESSION}`)).json()).toMatchObject({ did })
  const back = sessions.get(did)!
  expect(back.tokenSet.refresh_token).not.toBe(value.tokenSet.refresh_token)

  await writeFile(join(home.path, 'session.json'), JSON.stringify(back))
  const other = ['--client-id', 'http://localhost?scope=atproto']
  expectFailure(await runCli(['import', 'session.json', ...other], { home }), 2, 'CREDENTIALS_MISMATCH')
  const imported = await runCli(['import', '--client-id', clientId!, '--save', 'store'], {
    home,
    stdin: JSON.stringify(back),
  })
  expect(imported, imported.stderr).toMatchObject({ code: 0, stdout: '' })
  expect(imported.stderr).toContain('delete this session in the other program')

  // As it came, and once more with a token of our own.
  const called = await runCli(['call', GET_SESSION], { home })
  expect(JSON.parse(called.stdout)).toMatchObject({ did })
  const ours = await openStoredSession(did, library(world, home))
  expect(ours.record()).toMatchObject({ refreshToken: back.tokenSet.refresh_token, rotation: 2 })
  expect(await runCli(['refresh'], { home })).toMatchObject({ code: 0 })
  const { createdAt } = credentials
  const last = (await openStoredSession(did, library(world, home))).record()
  expect(last).toMatchObject({ createdAt, rotation: 3 })
  expect(last).not.toHaveProperty('ended')
})

test('26.15 a session that @atproto/oauth-client-node has made: import, calls and refreshes with its secp256k1 key, and back', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  const clientId = `http://localhost?${new URLSearchParams({ redirect_uri: 'http://127.0.0.1/callback', scope: GENERIC })}`
  const clientMetadata = atprotoLoopbackClientMetadata(clientId)
  const { client, sessions } = clientWith({ clientMetadata })
  const url = await client.authorize(account.handle, { scope: GENERIC })
  const callback = new URL(await signIn(url.href, account, CONSENT))
  const { did } = (await client.callback(callback.searchParams)).session
  const made = sessions.get(did)!
  expect(made.dpopJwk).toMatchObject({ crv: 'secp256k1' }) // the PDS lists ES256K before ES256

  const imported = await runCli(['import', '--client-id', clientId, '--save', 'store'], {
    home,
    stdin: JSON.stringify(made),
  })
  expect(imported, imported.stderr).toMatchObject({ code: 0, stdout: '' })
  const call = async (env = {}) => {
    const called = await runCli(['call', GET_SESSION], { home, env })
    expect(called.code, called.stderr).toBe(0)
    expect(JSON.parse(called.stdout)).toMatchObject({ did })
  }
  await call()
  expect(await runCli(['refresh'], { home })).toMatchObject({ code: 0 })
  await call()
  const record = (await openStoredSession(did, library(world, home))).record()
  const { thumbprint, dpopPrivateJwk } = record
  expect(record.refreshToken).not.toBe(made.tokenSet.refresh_token)
  expect(dpopPrivateJwk.crv).toBe('secp256k1')
  expect(decodeJwt(record.accessToken!)).toMatchObject({ cnf: { jkt: thumbprint } })
  expect(await calculateJwkThumbprint({ ...dpopPrivateJwk })).toBe(thumbprint)

  // As variables, and as the access token of a parallel job.
  const printed = await runCli(['refresh', '--format', 'dotenv'], { home })
  await call(parse(printed.stdout))
  const lease = parse((await runCli(['lease', '--format', 'dotenv'], { home })).stdout)
  const elsewhere = await runCli(['call', GET_SESSION], { home: await newHome(), env: lease })
  expect(elsewhere.code, elsewhere.stderr).toBe(0)

  const exported = await runCli(['export'], { home })
  expect(exported.code, exported.stderr).toBe(0)
  const value: NodeSession = JSON.parse(exported.stdout)
  expect(value.dpopJwk).toMatchObject({ crv: 'secp256k1', alg: 'ES256K' })
  const back = clientWith({ clientMetadata }, value)
  const theirs = await back.client.restore(did, true)
  expect((await theirs.fetchHandler(`/xrpc/${GET_SESSION}`)).status).toBe(200)

  const again = await runCli(['import', '--client-id', clientId, '--save', 'store'], {
    home,
    stdin: JSON.stringify(back.sessions.get(did)),
  })
  expect(again.code, again.stderr).toBe(0)
  expect(await runCli(['revoke'], { home })).toMatchObject({ code: 0 })
  expect(
    (await theirs.fetchHandler(`/xrpc/${GET_SESSION}`).catch((error: unknown) => error)) as Response,
  ).not.toMatchObject({
    status: 200,
  })
})

test('a session of a confidential client goes there and back with the name of its key', async () => {
  const home = await newHome()
  const account = await world.createAccount()
  const clientJwk = await generateClientJwk()
  const host = uniqueHandle('bot').replace('.test', '.fake.dev')
  const clientId = `https://${host}/client.json`
  const redirectUri = `https://${host}/callback` as const
  const clientMetadata: NodeOAuthClientOptions['clientMetadata'] = {
    client_id: clientId,
    redirect_uris: [redirectUri],
    scope: GENERIC,
    response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token'],
    application_type: 'web',
    dpop_bound_access_tokens: true,
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'ES256',
    jwks: { keys: [publicClientJwk(clientJwk)] },
  }
  const site = join(home.path, 'site')
  await mkdir(site)
  await writeFile(join(site, 'client.json'), JSON.stringify(clientMetadata))
  await world.publish(host, site)

  const { plcUrl, handleResolverUrl: handleResolver } = world
  const ports = nodeRuntime({ home: home.state, plcUrl, handleResolver, dev: true, clientJwk })
  const { authorizationUrl } = await init(account.handle, { clientId, redirectUri, scope: GENERIC }, ports)
  const { credentials } = await complete(await signIn(authorizationUrl.href, account, CONSENT), ports)

  const session = await openSession(credentials, ports)
  const keyset = [await JoseKey.fromImportable(JSON.stringify(clientJwk), clientJwk.kid)]
  const values: NodeSession[] = []
  await exportSession(session, async (value) => void values.push(value), {}, ports)
  const { client, sessions } = clientWith({ clientMetadata, keyset }, values[0]!)
  const theirs = await client.restore(session.did, true)
  expect((await theirs.fetchHandler(`/xrpc/${GET_SESSION}`)).status).toBe(200)

  const back = await importSession(sessions.get(session.did), { clientId }, ports)
  expect(back.clientKey).toStrictEqual(credentials.clientKey)
  const again = await openSession(back, ports)
  await again.refresh()
  expect((await again.call({ nsid: GET_SESSION })).status).toBe(200)
})
