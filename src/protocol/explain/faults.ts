/**
 * What is wrong with a permission, and how it is written. Servers drop what they cannot parse, and do not say so.
 *
 * @see https://atproto.com/specs/permission
 */

import { isOneSlip } from '../../text.ts'
import { asNsid } from '../identity/syntax.ts'
import {
  isSetName,
  isStatic,
  type Parameter,
  parametersOf,
  parsePermission,
  RESOURCE_NAMES,
  type Resource,
  STATIC,
} from '../scope/permission.ts'
import { serviceAt, serviceOf } from '../xrpc/services.ts'

/** One fault, and the token without it if that is known. It may have other faults. */
interface Fault {
  readonly message: string
  /** Empty if the token has to be omitted, or several tokens separated by spaces. */
  readonly repaired?: string | undefined
}

export interface TokenFaults {
  readonly messages: readonly string[]
  /** The permission as it is written correctly: empty if it has to be omitted, `undefined` if nobody can tell. */
  readonly meant: string | undefined
}

type Rule = (token: string) => Fault | undefined

/** More than a person can make in one permission. */
const FAULTS_MOST = 10

/** The faults of a permission, each after the one before it was corrected; `undefined` if it has none. */
export function faultsOf(token: string): TokenFaults | undefined {
  const messages: string[] = []
  let current = token
  for (let count = 0; count < FAULTS_MOST; count += 1) {
    if (current.split(' ').every((part) => part === '' || isDefined(part))) {
      return messages.length === 0 ? undefined : { messages, meant: current }
    }
    if (current.includes(' ')) break
    const fault = firstFault(current)
    messages.push(fault.message)
    if (fault.repaired === undefined || fault.repaired === current) break
    current = fault.repaired
  }
  return { messages, meant: undefined }
}

function isDefined(token: string): boolean {
  return isStatic(token) || parsePermission(token) !== undefined
}

function firstFault(token: string): Fault {
  for (const rule of RULES) {
    const fault = rule(token)
    if (fault !== undefined) return fault
  }
  return {
    message: `atproto defines no such permission: each begins with ${RESOURCE_NAMES.join(', ')} or transition, and a colon`,
  }
}

function quoted(text: string): string {
  return JSON.stringify(text)
}

const oddCharacter: Rule = (token) => {
  const odd = /[^\x21\x23-\x5b\x5d-\x7e]/u.exec(token)?.[0]
  if (odd === undefined) return undefined
  const plain = token
    .replace(/["\u201c\u201d\u2018\u2019\u00ab\u00bb\u200b-\u200d\u2060\ufeff]/g, '')
    .replace(/[\u2010-\u2015\u2212]/g, '-')
  return {
    message: `a scope cannot contain the character ${quoted(odd)}`,
    repaired: plain === token ? undefined : plain,
  }
}

const encodedWhole: Rule = (token) => {
  if (/%25[0-9a-f]{2}/i.test(token)) {
    return { message: 'it is percent-encoded twice', repaired: token.replace(/%25(?=[0-9a-f]{2})/gi, '%') }
  }
  if (!/^[a-z]+%3A/i.test(token) && !/^[^?]*%3F|[?&][^=&]*%3D/i.test(token)) return undefined
  return {
    message: 'it is percent-encoded as a whole: only the values of its parameters are',
    repaired: token
      .replace(/%3A/gi, ':')
      .replace(/%2F/gi, '/')
      .replace(/%3F/gi, '?')
      .replace(/%3D/gi, '=')
      .replace(/%26/g, '&'),
  }
}

/** Scopes of OpenID Connect, of app passwords and of other networks. */
const FOREIGN: Readonly<Record<string, readonly [message: string, repaired?: string]>> = {
  openid: ['it is a scope of OpenID Connect: in atproto every session names its account', ''],
  profile: ['it is a scope of OpenID Connect: in atproto profiles are public', ''],
  offline_access: ['it is a scope of OpenID Connect: in atproto every session has a refresh token', ''],
  email: ['it is a scope of OpenID Connect', 'account:email'],
  'com.atproto.access': ['it is the scope of a session with a password, not of OAuth', 'transition:generic'],
  'com.atproto.apppass': ['it is the scope of a session with an app password, not of OAuth', 'transition:generic'],
  'com.atproto.apppassprivileged': [
    'it is the scope of a session with an app password, not of OAuth',
    'transition:generic transition:chat.bsky',
  ],
  generic: ['it lacks "transition:"', 'transition:generic'],
  'chat.bsky': ['it lacks "transition:"', 'transition:chat.bsky'],
  'atproto:generic': ['it is not a permission of atproto', 'transition:generic'],
  read: ['there is no such permission: what is public is read without one', ''],
  write: ['there is no such permission: name the records to write, as in repo:app.bsky.feed.post'],
  all: ['no permission covers everything: transition:generic is the broadest'],
  '*': ['no permission covers everything: transition:generic is the broadest'],
}

const foreign: Rule = (token) => {
  const found = Object.hasOwn(FOREIGN, token.toLowerCase()) ? FOREIGN[token.toLowerCase()] : undefined
  return found && { message: found[0], repaired: found[1] }
}

/** `atproto` and the transitional scopes, which have no parameters. */
const staticScope: Rule = (token) => {
  const lower = token.toLowerCase()
  if (STATIC.includes(lower)) return { message: 'it is written in lower case', repaired: lower }
  if (/^at-?proto(?:col)?$/.test(lower) || isOneSlip(lower, 'atproto')) {
    return { message: 'it is misspelt', repaired: 'atproto' }
  }
  if (/^atproto[:?]/.test(lower)) return { message: 'atproto takes no parameters', repaired: 'atproto' }
  const [, name] = /^transition(?:al)?s?(?:$|[:.=/_-](.*))/.exec(lower) ?? []
  if (!/^transition/.test(lower)) return undefined
  const bare = name?.replace(/\?.*/, '') ?? ''
  const meant = STATIC.find((known) => known === `transition:${TRANSITIONS[bare] ?? bare}`)
  const slip = STATIC.find((known) => isOneSlip(known, lower))
  const message = bare !== name && meant !== undefined ? `${meant} takes no parameters` : UNKNOWN_TRANSITION
  return { message, repaired: meant ?? slip }
}

const UNKNOWN_TRANSITION =
  'there are three transitional scopes: transition:generic, transition:email and transition:chat.bsky'
const TRANSITIONS: Readonly<Record<string, string>> = {
  chat: 'chat.bsky',
  'chat-bsky': 'chat.bsky',
  'bsky.chat': 'chat.bsky',
  dm: 'chat.bsky',
  dms: 'chat.bsky',
  general: 'generic',
}

/** What people write instead of a resource. */
const ALIASES: Readonly<Record<string, Resource>> = {
  repository: 'repo',
  record: 'repo',
  records: 'repo',
  collection: 'repo',
  xrpc: 'rpc',
  lxm: 'rpc',
  method: 'rpc',
  blobs: 'blob',
  media: 'blob',
  upload: 'blob',
  accounts: 'account',
  acct: 'account',
  identities: 'identity',
  includes: 'include',
  'permission-set': 'include',
  spaces: 'space',
}

const resourceName: Rule = (token) => {
  const [, name = '', separator = '', rest = ''] = /^([A-Za-z-]+)([:?=/.]|$)(.*)$/.exec(token) ?? []
  const known = meantResource(name, separator)
  if (known === undefined) return undefined
  if (known !== name) {
    const why = known === name.toLowerCase() ? 'in lower case' : `as ${known}`
    return { message: `the resource ${quoted(name)} is written ${why}`, repaired: `${known}${separator}${rest}` }
  }
  if (separator === '' || separator === ':' || separator === '?') return undefined
  return { message: `a colon follows ${known}, not ${quoted(separator)}`, repaired: `${known}:${rest}` }
}

function meantResource(name: string, separator: string): Resource | undefined {
  const lower = name.toLowerCase()
  const exact = RESOURCE_NAMES.find((resource) => resource === lower)
  if (exact !== undefined) return exact
  // An NSID begins with any word and a full stop.
  if (separator === '.') return undefined
  return Object.hasOwn(ALIASES, lower)
    ? ALIASES[lower]
    : RESOURCE_NAMES.find((resource) => lower.length > 2 && isOneSlip(resource, lower))
}

const METHOD_VERB =
  /\.(?:accept|add|apply|confirm|create|delete|describe|emit|get|import|leave|list|mute|put|query|register|remove|request|resolve|search|send|sign|submit|unmute|update|upload)[A-Z]\w*$/

/** An NSID, a media type or an AT URI where a permission is expected. */
const valueAlone: Rule = (token) => {
  const head = /^[^:?]*/.exec(token)![0]
  if (token.startsWith('at://')) {
    const resource = isSetName(inUri(token) ?? '') ? 'include' : 'repo'
    return { message: 'an AT URI is not a permission', repaired: `${resource}:${token}` }
  }
  if (/^(?:image|video|audio|text|application|\*)\/[\w*.+-]+$/.test(token)) {
    return { message: 'a media type alone is not a permission', repaired: `blob:${token}` }
  }
  if (asNsid(head.replace(/\.\*$/, '.x')) === undefined) return undefined
  if (/^com\.atproto\.repo\.uploadBlob$/.test(head)) {
    return { message: 'uploads are permitted by media type', repaired: 'blob:*/*' }
  }
  if (/^com\.atproto\./.test(head)) {
    return {
      message: `${head} is a method of the PDS: permissions name what it changes, as in repo:app.bsky.feed.post`,
    }
  }
  const resource = isSetName(head) ? 'include' : METHOD_VERB.test(head) ? 'rpc' : 'repo'
  return { message: `an NSID alone is not a permission: it follows ${resource}:`, repaired: `${resource}:${token}` }
}

/** The NSID that an AT URI leads to: the name of a published lexicon, else the collection. */
function inUri(text: string): string | undefined {
  return /^at:\/\/[^/]+\/(?:com\.atproto\.lexicon\.schema\/)?([^/?#]+)/.exec(text)?.[1]
}

function queryOf(
  token: string,
): { readonly resource: Resource; readonly head: string; readonly query?: string } | undefined {
  const [, name = '', head = '', query] = /^([a-z]+)(:[^?]*)?(?:\?(.*))?$/.exec(token) ?? []
  const resource = RESOURCE_NAMES.find((each) => each === name)
  return resource && { resource, head, ...(query !== undefined && { query }) }
}

const punctuation: Rule = (token) => {
  const parts = queryOf(token)
  if (!parts) return undefined
  const { resource, head, query } = parts
  const whole = query === undefined ? `${resource}${head}` : `${resource}${head}?${query}`
  if (head === ':' && query !== undefined) {
    return { message: `nothing follows the colon of ${resource}`, repaired: `${resource}?${query}` }
  }
  if (query === undefined && /&\w+=/.test(head)) {
    return { message: 'a question mark begins the parameters', repaired: whole.replace('&', '?') }
  }
  if (query?.includes('?')) {
    return {
      message: 'only one question mark begins the parameters',
      repaired: `${resource}${head}?${query.replaceAll('?', '&')}`,
    }
  }
  const broken = /%(?![0-9a-f]{2})/i.test(whole)
  if (broken)
    return {
      message: 'the character % in a value is written %25',
      repaired: whole.replace(/%(?![0-9a-f]{2})/gi, '%25'),
    }
  if (whole.includes(',')) {
    const [first] = parametersOf(resource)[0]!
    const values = (text: string) => text.split(',').filter(Boolean)
    const named = `${
      head.includes(',')
        ? values(head.slice(1))
            .map((value) => `${first}=${value}`)
            .join('&')
        : ''
    }`
    const others = (query ?? '')
      .split('&')
      .filter(Boolean)
      .flatMap((pair) =>
        values(pair.slice(pair.indexOf('=') + 1)).map((value) => `${pair.slice(0, pair.indexOf('='))}=${value}`),
      )
    const repaired = [named, ...others].filter(Boolean).join('&')
    return {
      message: 'a parameter with several values is repeated: commas do not separate them',
      repaired: `${resource}${head.includes(',') ? '' : head}?${repaired}`,
    }
  }
  return nameless(resource, head, query) ?? extraColons(resource, head, query)
}

const ACTIONS: Partial<Record<Resource, readonly string[]>> = {
  repo: ['create', 'update', 'delete'],
  account: ['read', 'manage'],
  space: ['read', 'read_self', 'create', 'update', 'delete'],
}

/** `?create` instead of `?action=create`. */
function nameless(resource: Resource, head: string, query = ''): Fault | undefined {
  const word = query.split('&').find((pair) => pair !== '' && !pair.includes('='))
  if (word === undefined) return undefined
  const [[first]] = parametersOf(resource) as [[string, Parameter]]
  const name = ACTIONS[resource]?.includes(word.toLowerCase()) ? 'action' : word === first ? undefined : first
  const message = `the parameter ${quoted(word)} has no value: parameters are written name=value`
  const isNew = name !== undefined && (name === 'action' || head === '')
  return {
    message,
    repaired: isNew
      ? `${resource}${head}?${query
          .split('&')
          .map((pair) => (pair === word ? `${name}=${word}` : pair))
          .join('&')}`
      : undefined,
  }
}

/** `repo:a.b.c:create` instead of `repo:a.b.c?action=create`. */
function extraColons(resource: Resource, head: string, query: string | undefined): Fault | undefined {
  const words = head.slice(1).split(':')
  if (words.length < 2 || resource === 'space') return undefined
  const message = 'a colon follows only the resource: the other values are parameters'
  const more = query === undefined ? '' : `&${query}`
  if (resource === 'rpc' && /^did:/.test(words.slice(1).join(':'))) {
    return { message, repaired: `rpc:${words[0]}?aud=${words.slice(1).join(':').replace('#', '%23')}${more}` }
  }
  const actions = words.filter((word) => ACTIONS[resource]?.includes(word.toLowerCase()))
  const values = words.filter((word) => !actions.includes(word))
  if (actions.length === 0 || values.length !== 1) return undefined
  return { message, repaired: `${resource}:${values[0]}?${actions.map((word) => `action=${word}`).join('&')}${more}` }
}

/** A permission as it was written, however wrong. */
interface Written {
  readonly resource: Resource
  /** In order; the value after the colon is first, under its name. */
  readonly pairs: readonly (readonly [name: string, value: string])[]
  readonly isPositional: boolean
}

function readLoosely(token: string): Written | undefined {
  const parts = queryOf(token)
  if (!parts) return undefined
  const { resource, head, query = '' } = parts
  const decoded = (text: string) => {
    try {
      return decodeURIComponent(text)
    } catch {
      return text
    }
  }
  const pairs = query
    .split('&')
    .filter((pair) => pair.includes('='))
    .map((pair): [string, string] => [
      decoded(pair.slice(0, pair.indexOf('='))),
      decoded(pair.slice(pair.indexOf('=') + 1).replaceAll('+', ' ')),
    ])
  const [[first]] = parametersOf(resource) as [[string, Parameter]]
  const isPositional = head !== '' && head !== ':'
  return { resource, pairs: isPositional ? [[first, decoded(head.slice(1))], ...pairs] : pairs, isPositional }
}

/** With the first parameter after the colon, if it has one value. */
function writeToken({ resource, pairs }: Pick<Written, 'resource' | 'pairs'>): string {
  const [[first]] = parametersOf(resource) as [[string, Parameter]]
  const firsts = pairs.filter(([name]) => name === first)
  const encode = (value: string) =>
    encodeURIComponent(value).replaceAll('%3A', ':').replaceAll('%2F', '/').replaceAll('%2B', '+')
  const others = firsts.length === 1 ? pairs.filter(([name]) => name !== first) : pairs
  const query = others.map(
    ([name, value]) => `${name}=${encodeURIComponent(value).replaceAll('%3A', ':').replaceAll('%2F', '/')}`,
  )
  return `${resource}${firsts.length === 1 ? `:${encode(firsts[0]![1])}` : ''}${query.length > 0 ? `?${query.join('&')}` : ''}`
}

const NAME_ALIASES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  repo: {
    nsid: 'collection',
    type: 'collection',
    record: 'collection',
    actions: 'action',
    operation: 'action',
    verb: 'action',
  },
  rpc: { method: 'lxm', nsid: 'lxm', audience: 'aud', service: 'aud', did: 'aud' },
  blob: { type: 'accept', mime: 'accept', mimetype: 'accept', 'content-type': 'accept' },
  account: { attribute: 'attr', actions: 'action' },
  identity: { attribute: 'attr' },
  include: { set: 'nsid', audience: 'aud', service: 'aud' },
  space: { type: 'spaceType', space: 'spaceType', key: 'skey', rkey: 'skey', did: 'authority', owner: 'authority' },
}
/** Parameters that change nothing where they are written. */
const MEANINGLESS: Readonly<Record<string, readonly string[]>> = {
  identity: ['action'],
  include: ['action'],
  blob: ['action'],
}

const parameterName: Rule = (token) => {
  const written = readLoosely(token)
  if (!written) return undefined
  const { resource, pairs } = written
  const known = parametersOf(resource).map(([name]) => name)
  const wrong = pairs.find(([name]) => !known.includes(name))?.[0]
  if (wrong === undefined) return undefined
  const lower = wrong.toLowerCase()
  const meant =
    known.find((name) => name.toLowerCase() === lower) ??
    (Object.hasOwn(NAME_ALIASES[resource] ?? {}, lower) ? NAME_ALIASES[resource]![lower] : undefined) ??
    known.find((name) => name.length > 3 && isOneSlip(name, lower))
  const isMeaningless = MEANINGLESS[resource]?.includes(lower) === true
  const takes = known.length === 1 ? known[0] : `${known.slice(0, -1).join(', ')} and ${known.at(-1)}`
  const renamed = pairs.map(([name, value]): [string, string] => [name === wrong ? (meant ?? name) : name, value])
  return {
    message: `${resource} has no parameter ${quoted(wrong)}: it takes ${takes}`,
    repaired:
      meant !== undefined
        ? writeToken({ resource, pairs: renamed })
        : isMeaningless
          ? writeToken({ resource, pairs: pairs.filter(([name]) => name !== wrong) })
          : undefined,
  }
}

const repeated: Rule = (token) => {
  const written = readLoosely(token)
  if (!written) return undefined
  const { resource, pairs, isPositional } = written
  const [[first]] = parametersOf(resource) as [[string, Parameter]]
  for (const [name, parameter] of parametersOf(resource)) {
    const values = [...new Set(pairs.filter(([each]) => each === name).map(([, value]) => value))]
    const isTwice = pairs.filter(([each]) => each === name).length > 1
    if (!isTwice) continue
    if (name === first && isPositional) {
      return {
        message: `${name} is given twice: after the colon and by name`,
        repaired:
          parameter.isList || values.length === 1
            ? withValues(resource, pairs, name, values)
            : split(resource, pairs, name, values),
      }
    }
    if (!parameter.isList) {
      return {
        message: `${name} can have only one value: write a permission for each value`,
        repaired: split(resource, pairs, name, values),
      }
    }
  }
  return undefined
}

type Pairs = Written['pairs']

function withValues(resource: Resource, pairs: Pairs, name: string, values: readonly string[]): string {
  const at = pairs.findIndex(([each]) => each === name)
  const others = pairs.filter(([each]) => each !== name)
  const own = values.map((value): [string, string] => [name, value])
  return writeToken({ resource, pairs: [...others.slice(0, at), ...own, ...others.slice(at)] })
}

function split(resource: Resource, pairs: Pairs, name: string, values: readonly string[]): string {
  return values.map((value) => withValues(resource, pairs, name, [value])).join(' ')
}

const missing: Rule = (token) => {
  const written = readLoosely(token)
  if (!written) return undefined
  const { resource, pairs } = written
  const has = (name: string) => pairs.some(([each, value]) => each === name && value !== '')
  const lacking = parametersOf(resource).find(
    ([name, { default: usual, isOptional }]) => !usual && !isOptional && !has(name),
  )
  if (lacking === undefined) return undefined
  const [name] = lacking
  const others = pairs.filter(([each]) => each !== name)
  if (name === 'aud') {
    const methods = pairs.filter(([each]) => each === 'lxm').map(([, value]) => value)
    return {
      message: 'it lacks aud, the service at which the methods may be called',
      repaired: methods.includes('*')
        ? undefined
        : writeToken({ resource, pairs: [...others, ['aud', usualService(methods)]] }),
    }
  }
  return { message: MISSING[resource], repaired: resource === 'blob' ? 'blob:*/*' : undefined }
}

const MISSING: Readonly<Record<Resource, string>> = {
  repo: 'it names no collection: write repo:app.bsky.feed.post, or repo:* for all',
  rpc: 'it names no method: write rpc:app.bsky.feed.getTimeline and the service, or rpc:* for all methods of one service',
  blob: 'it names no media type: write blob:image/*, or blob:*/* for all',
  account: 'it names no attribute: write account:email, account:repo or account:status',
  identity: 'it names no attribute: write identity:handle, or identity:* for the whole identity',
  include: 'it names no permission set: write include: and its NSID',
  space: 'it names no space type: write space: and its NSID, or space:* for all',
}

function usualService(methods: readonly string[]): string {
  const isOf = (group: string) => methods.length > 0 && methods.every((nsid) => nsid.startsWith(group))
  return isOf('app.bsky.')
    ? serviceOf('appview')
    : isOf('chat.bsky.')
      ? serviceOf('chat')
      : isOf('tools.ozone.')
        ? serviceOf('ozone')
        : '*'
}

const wildcards: Rule = (token) => {
  const written = readLoosely(token)
  if (written?.resource !== 'rpc') return undefined
  const has = (wanted: string) => written.pairs.some(([name, value]) => name === wanted && value === '*')
  if (!has('lxm') || !has('aud')) return undefined
  return { message: 'all methods of all services cannot be permitted at once: name the methods, or the service' }
}

const value: Rule = (token) => {
  const written = readLoosely(token)
  if (!written) return undefined
  const { resource, pairs } = written
  for (const [name, parameter] of parametersOf(resource)) {
    for (const [each, given] of pairs) {
      if (each !== name || parameter.isValid(given)) continue
      const { message, values } = valueFault(resource, name, given)
      const corrected =
        values &&
        pairs.flatMap((pair): Written['pairs'] =>
          pair[0] === name && pair[1] === given ? values.map((meant) => [name, meant] as const) : [pair],
        )
      // Without its last value, the parameter would mean all of them.
      const isEmptied = corrected !== undefined && !corrected.some(([known]) => known === name)
      const isHandle = resource === 'account' && given.toLowerCase() === 'handle'
      if (isHandle)
        return { message: 'the handle is an attribute of identity:, not of account:', repaired: 'identity:handle' }
      return { message, repaired: isEmptied ? '' : corrected && writeToken({ resource, pairs: corrected }) }
    }
  }
  return { message: 'servers cannot parse this permission' }
}

interface ValueFault {
  readonly message: string
  /** What it is written as; empty if it is omitted. */
  readonly values?: readonly string[] | undefined
}

function valueFault(resource: Resource, name: string, given: string): ValueFault {
  if (name === 'aud') return audienceFault(resource, given)
  if (name === 'accept') return mediaTypeFault(given)
  if (name === 'action' || name === 'manage') return actionFault(resource, name, given)
  if (name === 'attr') return attributeFault(resource, given)
  if (name === 'authority') return { message: `authority is self, a DID or *, not ${quoted(given)}` }
  if (name === 'skey') return { message: `skey is a record key or *, not ${quoted(given)}` }
  return nsidFault(resource, name, given)
}

/** Last segments of the collections that bots write most. */
const COLLECTIONS: Readonly<Record<string, string>> = Object.fromEntries([
  ...['post', 'like', 'repost', 'threadgate', 'postgate', 'generator'].map((name) => [name, `app.bsky.feed.${name}`]),
  ...['follow', 'block', 'list', 'listitem', 'listblock', 'starterpack'].map((name) => [
    name,
    `app.bsky.graph.${name}`,
  ]),
  ['profile', 'app.bsky.actor.profile'],
])

function nsidFault(resource: Resource, name: string, given: string): ValueFault {
  const uri = inUri(given)
  if (uri !== undefined) return { message: `${name} is an NSID, not an AT URI`, values: [uri] }
  if (given.includes('#'))
    return { message: `${name} is an NSID without a fragment`, values: [given.replace(/#.*/, '')] }
  if (given.includes('*')) {
    const isAlone = name !== 'nsid'
    return { message: `there are no partial wildcards: name each NSID${isAlone ? ', or write * for all' : ''}` }
  }
  const short =
    resource === 'repo' && Object.hasOwn(COLLECTIONS, given.toLowerCase())
      ? COLLECTIONS[given.toLowerCase()]
      : undefined
  if (short !== undefined) return { message: `${name} is a whole NSID`, values: [short] }
  if (/^\d+$|^all$/i.test(given))
    return {
      message: `${name} is an NSID, not ${quoted(given)}`,
      values: given.toLowerCase() === 'all' && name !== 'nsid' ? ['*'] : undefined,
    }
  const trimmed = given.replace(/^[\s./]+|[\s./]+$/g, '').replaceAll('/', '.')
  return {
    message: `${quoted(given)} is not an NSID, such as app.bsky.feed.post`,
    values: trimmed !== given && asNsid(trimmed) ? [trimmed] : undefined,
  }
}

function audienceFault(resource: Resource, given: string): ValueFault {
  const needed = 'aud is the DID of a service, # and its name'
  const known = ['appview', 'chat', 'ozone'].includes(given.toLowerCase()) ? serviceOf(given.toLowerCase()) : undefined
  if (known !== undefined) return { message: `${needed}, not ${quoted(given)}`, values: [known] }
  if (given === '*') return { message: 'an include: cannot be for all services: name the service' }
  const any = resource === 'rpc' ? ['*'] : undefined
  if (/^did:[a-z]+:[^#]+#?$/.test(given)) {
    const did = given.replace(/#$/, '')
    const service = serviceAt(did)
    return {
      message: `a bare DID is not a service: # and its name follow${service === undefined && any ? ', or write aud=* for all services' : ''}`,
      values: service === undefined ? any : [service],
    }
  }
  const host = /^(?:https?:\/\/)?([\w-]+(?:\.[\w-]+)+)(?:\/.*)?$/.exec(given)?.[1]
  const service = host && serviceAt(`did:web:${host}`)
  return { message: `${needed}, not ${quoted(given)}`, values: service ? [service] : host ? any : undefined }
}

function mediaTypeFault(given: string): ValueFault {
  const lower = given.toLowerCase().trim()
  const message = `${quoted(given)} is not a media type, such as image/png or image/*`
  if (lower === '*' || lower === 'all') return { message, values: ['*/*'] }
  if (['image', 'video', 'audio', 'text', 'application', 'font'].includes(lower.replace(/s$/, ''))) {
    return { message, values: [`${lower.replace(/s$/, '')}/*`] }
  }
  const [, kind] = /^\.?(png|jpe?g|gif|webp|mp4|webm|vtt)$/.exec(lower) ?? []
  const types = { jpg: 'image/jpeg', mp4: 'video/mp4', webm: 'video/webm', vtt: 'text/vtt' }
  if (kind !== undefined) return { message, values: [types[kind as keyof typeof types] ?? `image/${kind}`] }
  const bare = lower.replace(/\s*;.*$/, '').replace(/\/$/, '/*')
  return { message, values: bare !== lower ? [bare] : undefined }
}

const ACTION_ALIASES: Readonly<Record<string, readonly string[]>> = {
  write: ['create', 'update'],
  put: ['create', 'update'],
  edit: ['update'],
  post: ['create'],
  add: ['create'],
  remove: ['delete'],
}

function actionFault(resource: Resource, name: string, given: string): ValueFault {
  const known = name === 'manage' ? ['create', 'update', 'delete'] : (ACTIONS[resource] ?? [])
  const lower = given.toLowerCase()
  if (resource === 'repo' && lower === 'read') {
    return { message: 'records are public: reading them needs no permission', values: [] }
  }
  const message = `${name} is ${known.join(', ')}, not ${quoted(given)}`
  if (lower === '*' || lower === 'all')
    return {
      message: `${name} has no wildcard`,
      values:
        name === 'action' && resource === 'account' ? ['manage'] : [...known].filter((one) => one !== 'read_self'),
    }
  if (known.includes(lower)) return { message: `${name} is written in lower case`, values: [lower] }
  if (resource === 'account')
    return { message, values: ['write', 'update', 'edit'].includes(lower) ? ['manage'] : undefined }
  const meant = ACTION_ALIASES[lower] ?? known.filter((one) => isOneSlip(one, lower))
  return { message, values: meant.length > 0 ? meant : undefined }
}

function attributeFault(resource: Resource, given: string): ValueFault {
  const lower = given.toLowerCase()
  const known = resource === 'identity' ? ['handle', '*'] : ['email', 'repo', 'status']
  const message = `the attribute is ${known.join(' or ')}, not ${quoted(given)}`
  if (known.includes(lower)) return { message: 'the attribute is written in lower case', values: [lower] }
  if (resource === 'identity' && ['did', 'plc', 'all'].includes(lower)) return { message, values: ['*'] }
  if (resource === 'account' && lower === 'password') {
    return { message: 'no permission lets a program change the password' }
  }
  if (resource === 'account' && lower === '*')
    return { message: 'account has no wildcard: request email, repo and status one by one' }
  const meant = known.filter((one) => isOneSlip(one, lower))
  return { message, values: meant.length > 0 ? meant : undefined }
}

const tooMany: Rule = (token) => (token.length > 20_000 ? { message: 'it has too many values' } : undefined)

/** In this order: a later rule relies on what the earlier ones have corrected. */
const RULES: readonly Rule[] = [
  tooMany,
  oddCharacter,
  encodedWhole,
  foreign,
  staticScope,
  resourceName,
  (token) => (queryOf(token) ? undefined : valueAlone(token)),
  punctuation,
  parameterName,
  repeated,
  missing,
  wildcards,
  (token) => (queryOf(token) ? value(token) : undefined),
]
