/**
 * What two servers make of a client document: the reference PDS by its own code, and cirrus by what its code does:
 * the same schema, then client_id, method and key.
 */
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { importJWK, type JWK, jwtVerify, SignJWT } from 'jose'
import type { ClientJwk } from '../../src/model.ts'

interface Document {
  readonly client_id?: string
  readonly token_endpoint_auth_method: string
  readonly jwks?: { readonly keys: readonly JWK[] }
  readonly jwks_uri?: string
}

interface ReferenceClient {
  authenticate(form: object, checks: object): Promise<object>
}

const ISSUER = 'https://as.fake.dev'
const TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

// Both are what the PDS itself depends on.
const ofPds = createRequire(createRequire(import.meta.url).resolve('@atproto/pds'))
const provider = ofPds.resolve('@atproto/oauth-provider')
const { ClientManager } = ofPds(join(dirname(provider), 'client', 'client-manager.js'))
const { oauthClientMetadataSchema } = createRequire(provider)('@atproto/oauth-types')

/** Whether the reference server would refuse a login of this client. @param fetched what it gets for the client_id */
export async function referenceRefuses(clientId: string, fetched: () => Response, key: ClientJwk): Promise<boolean> {
  const cache = () => new Map() as unknown
  const server = { grant_types_supported: ['authorization_code', 'refresh_token'] }
  // As the PDS's own, which is told `redirect: 'error'`.
  const fetch = async () => {
    const answer = fetched()
    if (answer.status >= 300 && answer.status < 400) throw new TypeError('redirected')
    return answer
  }
  const manager = new ClientManager(server, undefined, {}, null, null, fetch, cache(), cache())
  return refuses(async () => {
    const client = (await manager.getClient(clientId)) as ReferenceClient & { metadata: Document }
    if (client.metadata.token_endpoint_auth_method === 'none') return
    const form = { client_id: clientId, client_assertion_type: TYPE, client_assertion: await assertion(clientId, key) }
    await client.authenticate(form, { authorizationServerIdentifier: ISSUER })
  })
}

export async function cirrusRefuses(clientId: string, fetched: () => Response, key: ClientJwk): Promise<boolean> {
  return refuses(async () => {
    const answer = fetched()
    // It follows redirects, and what it would come to is not known here.
    if (answer.status >= 300 && answer.status < 400) return
    if (!answer.ok) throw new Error(String(answer.status))
    const document: Document = oauthClientMetadataSchema.parse(await answer.json())
    if (document.client_id !== clientId) throw new Error('client_id')
    if (document.token_endpoint_auth_method === 'none') return
    if (document.token_endpoint_auth_method !== 'private_key_jwt') throw new Error('method')
    const keys = document.jwks?.keys ?? []
    if (keys.length === 0 && document.jwks_uri !== undefined) return // fetched when it is needed
    const jwk = keys.find(({ kid }) => kid === key.kid) ?? keys.find(({ alg = 'ES256' }) => alg === 'ES256') ?? keys[0]
    await jwtVerify(await assertion(clientId, key), await importJWK(jwk!, jwk!.alg ?? 'ES256'), {
      algorithms: ['ES256'],
    })
  })
}

async function assertion(clientId: string, { kid, ...key }: ClientJwk): Promise<string> {
  return new SignJWT({ jti: 'one' })
    .setProtectedHeader({ alg: 'ES256', kid })
    .setIssuer(clientId)
    .setSubject(clientId)
    .setAudience(ISSUER)
    .setIssuedAt()
    .setExpirationTime('1m')
    .sign(await importJWK({ ...key }, 'ES256'))
}

async function refuses(run: () => Promise<void>): Promise<boolean> {
  try {
    await run()
    return false
  } catch {
    return true
  }
}
