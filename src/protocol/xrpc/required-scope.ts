/**
 * Determines the permissions that a request requires at the reference PDS.
 *
 * @see https://atproto.com/specs/permission
 */

import { parseJsonObject } from '../http/response.ts'
import { asNsid } from '../identity/syntax.ts'
import { isStatic, normalToken, parsePermission } from '../scope/permission.ts'
import { missingScopes, requestable } from '../scope/scope.ts'
import type { XrpcRequest } from './request.ts'
import { serviceOf } from './services.ts'

/**
 * Scope tokens; `none` if every session may send the request, `unknown` if it depends on the server or on unknown
 * facts.
 */
export type Needs = readonly string[] | 'none' | 'unknown'
type Tokens = readonly (string | undefined)[]

interface Asked {
  readonly parameter: (name: string) => string | undefined
  /** Parsed on first access: a repository to import is not JSON. */
  readonly body: Readonly<Record<string, unknown>>
  readonly header: (name: string) => string | undefined
}

/** Methods that the PDS implements itself, whatever the proxy header says. */
const OWN: Readonly<Record<string, (asked: Asked) => Tokens>> = {
  'repo.createRecord': ({ body }) => [repo(body.collection, 'create')],
  // The PDS requires both permissions, whether or not the record exists.
  'repo.putRecord': ({ body }) => [repo(body.collection, 'create'), repo(body.collection, 'update')],
  'repo.deleteRecord': ({ body }) => [repo(body.collection, 'delete')],
  'repo.applyWrites': ({ body }) => (Array.isArray(body.writes) ? body.writes.map(write) : [undefined]),
  'repo.uploadBlob': ({ header }) => [blob(header('content-type'))],
  'repo.importRepo': () => ['account:repo?action=manage'],
  'identity.updateHandle': () => ['identity:handle'],
  'identity.requestPlcOperationSignature': () => ['identity:*'],
  'identity.signPlcOperation': () => ['identity:*'],
  'identity.submitPlcOperation': () => ['identity:*'],
  'server.deactivateAccount': () => ['account:status?action=manage'],
  'server.requestEmailConfirmation': () => ['account:email?action=manage'],
  'server.confirmEmail': () => ['account:email?action=manage'],
  'server.getServiceAuth': ({ parameter }) => [rpc(parameter('lxm') ?? '*', parameter('aud'))],
}

const FREE = new Set(
  [
    ...['getRecommendedDidCredentials', 'resolveHandle'].map((name) => `identity.${name}`),
    ...['describeRepo', 'getRecord', 'listMissingBlobs', 'listRecords'].map((name) => `repo.${name}`),
    ...['checkAccountStatus', 'describeServer', 'getSession'].map((name) => `server.${name}`),
    ...['getBlob', 'getBlocks', 'getLatestCommit', 'getRecord', 'getRepo'].map((name) => `sync.${name}`),
    ...['getRepoStatus', 'listBlobs', 'listRepos'].map((name) => `sync.${name}`),
  ].map((name) => `com.atproto.${name}`),
)

/** The default services of a PDS: those of Bluesky, as almost everywhere. */
const FORWARDED: readonly (readonly [prefix: string, service: string])[] = [
  ['app.bsky.', serviceOf('appview')],
  ['chat.bsky.', serviceOf('chat')],
  ['tools.ozone.', serviceOf('ozone')],
  ['com.atproto.moderation.createReport', serviceOf('ozone')],
]

export function requiredScope({ nsid, parameters = [], body, headers = {} }: XrpcRequest): Needs {
  if (FREE.has(nsid)) return 'none'
  const asked: Asked = {
    parameter: (name) => parameters.find(([other]) => other === name)?.[1],
    header: (name) => Object.entries(headers).find(([other]) => other.toLowerCase() === name)?.[1],
    get body() {
      return jsonOf(body)
    },
  }
  const name = nsid.replace(/^com\.atproto\./, '')
  const tokens = name !== nsid && Object.hasOwn(OWN, name) ? OWN[name]!(asked) : forwarded(nsid, asked)
  const known = tokens.flatMap((token) => (token !== undefined && isToken(token) ? [normalToken(token)] : []))
  if (known.length === 0) return tokens.length === 0 ? 'none' : 'unknown'
  return known.length < tokens.length ? 'unknown' : [...new Set(known)]
}

/** The required permissions that the `granted` scope lacks; empty if the requirements are unknown. */
export function missingScope(needs: Needs, granted: string): string[] {
  return typeof needs === 'string' ? [] : missingScopes(needs.join(' '), granted)
}

function forwarded(nsid: string, asked: Asked): Tokens {
  if (/^app\.bsky\.notification\.(?:un)?registerPush$/.test(nsid)) {
    const { serviceDid } = asked.body
    return [typeof serviceDid === 'string' ? rpc(nsid, `${serviceDid}#bsky_notif`) : undefined]
  }
  const service = asked.header('atproto-proxy') ?? FORWARDED.find(([prefix]) => nsid.startsWith(prefix))?.[1]
  const methods = nsid === 'app.bsky.feed.getFeed' ? [nsid, 'app.bsky.feed.getFeedSkeleton'] : [nsid]
  return methods.map((lxm) => rpc(lxm, service))
}

function repo(collection: unknown, action: string): string | undefined {
  return typeof collection === 'string' && asNsid(collection) ? `repo:${collection}?action=${action}` : undefined
}

function write(value: unknown): string | undefined {
  const { $type, collection } = (value ?? {}) as Record<string, unknown>
  const action = /^com\.atproto\.repo\.applyWrites#(create|update|delete)$/.exec(String($type))?.[1]
  return action === undefined ? undefined : repo(collection, action)
}

function blob(contentType: string | undefined): string | undefined {
  const type = /^[^;*]+(?=;|$)/
    .exec(contentType ?? '')?.[0]
    .trim()
    .toLowerCase()
  return type === undefined ? undefined : `blob:${type}`
}

/** A service in a request may be a bare DID, but not in a permission. */
function rpc(lxm: string, service: string | undefined): string | undefined {
  return service === undefined
    ? undefined
    : requestable(`rpc:${lxm}?aud=${encodeURIComponent(service).replaceAll('%3A', ':')}`)
}

function isToken(token: string): boolean {
  return isStatic(token) || parsePermission(token) !== undefined
}

function jsonOf(body: XrpcRequest['body']): Readonly<Record<string, unknown>> {
  const text = body instanceof Uint8Array ? new TextDecoder().decode(body) : body
  return (typeof text === 'string' && parseJsonObject(text)) || {}
}
