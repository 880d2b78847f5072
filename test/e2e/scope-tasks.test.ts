/**
 * The tasks of test/support/scope-tasks.ts on the real PDS: the scope of each is granted whole, and is enough for its task
 * and for nothing else.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import { nodeRuntime } from '../../src/node/runtime.ts'
import { xrpcError } from '../../src/protocol/xrpc/error.ts'
import type { XrpcRequest } from '../../src/protocol/xrpc/request.ts'
import { openSession } from '../../src/session/open.ts'
import { requestOf, SCOPE_TASKS } from '../support/scope-tasks.ts'
import { signIn } from '../world/person.ts'
import { connectWorld } from '../world/world.ts'
import { newHome } from './support.ts'

const world = connectWorld()
/** PDS 0.4 rejects every OAuth session here, whatever its scope. */
const VERSION_DEPENDENT = ['com.atproto.server.deactivateAccount', 'com.atproto.server.requestEmailConfirmation']

/** A service of direct messages; its DID is its address. */
const chat = createServer((request, response) => {
  const service = { id: '#bsky_chat', type: 'BskyChatService', serviceEndpoint: `http://localhost:${port()}` }
  const body = request.url === '/.well-known/did.json' ? { id: chatDid(), service: [service] } : {}
  response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
})
const port = () => (chat.address() as AddressInfo).port
const chatDid = () => `did:web:localhost%3A${port()}`
beforeAll(() => once(chat.listen(0, 'localhost'), 'listening'))
afterAll(() => chat.close())

function forwarded(request: XrpcRequest): XrpcRequest {
  if (!request.nsid.startsWith('chat.bsky.')) return request
  return { ...request, headers: { ...request.headers, 'atproto-proxy': `${chatDid()}#bsky_chat` } }
}

async function signedIn(scope: string) {
  const [account, home] = [await world.createAccount(), await newHome()]
  const { plcUrl, handleResolverUrl: handleResolver } = world
  const ports = nodeRuntime({ dev: true, plcUrl, handleResolver, home: home.state })
  const { authorizationUrl } = await init(account.handle, { scope }, ports)
  const completed = await complete(await signIn(authorizationUrl.href, account, { consent: true }), ports)
  const session = await openSession(completed.credentials, ports)
  const errorOf = async (request: XrpcRequest) => {
    const response = await session.call(request)
    const body = await response.text()
    return response.ok ? undefined : xrpcError(request.nsid, response, body, ports.now(), session.record(), request)
  }
  return { account, missing: completed.missingScopes, errorOf }
}

test.each(SCOPE_TASKS)('15.16 $task', async ({ scope, does, refused }) => {
  const { account, missing, errorOf } = await signedIn(scope)
  expect(missing).toStrictEqual([])
  const described = await fetch(new URL('/xrpc/com.atproto.server.describeServer', world.pdsUrl))
  const { did: pds } = (await described.json()) as { readonly did: string }
  for (const request of does.filter(({ nsid }) => !VERSION_DEPENDENT.includes(nsid))) {
    const error = await errorOf(forwarded(requestOf(request, account.did, pds)))
    expect(error?.code, `${request.nsid}: ${error?.message}`).not.toBe('PERMISSION_MISSING')
    expect(error?.facts.status, `${request.nsid}: ${error?.message}`).not.toBe(403)
  }
  for (const request of refused.filter(({ nsid }) => !VERSION_DEPENDENT.includes(nsid))) {
    const error = await errorOf(forwarded(requestOf(request, account.did, pds)))
    expect(error?.code, `${request.nsid}: ${error?.message}`).toBe('PERMISSION_MISSING')
  }
})
