/**
 * Explains a scope: what each permission lets a program do, what it does not, and what is wrong with it.
 *
 * @see https://atproto.com/specs/permission
 */

import {
  isCovered,
  isSetName,
  isStatic,
  namespaceOf,
  normalToken,
  type Permission,
  parsePermission,
} from '../scope/permission.ts'
import { scopeAdvice, splitScope } from '../scope/scope.ts'
import { describeSpaces } from '../scope/space.ts'
import { findMethod, unavailableReason } from '../xrpc/lexicons.ts'
import { serviceOf } from '../xrpc/services.ts'
import { faultsOf } from './faults.ts'

export interface ScopeFault {
  /** `error`: a server rejects the scope or grants nothing for it. `warning`: it means something else than it seems, or nothing more. */
  readonly level: 'error' | 'warning'
  readonly message: string
}

export interface ExplainedPermission {
  /** As it was written. */
  readonly permission: string
  /** What it lets a program do, in a sentence; absent if it is invalid. */
  readonly allows?: string | undefined
  /** What somebody might expect of it, and it does not allow. */
  readonly excludes?: string | undefined
  /** The other permissions that allow all of it. */
  readonly coveredBy: readonly string[]
  readonly faults: readonly ScopeFault[]
  /** How it is written, if it is written differently: empty if it has to be omitted. */
  readonly corrected?: string | undefined
}

export interface ScopeExplanation {
  /** The whole scope as it should be written; absent if a permission cannot be corrected. */
  readonly scope?: string | undefined
  readonly permissions: readonly ExplainedPermission[]
  /** Of the scope as a whole, such as its separators. */
  readonly faults: readonly ScopeFault[]
}

/** Permissions that are compared with each other; more are explained without. */
const COMPARED_MOST = 100

/** Explains a scope, also an invalid one. Nothing is sent: what a permission set contains is not looked up. */
export function explainScope(scope: string): ScopeExplanation {
  const { tokens, faults } = splitScope(scope)
  const unique = [...new Set(tokens)]
  const meants = new Map(unique.map((token) => [token, faultsOf(token)]))
  const meantBy = (token: string) => {
    const found = meants.get(token)
    return found === undefined ? token : found.meant
  }
  const valid = unique.flatMap((token) => meantBy(token)?.split(' ') ?? []).filter(Boolean)
  const counts = new Map<string, number>()
  for (const token of tokens) counts.set(token, (counts.get(token) ?? 0) + 1)
  const firsts = new Map<string, string>()
  for (const token of unique) {
    const normal = normalToken(token)
    if (!firsts.has(normal)) firsts.set(normal, token)
  }
  const isComparable = unique.length <= COMPARED_MOST
  const permissions = unique.map((token) =>
    explained(token, {
      isTwice: counts.get(token)! > 1,
      first: firsts.get(normalToken(token))!,
      others: isComparable ? unique.filter((other) => normalToken(other) !== normalToken(token)) : [],
      valid,
    }),
  )
  const isCorrectable = unique.length > 0 && unique.every((token) => meantBy(token) !== undefined)
  return {
    ...(isCorrectable && { scope: isComparable ? shortest(valid) : [...new Set(['atproto', ...valid])].join(' ') }),
    permissions,
    faults: [
      ...faults.map((message): ScopeFault => ({ level: 'error', message })),
      ...wholeFaults(valid).map((message): ScopeFault => ({ level: 'warning', message })),
    ],
  }
}

/** Whether a server rejects the scope, or grants less than it says. */
export function isFaulty({ permissions, faults }: ScopeExplanation): boolean {
  return [...faults, ...permissions.flatMap((each) => each.faults)].some(({ level }) => level === 'error')
}

function wholeFaults(tokens: readonly string[]): string[] {
  const [transitional, granular] = [true, false].map((wanted) =>
    tokens.filter((token) => token !== 'atproto' && token.startsWith('transition:') === wanted),
  )
  return [
    ...(tokens.length > 0 && !tokens.includes('atproto')
      ? ['atproto is missing: without it a server grants nothing']
      : []),
    ...(transitional!.length > 0 && granular!.length > 0
      ? ['some servers reject a scope that combines transition: with other permissions']
      : []),
  ]
}

/** With `atproto` first, nothing twice, and nothing that others cover. */
function shortest(tokens: readonly string[]): string {
  let left = [...new Set(tokens.filter((token) => token !== 'atproto'))]
  for (const token of left) {
    const others = left.filter((other) => other !== token)
    const permission = parsePermission(token)
    if (permission && permission.resource !== 'include' && isCovered(permission, others)) left = others
    else if (others.some((other) => normalToken(other) === normalToken(token))) left = others
    else if (token === 'transition:email' && isCovered(EMAIL, others)) left = others
  }
  return ['atproto', ...left].join(' ')
}

const EMAIL = parsePermission('account:email')!

interface Surroundings {
  readonly isTwice: boolean
  /** The first one in the scope with the same meaning. */
  readonly first: string
  /** Those with another meaning. */
  readonly others: readonly string[]
  readonly valid: readonly string[]
}

function explained(token: string, { isTwice, first, others, valid }: Surroundings): ExplainedPermission {
  const found = faultsOf(token)
  const permission = parsePermission(token)
  const advice = token === 'transition:chat.bsky' ? scopeAdvice(valid.join(' ')) : undefined
  const warnings = [
    ...(isTwice ? ['it is repeated: once is enough'] : []),
    ...(first === token ? [] : [`it is ${first}, written in another way`]),
    ...(advice === undefined ? [] : [advice]),
    ...(permission ? warningsOf(permission) : []),
  ]
  return {
    permission: token,
    ...(permission && describe(permission)),
    ...(isStatic(token) && STATIC_MEANINGS[token]),
    coveredBy: permission ? covering(permission, others) : [],
    faults: [
      ...(found?.messages ?? []).map((message): ScopeFault => ({ level: 'error', message })),
      ...warnings.map((message): ScopeFault => ({ level: 'warning', message })),
    ],
    ...(found?.meant !== undefined && { corrected: found.meant }),
  }
}

/** One permission that covers it, or all that do so together. */
function covering(permission: Permission, others: readonly string[]): string[] {
  if (permission.resource === 'include') return []
  const alone = others.find((other) => isCovered(permission, [other]))
  if (alone !== undefined) return [alone]
  if (!isCovered(permission, others)) return []
  return others.filter(
    (other) =>
      !isCovered(
        permission,
        others.filter((each) => each !== other),
      ),
  )
}

type Meaning = Pick<ExplainedPermission, 'allows' | 'excludes'>

const STATIC_MEANINGS: Readonly<Record<string, Meaning>> = {
  atproto: {
    allows: 'Sign in: the program learns the DID of the account.',
    excludes: 'It writes nothing, and calls no other service as the account.',
  },
  'transition:generic': {
    allows:
      'Write and delete all records, upload any file, and call all methods of all services as the account, except chat.bsky.*.',
    excludes: 'It does not read the email address or messages, and changes neither handle, email address nor password.',
  },
  'transition:email': {
    allows: 'Read the email address of the account.',
    excludes: 'It does not change the email address.',
  },
  'transition:chat.bsky': {
    allows: 'Read, send and delete direct messages, and leave conversations: all methods chat.bsky.*.',
    excludes: 'It permits no other method, and no records.',
  },
}

function describe(permission: Permission): Meaning {
  const { resource, values } = permission
  const of = (name: string) => values.get(name) ?? []
  switch (resource) {
    case 'repo':
      return describeRepo(of('collection'), of('action'))
    case 'rpc':
      return describeRpc(of('lxm'), of('aud')[0]!)
    case 'blob':
      return {
        allows: of('accept').includes('*/*')
          ? 'Upload files of any type.'
          : `Upload files of ${of('accept').length > 1 ? 'the types' : 'type'} ${inWords(of('accept'))}.`,
        excludes: `It does not write the record that shows the file${of('accept').includes('*/*') ? '' : ', and uploads no other type'}.`,
      }
    case 'account':
      return ACCOUNT_MEANINGS[`${of('attr')[0]} ${of('action').includes('manage') ? 'manage' : 'read'}`]!
    case 'identity':
      return of('attr')[0] === '*'
        ? {
            allows: 'Change the handle, and sign changes of the DID document: the keys and the PDS of the account.',
            excludes:
              'It does not change the email address or the password. Each signature needs a code from an email.',
          }
        : {
            allows: 'Change the handle of the account.',
            excludes: 'It does not change the keys or the PDS of the account.',
          }
    case 'include':
      return describeInclude(of('nsid')[0]!, of('aud')[0])
    case 'space':
      return {
        allows: `In ${describeSpaces(values)}.`,
        excludes: 'It permits nothing outside these spaces. Few servers support it; the others drop it silently.',
      }
  }
}

const ACCOUNT_MEANINGS: Readonly<Record<string, Meaning>> = {
  'email read': { allows: 'Read the email address of the account.', excludes: 'It does not change the email address.' },
  'email manage': {
    allows: 'Read the email address of the account, and confirm it.',
    excludes: 'The reference PDS changes the address only after a sign-in with the password.',
  },
  'repo read': {
    allows: 'Nothing at the reference PDS: repositories are public.',
    excludes: 'It does not import a repository, which needs action=manage.',
  },
  'repo manage': {
    allows: 'Import a repository, which replaces all records of the account.',
    excludes: 'It does not write single records, which needs repo:.',
  },
  'status read': {
    allows: 'Nothing at the reference PDS: every session may read the state of its account.',
    excludes: 'It does not deactivate the account, which needs action=manage.',
  },
  'status manage': {
    allows: 'Deactivate the account, which ends all of its sessions.',
    excludes: 'It does not delete the account, and servers are likely to refuse to reactivate it.',
  },
}

function describeRepo(collections: readonly string[], actions: readonly string[]): Meaning {
  const verbs = REPO_ACTIONS.filter((action) => actions.includes(action))
  const others = REPO_ACTIONS.filter((action) => !actions.includes(action))
  const where = collections.includes('*') ? 'all collections' : inWords(collections.map(named), 3)
  const has = (action: string) => actions.includes(action)
  // The PDS requires both permissions, whether or not the record exists.
  const put = has('create') === has('update') ? '' : ` putRecord needs action=create and action=update.`
  const excludes =
    others.length === 0
      ? 'It permits no uploads and no calls of other services.'
      : `It does not ${inWords(others, others.length, 'or')} them.${put}`
  return { allows: `${capital(inWords(verbs))} records of ${where}.`, excludes }
}

const REPO_ACTIONS = ['create', 'update', 'delete']

/** What the records are that bots write. */
const RECORDS: Readonly<Record<string, string>> = {
  'app.bsky.actor.profile': 'the profile',
  'app.bsky.feed.generator': 'feeds',
  'app.bsky.feed.like': 'likes',
  'app.bsky.feed.post': 'posts',
  'app.bsky.feed.postgate': 'quote rules',
  'app.bsky.feed.repost': 'reposts',
  'app.bsky.feed.threadgate': 'reply rules',
  'app.bsky.graph.block': 'blocks',
  'app.bsky.graph.follow': 'follows',
  'app.bsky.graph.list': 'lists',
  'app.bsky.graph.listitem': 'members of lists',
  'app.bsky.graph.starterpack': 'starter packs',
}

function named(nsid: string): string {
  const records = Object.hasOwn(RECORDS, nsid) ? RECORDS[nsid] : undefined
  return records === undefined ? nsid : `${nsid} (${records})`
}

function describeRpc(methods: readonly string[], audience: string): Meaning {
  const where = audience === '*' ? 'any service' : serviceName(audience)
  if (methods.includes('*')) {
    return {
      allows: `Call all methods at ${where} as the account, also those that change data.`,
      excludes: 'It permits no other service, and no records.',
    }
  }
  const called = methods.filter((nsid) => !Object.hasOwn(BY_TOKEN, nsid))
  const tokens = methods.filter((nsid) => Object.hasOwn(BY_TOKEN, nsid))
  const kinds = new Set(called.map((nsid) => findMethod(nsid)?.kind))
  const effect = kinds.size === 1 && kinds.has('query') ? ' (read-only)' : ''
  const uses = [
    ...(called.length > 0 ? [`call ${inWords(called, 3)}${effect} at ${where} as the account`] : []),
    ...tokens.map((nsid) => `get service tokens for ${nsid} at ${where}, ${BY_TOKEN[nsid]}`),
  ]
  return {
    allows: `${capital(uses.join('; '))}.`,
    excludes: `It permits no other method${audience === '*' ? '' : ', and no other service'}.${
      tokens.includes('com.atproto.repo.uploadBlob') ? ' Uploads to the PDS by the program itself need blob:.' : ''
    }`,
  }
}

/** Methods that a PDS implements, and that others call with a service token of the account. */
const BY_TOKEN: Readonly<Record<string, string>> = {
  'com.atproto.repo.uploadBlob': 'with which a video service stores the video',
  'com.atproto.server.createAccount': 'with which the account moves to another PDS',
}

function serviceName(audience: string): string {
  const found = SERVICE_TITLES.find(([name]) => serviceOf(name) === audience)
  return found ? `${found[1]} (${audience})` : audience
}

const SERVICE_TITLES = [
  ['appview', 'the Bluesky AppView'],
  ['chat', 'the Bluesky chat service'],
  ['ozone', 'the Bluesky moderation service'],
] as const

function describeInclude(nsid: string, audience: string | undefined): Meaning {
  return {
    allows: `What the permission set ${nsid} lists for ${namespaceOf(nsid)}, which its author can change.`,
    excludes: `It grants no uploads, account or identity${
      audience === undefined ? ', and no methods that need a service: it has no aud' : ''
    }.`,
  }
}

/** Names that are valid, and are those of something else. */
function misplacedNames({ resource, values }: Permission): string[] {
  const [set = ''] = values.get('nsid') ?? []
  if (resource === 'include') {
    if (findMethod(set)) return [`${set} is a method, and not a permission set: it is requested with rpc:`]
    return Object.hasOwn(RECORDS, set)
      ? [`${set} is a collection, and not a permission set: it is requested with repo:`]
      : []
  }
  const names = [...(values.get('collection') ?? []), ...(values.get('lxm') ?? [])].filter(isSetName)
  return names.map((name) => `${name} has the name of a permission set: sets are requested with include:`)
}

function warningsOf(permission: Permission): string[] {
  return [...misplacedNames(permission), ...likelySurprises(permission)]
}

function likelySurprises({ resource, values }: Permission): string[] {
  if (resource !== 'rpc') {
    return (values.get('accept') ?? []).includes('image/jpg') ? ['the media type of JPEG files is image/jpeg'] : []
  }
  const methods = values.get('lxm')!.filter((nsid) => nsid !== '*')
  const likely = methods.flatMap((nsid) => {
    const reason = unavailableReason(nsid)
    return reason === undefined ? [] : [`${nsid}: ${reason}`]
  })
  const own = methods.filter(
    (nsid) =>
      /^com\.atproto\.(?:repo|identity|server|sync)\./.test(nsid) &&
      !Object.hasOwn(BY_TOKEN, nsid) &&
      unavailableReason(nsid) === undefined,
  )
  return [
    ...likely,
    ...(own.length > 0
      ? [`${inWords(own, 3)}: the PDS implements it, so this permits only service tokens for it at another service`]
      : []),
  ]
}

/** @param most the rest is counted */
function inWords(list: readonly string[], most = list.length, conjunction = 'and'): string {
  const shown = list.length > most + 1 ? [...list.slice(0, most), `${list.length - most} others`] : list
  return shown.length < 2 ? shown.join('') : `${shown.slice(0, -1).join(', ')} ${conjunction} ${shown.at(-1)}`
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1)
}
