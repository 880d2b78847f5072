/** Identities and hosts the reference PDS would never make: a DID that claims any name, a PDS that knows no OAuth. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Secp256k1Keypair } from '@atproto/crypto'
import { createOp } from '@did-plc/lib'

export interface DidOptions {
  readonly handle: string
  readonly pds: string
  /** The account's signing key, where a test wants to use it. */
  readonly key?: Secp256k1Keypair | undefined
}

/** Enters a did:plc into the directory whose document claims `handle` and lives at `pds`, whatever those say about it. */
export async function createDid(plcUrl: string, { handle, pds, key }: DidOptions): Promise<string> {
  const signer = key ?? (await Secp256k1Keypair.create())
  const { did, op } = await createOp({ signingKey: signer.did(), rotationKeys: [signer.did()], handle, pds, signer })
  const response = await fetch(`${plcUrl}/${did}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(op),
  })
  if (!response.ok) throw new Error(`the PLC directory answered ${response.status}: ${await response.text()}`)
  return did
}

export interface HostWithoutOAuth {
  readonly url: string
  /** Lets `com.atproto.identity.resolveHandle` here answer with this DID, so that the host serves as handle resolver. */
  setHandle(handle: string, did: string): void
  stop(): Promise<void>
}

/** A PDS of the time before OAuth. It runs in the test's own process. */
export async function startHostWithoutOAuth(): Promise<HostWithoutOAuth> {
  const handles = new Map<string, string>()
  const http = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', url)
    const send = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (pathname === '/xrpc/com.atproto.server.describeServer') {
      return send(200, { did: 'did:web:localhost', availableUserDomains: ['.test'] })
    }
    if (pathname === '/xrpc/com.atproto.identity.resolveHandle') {
      const did = handles.get(searchParams.get('handle') ?? '')
      if (did !== undefined) return send(200, { did })
      return send(400, { error: 'InvalidRequest', message: 'Unable to resolve handle' })
    }
    return send(404, { error: 'NotFound', message: 'Not found' }) // both documents of OAuth's discovery among them
  }).listen(0, 'localhost')
  await once(http, 'listening')
  const url = `http://localhost:${(http.address() as AddressInfo).port}`
  return {
    url,
    setHandle: (handle, did) => void handles.set(handle, did),
    async stop() {
      const closed = once(http, 'close')
      http.close()
      http.closeAllConnections()
      await closed
    },
  }
}
