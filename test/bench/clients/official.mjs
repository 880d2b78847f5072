// @atproto/oauth-client-node, its stores in memory.
import { atprotoLoopbackClientMetadata, NodeOAuthClient, requestLocalLock } from '@atproto/oauth-client-node'
import { bodyOf, REDIRECT_URI, SCOPE, serve } from './serve.mjs'

const [plcDirectoryUrl] = process.argv.slice(2)
const store = () => {
  const values = new Map()
  return {
    get: (key) => values.get(key),
    set: (key, value) => void values.set(key, value),
    del: (key) => void values.delete(key),
  }
}
const query = new URLSearchParams({ redirect_uri: REDIRECT_URI, scope: SCOPE })
const client = new NodeOAuthClient({
  clientMetadata: atprotoLoopbackClientMetadata(`http://localhost?${query}`),
  stateStore: store(),
  sessionStore: store(),
  requestLock: requestLocalLock,
  plcDirectoryUrl,
})
let session
await serve({
  init: async (handle) => (await client.authorize(handle, { scope: SCOPE })).href,
  complete: async (callback) => {
    ;({ session } = await client.callback(new URL(callback).searchParams))
  },
  call: async (path) => bodyOf(await session.fetchHandler(path)),
  refresh: async () => {
    session = await client.restore(session.did, true)
  },
})
