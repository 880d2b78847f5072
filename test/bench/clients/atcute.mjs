// @atcute/oauth-node-client, its stores in memory.
import {
  CompositeDidDocumentResolver,
  CompositeHandleResolver,
  LocalActorResolver,
  PlcDidDocumentResolver,
  WellKnownHandleResolver,
} from '@atcute/identity-resolver'
import { NodeDnsHandleResolver } from '@atcute/identity-resolver-node'
import { MemoryStore, OAuthClient } from '@atcute/oauth-node-client'
import { bodyOf, REDIRECT_URI, SCOPE, serve } from './serve.mjs'

const [apiUrl] = process.argv.slice(2)
const client = new OAuthClient({
  metadata: { redirect_uris: [REDIRECT_URI], scope: SCOPE },
  stores: { sessions: new MemoryStore(), states: new MemoryStore() },
  actorResolver: new LocalActorResolver({
    handleResolver: new CompositeHandleResolver({
      methods: { dns: new NodeDnsHandleResolver(), http: new WellKnownHandleResolver() },
    }),
    didDocumentResolver: new CompositeDidDocumentResolver({ methods: { plc: new PlcDidDocumentResolver({ apiUrl }) } }),
  }),
})
let session
await serve({
  init: async (identifier) => (await client.authorize({ target: { type: 'account', identifier } })).url.href,
  complete: async (callback) => {
    ;({ session } = await client.callback(new URL(callback).searchParams))
  },
  call: async (path) => bodyOf(await session.handle(path)),
  refresh: async () => {
    session = await client.restore(session.did, { refresh: true })
  },
})
