/** A session goes to the official library and comes back, each side with the one good token in turn. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  atprotoLoopbackClientMetadata,
  NodeOAuthClient,
  type NodeSavedSession,
  requestLocalLock,
} from '@atproto/oauth-client-node'
import { decodeJwt } from 'jose'
import { expect, test } from 'vitest'
import { complete, formatCredentials, type NodeSession, openStoredSession } from '../../src/index.ts'
import { runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { callbackFor, expectFailure, library, newHome, sentByUs } from './support.ts'

const world = connectWorld()
const GET_SESSION = 'com.atproto.server.getSession'

/** That library with one session in its store. */
function officialClient(clientId: string, session: NodeSession) {
  const sessions = new Map<string, NodeSavedSession>([[session.tokenSet.sub, session]])
  const unused = { get: () => undefined, set: () => undefined, del: () => undefined }
  const client = new NodeOAuthClient({
    clientMetadata: atprotoLoopbackClientMetadata(clientId),
    stateStore: unused,
    sessionStore: {
      get: (did) => sessions.get(did),
      set: (did, value) => void sessions.set(did, value),
      del: (did) => void sessions.delete(did),
    },
    requestLock: requestLocalLock,
    handleResolver: world.handleResolverUrl,
    plcDirectoryUrl: world.plcUrl,
    allowHttp: true,
  })
  return { client, sessions }
}

test('export, a renewal and a call by @atproto/oauth-client-node, import, a call and a renewal by us', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  const { credentials } = await complete(await callbackFor(account, home), library(world, home))
  const { clientId, did } = credentials
  const env = { ATPROTO_OAUTH_SESSION: formatCredentials(credentials, 'bundle') }

  const exported = await runCli(['export'], { home, env })
  expect(exported.code, exported.stderr).toBe(0)
  expect(exported.stderr).toContain(`\n  ${clientId}\n`)
  expect(exported.stderr).toContain('warning: delete what is left of it in the environment')
  const value: NodeSession = JSON.parse(exported.stdout)
  expect(decodeJwt(value.tokenSet.access_token)).toMatchObject({
    sub: did,
    client_id: clientId,
    cnf: { jkt: expect.any(String) },
  })

  // The environment has only what is spent, or not ours any more: nobody is asked.
  await world.clearRequests()
  const gone = await runCli(['call', GET_SESSION], { home, env })
  expectFailure(gone, 5, 'SESSION_MISSING')
  expect(gone.stderr).toContain('session: still good')
  expect(await sentByUs(world)).toStrictEqual([])

  const { client, sessions } = officialClient(clientId!, value)
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
  expect(imported.stderr).toContain('delete this session where it came from')

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
