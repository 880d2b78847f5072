/**
 * What stands behind a PDS: an AppView that answers `app.bsky.*` (with an echo of what
 * it was asked) only to a service JWT it has verified, so that a response seen by the CLI proves that
 * the whole chain (access token, DPoP, PDS, service JWT) held.
 *
 * @see {@link https://atproto.com/specs/xrpc#inter-service-authentication-jwt}
 */
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { formatDidKey, multibaseToBytes, parseMultikey, verifySignature } from '@atproto/crypto'
import { openPort, type Recorder, type Running } from './servers.ts'

/** The network's own AppView: scopes then read as they do there (`rpc:…?aud=did:web:api.bsky.app#bsky_appview`). */
export const APP_VIEW_DID = 'did:web:api.bsky.app'

interface Claims {
  readonly iss: string
  readonly aud: string
  readonly exp: number
  readonly lxm: string
}

interface DidDocument {
  readonly verificationMethod?: readonly { id: string; type: string; publicKeyMultibase?: string }[]
}

/** What a method answers beside the echo, given the account whose JWT was verified. */
const METHODS: Record<string, (iss: string) => object> = {
  'app.bsky.actor.getProfile': (iss) => ({ did: iss, handle: 'handle.invalid', displayName: 'A', followersCount: 7 }),
  'app.bsky.feed.getTimeline': () => ({ feed: [] }),
}

/** Who makes all feeds: the PDS asks for a feed's record first, without a token, and then signs for its maker. */
const FEED_DID = 'did:web:feed.test'
const GENERATOR = {
  $type: 'app.bsky.feed.generator',
  did: FEED_DID,
  displayName: 'x',
  createdAt: '2026-01-02T03:04:05Z',
}

export async function startAppView(plcUrl: string, record: Recorder): Promise<Running> {
  const port = await openPort('appview', record)
  port.answerWith(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', port.url)
    const nsid = pathname.replace(/^\/xrpc\//, '')
    const send = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    try {
      if (nsid === 'com.atproto.repo.getRecord') {
        const [repo, collection, rkey] = ['repo', 'collection', 'rkey'].map((name) => searchParams.get(name))
        return send(200, { uri: `at://${repo}/${collection}/${rkey}`, value: GENERATOR })
      }
      const isFeed = nsid === 'app.bsky.feed.getFeed'
      const expected = isFeed
        ? { aud: FEED_DID, lxm: 'app.bsky.feed.getFeedSkeleton' }
        : { aud: APP_VIEW_DID, lxm: nsid }
      const { iss, lxm } = await verify(bearer(request), expected, plcUrl)
      if (!nsid.startsWith('app.bsky.')) return send(501, { error: 'MethodNotImplemented', message: nsid })
      const body = await text(request)
      const asked = { ...parametersOf(searchParams), ...(body !== '' && JSON.parse(body)) }
      return send(200, { ...METHODS[nsid]?.(iss), asked, verified: { iss, lxm } })
    } catch (error) {
      return send(401, {
        error: 'AuthenticationRequired',
        message: error instanceof Error ? error.message : String(error),
      })
    }
  })
  return { url: port.url, stop: port.close }
}

/** A repeated one is a list. */
function parametersOf(parameters: URLSearchParams): object {
  const entries = [...new Set(parameters.keys())].map((name) => [name, parameters.getAll(name)] as const)
  return Object.fromEntries(entries.map(([name, values]) => [name, values.length === 1 ? values[0] : values]))
}

function bearer({ headers }: IncomingMessage): string {
  const token = /^Bearer (\S+)$/.exec(headers.authorization ?? '')?.[1]
  if (token === undefined) throw new Error('no bearer token')
  return token
}

/** By hand, because jose no longer knows ES256K, the curve of most account keys. */
async function verify(jwt: string, expected: Pick<Claims, 'aud' | 'lxm'>, plcUrl: string): Promise<Claims> {
  const [header = '', payload = '', signature = ''] = jwt.split('.')
  const { alg } = decode(header) as { alg: string }
  const claims = decode(payload) as Claims
  if (claims.aud !== expected.aud) throw new Error(`aud is ${claims.aud}`)
  if (claims.lxm !== expected.lxm) throw new Error(`lxm is ${claims.lxm}, the method ${expected.lxm}`)
  if (!(claims.exp > Date.now() / 1000)) throw new Error('expired')
  const signed = Buffer.from(`${header}.${payload}`)
  const didKey = await signingKey(claims.iss, plcUrl)
  if (!(await verifySignature(didKey, signed, Buffer.from(signature, 'base64url'), { jwtAlg: alg }))) {
    throw new Error('bad signature')
  }
  return claims
}

async function signingKey(did: string, plcUrl: string): Promise<string> {
  const response = await fetch(`${plcUrl}/${encodeURIComponent(did)}`)
  if (!response.ok) throw new Error(`iss is ${did}, unknown to the PLC directory`)
  const { verificationMethod = [] } = (await response.json()) as DidDocument
  const method = verificationMethod.find(({ id }) => id === '#atproto' || id === `${did}#atproto`)
  const multibase = method?.publicKeyMultibase
  if (multibase === undefined) throw new Error(`${did} has no #atproto key`)
  // This PLC server still writes the older suites, whose type, and not the key itself, names the curve.
  if (method?.type === 'EcdsaSecp256k1VerificationKey2019') return formatDidKey('ES256K', multibaseToBytes(multibase))
  if (method?.type === 'EcdsaSecp256r1VerificationKey2019') return formatDidKey('ES256', multibaseToBytes(multibase))
  const { jwtAlg, keyBytes } = parseMultikey(multibase)
  return formatDidKey(jwtAlg, keyBytes)
}

function decode(part: string): unknown {
  return JSON.parse(Buffer.from(part, 'base64url').toString())
}
