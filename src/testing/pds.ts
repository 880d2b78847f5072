/**
 * The account's PDS as a resource server: who may call, and a few methods that say who called.
 */

import type { Did } from '../model.ts'
import type { Faults } from './faults.ts'
import { type FakeRequest, type Handler, json, pathOf, sha256 } from './http.ts'
import type { FakeIdentity } from './identity.ts'
import type { ProofVerifier } from './proof.ts'
import { nonceChallenge, rsChallenge, rsError } from './refusals.ts'
import type { FakeSession, SessionBook } from './sessions.ts'
import type { RsErrorName } from './xrpc-errors.ts'

export interface FakeRecord {
  readonly uri: string
  readonly cid: string
  readonly value: unknown
}

/** A method that a test adds. */
export type MethodHandler = (request: FakeRequest, did: Did) => Response | Promise<Response>

interface Surroundings {
  readonly origin: string
  readonly issuer: string
  readonly faults: Faults
  readonly clock: () => number
  readonly proofs: ProofVerifier
  readonly book: SessionBook
  readonly identity: FakeIdentity
  /** Where created records go. */
  readonly records: FakeRecord[]
  readonly methods: ReadonlyMap<string, MethodHandler>
}

interface Method {
  readonly verb: 'GET' | 'POST'
  /** The permissions it needs (15.3, 15.4). */
  readonly scope?: (request: FakeRequest) => readonly string[]
  /** A proxied method: cirrus forwards it as from nobody if the token is expired. */
  readonly proxied?: boolean
  readonly run: (request: FakeRequest, session: FakeSession | undefined) => Response
}

export function createPds(surroundings: Surroundings): Handler {
  const { origin, issuer, faults, clock, proofs, book, identity } = surroundings
  const methods = createMethods(surroundings)
  const no = (name: RsErrorName, message?: string) => rsError(name, faults, message)

  return async (request) => {
    const path = pathOf(request)
    if (path === '/.well-known/oauth-protected-resource') {
      const bearer_methods_supported = ['header']
      const honest = {
        resource: origin,
        authorization_servers: [issuer],
        scopes_supported: [],
        bearer_methods_supported,
      }
      return json(200, faults.mutateProtectedResource(honest))
    }
    if (!path.startsWith('/xrpc/')) return json(404, { error: 'NotFound' })
    const nsid = path.slice('/xrpc/'.length)
    // Methods without authentication give no nonce (13.9).
    if (nsid === 'com.atproto.identity.resolveHandle') return identity.resolveHandle(request)
    if (nsid === 'com.atproto.sync.getRepoStatus') {
      const did = new URL(request.url).searchParams.get('did')
      return json(200, { did, ...faults.repoStatus })
    }
    if (nsid === '_health') return json(200, { version: 'fake' })
    if (nsid === 'com.atproto.repo.getRecord') return getRecord(request, surroundings.records)
    if (nsid === 'com.atproto.repo.listRecords') return listRecords(request, surroundings.records)
    return proofs.giveNonce(await call(nsid, request))
  }

  async function call(nsid: string, request: FakeRequest): Promise<Response> {
    const method = methods[nsid]
    const caller = await authenticate(request, method?.proxied ?? false)
    if (caller instanceof Response) return caller
    const wanted = typeof faults.rsError === 'function' ? faults.rsError(request) : faults.rsError
    if (wanted) return no(wanted)
    const added = surroundings.methods.get(nsid)
    if (added && caller) return added(request, caller.sub)
    if (nsid.endsWith('AppPassword')) return no('closedToOAuth')
    if (!method) return no('notImplemented')
    if (request.method !== method.verb) {
      return no('invalidRequest', `Incorrect HTTP method (${request.method}) expected ${method.verb}`)
    }
    const missing = caller && method.scope?.(request).find((scope) => !permits(caller.scope, scope))
    if (missing !== undefined) return no('missingPermission', `Missing required scope "${missing}"`)
    return method.run(request, caller)
  }

  /** The session of a good token and proof, `undefined` for an anonymous proxied call, or the refusal. */
  async function authenticate(request: FakeRequest, proxied: boolean): Promise<FakeSession | Response | undefined> {
    const header = request.headers['authorization']
    if (header === undefined) return no('authMissing')
    const [, scheme = '', token = ''] = /^(\S+) (\S+)$/.exec(header) ?? []
    if (token === '') return no('malformedAuthorization')
    if (scheme.toLowerCase() === 'bearer') return no('bearer')
    const isDpop = faults.personality === 'cirrus' ? scheme === 'DPoP' : scheme.toLowerCase() === 'dpop'
    if (!isDpop) return no('unknownScheme', `Unsupported authorization type: ${scheme}`)
    const verdict = await proofs.verify(request, token)
    if (!verdict.ok) {
      return verdict.error === 'use_dpop_nonce'
        ? nonceChallenge('rs', verdict.description, faults)
        : rsChallenge(verdict.error, verdict.description, faults)
    }
    const session = book.byAccessToken(token)
    if (!session) return no('tokenInvalid')
    if (clock() >= session.accessTokenExpiresAt) {
      return proxied && faults.personality === 'cirrus' ? undefined : no('tokenExpired')
    }
    return session.jkt === verdict.jkt ? session : no('wrongKey')
  }
}

function createMethods({ faults, identity, records }: Surroundings): Record<string, Method> {
  const handleOf = (did: string) => identity.accounts.find((account) => account.did === did)?.handle ?? 'handle.invalid'
  const collectionOf = (request: FakeRequest) => String(jsonBody(request)?.['collection'])
  const uriOf = (did: string, request: FakeRequest, key: string) => `at://${did}/${collectionOf(request)}/${key}`

  function write(
    request: FakeRequest,
    { sub }: FakeSession,
    key: string,
    keep: (record: FakeRecord) => void,
  ): Response {
    const body = jsonBody(request)
    if (!body?.['record']) return rsError('invalidRequest', faults, 'A request body is expected but none was provided')
    if (body['repo'] !== sub) return rsError('foreignRepo', faults)
    const written = { uri: uriOf(sub, request, key), cid: `bafy${base32(request.body)}` }
    keep({ ...written, value: body['record'] })
    return json(200, written)
  }

  return {
    'com.atproto.server.getSession': {
      verb: 'GET',
      run: (_, session) => {
        const did = session!.sub
        const email = session!.scope.includes('transition:email') && { email: 'someone@fake.dev', emailConfirmed: true }
        return json(200, { did, handle: handleOf(did), active: true, ...email })
      },
    },
    'com.atproto.repo.createRecord': {
      verb: 'POST',
      scope: (request) => [`repo:${collectionOf(request)}?action=create`],
      run: (request, session) => {
        const key = jsonBody(request)?.['rkey'] ?? `3k${String(records.length + 1).padStart(11, '2')}`
        return write(request, session!, String(key), (record) => records.push(record))
      },
    },
    'com.atproto.repo.putRecord': {
      verb: 'POST',
      // Both, whether or not the record exists.
      scope: (request) => ['create', 'update'].map((action) => `repo:${collectionOf(request)}?action=${action}`),
      run: (request, session) =>
        write(request, session!, String(jsonBody(request)?.['rkey']), (record) => {
          const at = records.findIndex(({ uri }) => uri === record.uri)
          records.splice(at < 0 ? records.length : at, 1, record)
        }),
    },
    'com.atproto.repo.deleteRecord': {
      verb: 'POST',
      scope: (request) => [`repo:${collectionOf(request)}?action=delete`],
      run: (request, session) => {
        const body = jsonBody(request)
        if (body?.['repo'] !== session!.sub) return rsError('foreignRepo', faults)
        const at = records.findIndex(({ uri }) => uri === uriOf(session!.sub, request, String(body['rkey'])))
        if (at >= 0) records.splice(at, 1)
        return json(200, {})
      },
    },
    'com.atproto.repo.uploadBlob': {
      verb: 'POST',
      scope: (request) => [`blob:${request.headers['content-type']}`],
      run: (request) => {
        const mimeType = request.headers['content-type']
        if (mimeType === undefined) return rsError('invalidRequest', faults, 'Request encoding (Content-Type) required')
        const ref = { $link: `bafkrei${base32(request.body)}` }
        return json(200, { blob: { $type: 'blob', ref, mimeType, size: request.body.length } })
      },
    },
    'app.bsky.actor.getProfile': {
      verb: 'GET',
      proxied: true,
      scope: () => [
        `rpc:app.bsky.actor.getProfile?aud=did:web:api.bsky.app${faults.rpcAud === 'bare' ? '' : '%23bsky_appview'}`,
      ],
      run: (request, session) => {
        const actor = new URL(request.url).searchParams.get('actor')
        const account = identity.accounts.find(({ did, handle }) => did === actor || handle === actor)
        if (!account) return rsError('invalidRequest', faults, 'Profile not found')
        return json(200, { ...account, ...(session && { viewer: { muted: false, seenBy: session.sub } }) })
      },
    },
  }
}

/** Looks like the hash in a CID. */
function base32(text: string): string {
  return sha256(text)
    .toLowerCase()
    .replace(/[^a-z2-7]/g, 'a')
}

/** Newest first, unless `reverse`; the cursor is the URI of the last record. */
function listRecords(request: FakeRequest, records: readonly FakeRecord[]): Response {
  const query = new URL(request.url).searchParams
  const prefix = `at://${query.get('repo')}/${query.get('collection')}/`
  const all = records.filter(({ uri }) => uri.startsWith(prefix))
  if (query.get('reverse') !== 'true') all.reverse()
  const start = all.findIndex(({ uri }) => uri === query.get('cursor')) + 1
  const page = all.slice(start, start + Number(query.get('limit') ?? 50))
  const isMore = start + page.length < all.length
  return json(200, { records: page, ...(isMore && { cursor: page.at(-1)?.uri }) })
}

function getRecord(request: FakeRequest, records: readonly FakeRecord[]): Response {
  const query = new URL(request.url).searchParams
  const uri = `at://${query.get('repo')}/${query.get('collection')}/${query.get('rkey')}`
  const record = records.find((candidate) => candidate.uri === uri)
  return record ? json(200, record) : json(400, { error: 'RecordNotFound', message: `Could not locate record: ${uri}` })
}

/**
 * The scope rules that tests need: `transition:generic`; `repo` with its collections and actions; `blob` with its media
 * types; `rpc` without lists, the `aud` as it stands (15.14) or any.
 */
function permits(granted: string, needed: string): boolean {
  return granted.split(' ').some((token) => {
    if (token === 'transition:generic') return true
    if (needed.startsWith('rpc:')) {
      return [needed, `${needed.split('?')[0]}?aud=*`].includes(token.replaceAll('#', '%23'))
    }
    const has = permissionOf(token)
    const { kind, names, actions } = permissionOf(needed)
    const name = names[0]!
    const wildcards = kind === 'blob' ? ['*/*', `${name.split('/')[0]}/*`] : ['*']
    const isNamed = has.names.some((other) => other === name || wildcards.includes(other))
    return (
      has.kind === kind && isNamed && (has.actions.length === 0 || actions.every((one) => has.actions.includes(one)))
    )
  })
}

function permissionOf(token: string) {
  const [, kind = '', name, parameters] = /^([^:?]*)(?::([^?]*))?(?:\?(.*))?$/.exec(token) ?? []
  const query = new URLSearchParams(parameters)
  const listed = [...query.getAll('collection'), ...query.getAll('accept')]
  return { kind, names: name === undefined ? listed : [name], actions: query.getAll('action') }
}

function jsonBody(request: FakeRequest): Record<string, unknown> | undefined {
  if (!request.headers['content-type']?.startsWith('application/json')) return undefined
  try {
    const value: unknown = JSON.parse(request.body)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
