/** `@atproto/oauth-client-node` on the servers of a world, with its stores in memory. */
import type { NodeOAuthClientOptions, NodeSavedSession, NodeSavedState } from '@atproto/oauth-client-node'
import type { WorldAddresses } from '../world/main.ts'
import { loadOfficialClient } from '../world/packages.ts'

const { NodeOAuthClient, requestLocalLock } = await loadOfficialClient()

export function officialClient(
  { handleResolverUrl, plcUrl }: WorldAddresses,
  options: Pick<NodeOAuthClientOptions, 'clientMetadata' | 'keyset'>,
  sessions: Map<string, NodeSavedSession>,
) {
  const logins = new Map<string, NodeSavedState>()
  return new NodeOAuthClient({
    ...options,
    stateStore: {
      get: (state) => logins.get(state),
      set: (state, value) => void logins.set(state, value),
      del: (state) => void logins.delete(state),
    },
    sessionStore: {
      get: (did) => sessions.get(did),
      set: (did, value) => void sessions.set(did, value),
      del: (did) => void sessions.delete(did),
    },
    requestLock: requestLocalLock,
    handleResolver: handleResolverUrl,
    plcDirectoryUrl: plcUrl,
    allowHttp: true,
  })
}
