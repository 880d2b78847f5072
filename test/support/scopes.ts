/**
 * Generated permissions and permission sets, always the same from one seed, and how each is written down to compare two
 * parsers: by what it means. The reference is `@atproto/oauth-scopes` (test/protocol/scope/reference.ts).
 */
import { createRandom } from './vault-model.ts'

export const SEED = 20_261_129
export const SCOPES = 10_000
export const SETS = 2000

/** What the reference says, in test/vectors/oauth-scopes.json. */
export interface Golden {
  readonly version: string
  readonly seed: number
  /** Base64 of a 16-bit digest for each, little-endian; 0 for a permission that is rejected. */
  readonly scopes: string
  readonly sets: string
}

export interface GeneratedSet {
  readonly include: string
  readonly permissions: readonly Readonly<Record<string, unknown>>[]
}

/** A parsed permission: its parameters, each with its values. */
export type Parameters = Iterable<readonly [name: string, values: readonly string[]]>

/** Equal for permissions that mean the same, and almost certainly different otherwise. Never 0. */
export function digest(...permissions: readonly (readonly [resource: string, parameters: Parameters])[]): number {
  const written = permissions.map(([resource, parameters]) => {
    const all = [...parameters].map(([name, values]) => [name, [...new Set(values)].sort()] as const)
    return JSON.stringify([resource, all.sort(([one], [other]) => (one < other ? -1 : 1))])
  })
  let hash = 0x811c9dc5
  for (const character of written.sort().join('\n')) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193) >>> 0
  return (hash ^ (hash >>> 16)) & 0xffff || 1
}

export const packed = (digests: readonly number[]) => Buffer.from(Uint16Array.from(digests).buffer).toString('base64')
export const unpacked = (text: string) => {
  const bytes = Buffer.from(text, 'base64')
  return Array.from({ length: bytes.length / 2 }, (_, index) => bytes.readUInt16LE(index * 2))
}

const NSIDS = [
  ...[
    'app.bsky.feed.post',
    'app.bsky.feed.like',
    'app.bsky.actor.getProfile',
    'app.bsky.feed.post2',
    'com.example.a.b',
  ],
  ...['a.b.c', 'app.bsky.auth.deep.post', 'x-y.z9.w', 'a.9.c', '*'],
]
const SEGMENTS = ['app', 'bsky', 'com', 'example', 'feed', 'post', 'getThing', 'x-y', 'z9', 'A']
const WORDS = ['post', 'like', 'getThing', 'x']
const ODD_NSIDS = [
  '',
  'app.bsky',
  'app.bsky.feed.*',
  'app.bsky.feed.post-x',
  '9a.b.c',
  'a.b.9c',
  'a..b.c',
  'APP.bsky.feed.Post',
  '**',
]
const AUDIENCES = [
  ...['*', 'did:web:api.bsky.app%23bsky_appview', 'did:plc:ar7c4by46qjdydhdevvrndac%23atproto_labeler'],
  ...['did:web:localhost%253A8080%23x', 'did:web:a.dev%23x'],
]
const ODD_AUDIENCES = [
  ...[
    'did:web:api.bsky.app',
    'did:web:a.dev%23',
    'did:web:a.dev%23x%23y',
    'did:web:a.dev%23%3C',
    'did:key:zQ3sh%23x',
    '',
  ],
  ...[
    'did:plc:short%23x',
    'did:web:a.dev:path%23x',
    'did:web:A.dev%23x',
    'did:web:a%23x',
    'a.dev%23x',
    'did:web:a.dev#x',
  ],
]
const TYPES = [
  '*/*',
  'image/*',
  'image/png',
  'video/mp4',
  'text/vtt',
  'IMAGE/PNG',
  'image/svg%2Bxml',
  'image/svg+xml',
  'a/b',
]
const ODD_TYPES = [
  '*',
  'image',
  'image/',
  '/png',
  'image/*/x',
  'im*/png',
  '*/png',
  'a/b/c',
  'a%20b/c',
  'a/b;c=d',
  'a/%C3%A9',
  '',
]
const REPO_ACTIONS = ['create', 'update', 'delete']
const ACCOUNT_ACTIONS = ['read', 'manage']
const ODD_ACTIONS = ['*', '', 'Create', 'write']
const ACCOUNT_ATTRS = ['email', 'repo', 'status']
const IDENTITY_ATTRS = ['handle', '*']
const ODD_ATTRS = ['', 'Email', 'name']
const PARAMETERS: Readonly<Record<string, readonly [string, ...string[]]>> = {
  repo: ['collection', 'action'],
  rpc: ['lxm', 'aud'],
  blob: ['accept'],
  account: ['attr', 'action'],
  identity: ['attr'],
  include: ['nsid', 'aud'],
}
/** More often those that can be written in more ways. */
const RESOURCES = [...Object.keys(PARAMETERS), 'repo', 'repo', 'rpc', 'rpc', 'blob', 'include']
const POOLS: Readonly<Record<string, readonly [good: readonly string[], odd: readonly string[]]>> = {
  collection: [NSIDS, ODD_NSIDS],
  lxm: [NSIDS, ODD_NSIDS],
  nsid: [NSIDS, ODD_NSIDS],
  aud: [AUDIENCES, ODD_AUDIENCES],
  accept: [TYPES, ODD_TYPES],
  action: [REPO_ACTIONS, [...ACCOUNT_ACTIONS, ...ODD_ACTIONS]],
  attr: [IDENTITY_ATTRS, [...ACCOUNT_ATTRS, ...ODD_ATTRS]],
  'account action': [ACCOUNT_ACTIONS, [...REPO_ACTIONS, ...ODD_ACTIONS]],
  'account attr': [ACCOUNT_ATTRS, [...IDENTITY_ATTRS, ...ODD_ATTRS]],
}
const ODD_RESOURCES = ['Repo', 'rep', 'repos', 'repo%3A', '', 'toString', 'rpc ', 'atproto']
const ODD_NAMES = [
  '',
  'Action',
  '__proto__',
  'toString',
  'collection',
  'aud',
  'accept',
  'nsid',
  'col%6Cection',
  'a%63tion',
]
/** Characters that a scope may have, and that mean something in one. */
const CHARACTERS = [...':?&=%#*/.+-_~,;@!$()aZ9', '%2', '%20', '%00', '%3F', '%zz', '%FF', '%C3%A9']

type Random = () => number
const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)]!

/** No two of them are the same text. */
export function generateScopes(seed = SEED, count = SCOPES): string[] {
  const random = createRandom(seed)
  const scopes = new Set<string>()
  while (scopes.size < count) scopes.add(spoil(random, generateScope(random)))
  return [...scopes]
}

function generateScope(random: Random): string {
  const resource = pick(random, RESOURCES)
  const [first, ...more] = PARAMETERS[resource]!
  const isPositional = random() < 0.6
  const wanted = [...(isPositional ? [] : repeated(random, first)), ...more.flatMap((name) => repeated(random, name))]
  const pairs = wanted.map(
    (name) => `${random() < 0.02 ? pick(random, ODD_NAMES) : name}=${valueFor(random, name, resource)}`,
  )
  if (random() < 0.03) pairs.push(`${pick(random, ODD_NAMES)}=${pick(random, NSIDS)}`)
  if (random() < 0.03) pairs.push(pick(random, ['', '=', 'action', '=x']))
  const name = random() < 0.02 ? pick(random, ODD_RESOURCES) : resource
  const query = pairs.length > 0 || random() < 0.05 ? `?${pairs.join('&')}` : ''
  return `${name}${isPositional ? `:${valueFor(random, first, resource)}` : ''}${query}`
}

/** A parameter none, one or several times. */
function repeated(random: Random, name: string): string[] {
  const isSingle = name === 'aud' || name === 'attr' || name === 'nsid'
  const at = random()
  const times = isSingle ? (at < 0.1 ? 0 : at < 0.97 ? 1 : 2) : at < 0.25 ? 0 : at < 0.6 ? 1 : at < 0.85 ? 2 : 3
  return Array.from({ length: times }, () => name)
}

function valueFor(random: Random, name: string, resource = ''): string {
  const [good, odd] = POOLS[`${resource} ${name}`] ?? POOLS[name]!
  if (good === NSIDS && random() < 0.4) return generateNsid(random)
  return pick(random, random() < 0.93 ? good : odd)
}

function generateNsid(random: Random): string {
  const length = 3 + Math.floor(random() * 3)
  return Array.from({ length }, () => pick(random, SEGMENTS)).join('.')
}

/** One in eight with a character put in, taken out or replaced. */
function spoil(random: Random, scope: string): string {
  if (random() < 0.875) return scope
  const at = Math.floor(random() * (scope.length + 1))
  const taken = Math.floor(random() * 3)
  return scope.slice(0, at) + pick(random, ['', ...CHARACTERS]) + scope.slice(at + taken)
}

export function generateSets(seed = SEED, count = SETS): GeneratedSet[] {
  const random = createRandom(seed ^ 0x5e7)
  return Array.from({ length: count }, () => {
    const service = random() < 0.5 ? '' : `?aud=${pick(random, AUDIENCES.slice(1, 3))}`
    const permissions = Array.from({ length: Math.floor(random() * 4) + 1 }, () => generateEntry(random))
    return { include: `include:app.bsky.authAll${service}`, permissions }
  })
}

function generateEntry(random: Random): Readonly<Record<string, unknown>> {
  const isNamed = (name: string) => name !== 'action' && random() < 0.85
  const list = (name: string) =>
    Array.from({ length: 1 + Math.floor(random() * 2) }, () =>
      isNamed(name)
        ? `app.bsky.${pick(random, SEGMENTS)}.${pick(random, WORDS)}`
        : decodeURIComponent(valueFor(random, name)),
    )
  const maybe = (name: string, chance: number, value: () => unknown) => (random() < chance ? { [name]: value() } : {})
  const odd = {
    ...maybe('description', 0.04, () => 'x'),
    ...maybe(pick(random, ['collection', 'lxm', 'aud', 'action']), 0.04, () =>
      pick(random, [[], 'app.bsky.feed.post', ['*'], 1]),
    ),
  }
  const resource = pick(random, [
    'repo',
    'repo',
    'rpc',
    'rpc',
    'rpc',
    'blob',
    'account',
    'identity',
    'include',
    'dream',
  ])
  const own: Readonly<Record<string, unknown>> =
    resource === 'repo'
      ? { ...maybe('collection', 0.97, () => list('collection')), ...maybe('action', 0.5, () => list('action')) }
      : resource === 'rpc'
        ? {
            ...maybe('lxm', 0.97, () => list('lxm')),
            ...maybe('aud', 0.3, () => pick(random, ['*', 'did:web:a.dev#x'])),
          }
        : { accept: ['image/*'], attr: 'email' }
  const inherited = maybe('inheritAud', resource === 'rpc' ? 0.6 : 0.03, () => random() < 0.9)
  return { type: 'permission', resource, ...own, ...inherited, ...odd }
}
