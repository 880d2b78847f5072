/**
 * Parses the permissions of a scope, normalizes and compares them.
 *
 * @see https://atproto.com/specs/permission
 */
import type { Did } from '../../model.ts'
import { asDid, asNsid } from '../identity/syntax.ts'
import { coversSpaces, describeSpaces, SPACE } from './space.ts'

export interface Parameter {
  readonly isValid: (value: string) => boolean
  /** Whether `granted` includes `wanted`; both are valid. */
  readonly covers: (granted: string, wanted: string) => boolean
  readonly isList: boolean
  /** The values if the parameter is omitted; without a default it is required. */
  readonly default?: readonly string[]
  readonly isOptional?: boolean
}

const equal = (granted: string, wanted: string) => granted === wanted
const equalOrAny = (granted: string, wanted: string) => granted === '*' || granted === wanted
const NSIDS: Parameter = {
  isValid: (value) => value === '*' || asNsid(value) !== undefined,
  covers: equalOrAny,
  isList: true,
}
const oneOf = (...names: readonly string[]) => ({ isValid: (value: string) => names.includes(value) })
const MIME = /^(?:\*\/\*|[\w!#$&^.+-]+\/(?:\*|[\w!#$&^.+-]+))$/
/** Maximum number of values in a permission, which bounds the comparison with a server's grant. */
const LIST_LONGEST = 1000
const REPO_ACTIONS = ['create', 'update', 'delete']

/** The parameter that may follow the colon comes first. */
const RESOURCES = {
  repo: {
    collection: NSIDS,
    action: { ...oneOf(...REPO_ACTIONS), covers: equal, isList: true, default: REPO_ACTIONS },
  },
  rpc: {
    lxm: NSIDS,
    aud: { isValid: (value) => value === '*' || isServiceReference(value), covers: equalOrAny, isList: false },
  },
  blob: {
    accept: {
      isValid: (value) => MIME.test(value),
      covers: (granted, wanted) =>
        granted === '*/*' || granted === wanted || (granted.endsWith('/*') && wanted.startsWith(granted.slice(0, -1))),
      isList: true,
    },
  },
  account: {
    attr: { ...oneOf('email', 'repo', 'status'), covers: equal, isList: false },
    action: {
      ...oneOf('read', 'manage'),
      covers: (granted, wanted) => granted === 'manage' || granted === wanted,
      isList: true,
      default: ['read'],
    },
  },
  identity: { attr: { ...oneOf('handle', '*'), covers: equalOrAny, isList: false } },
  include: {
    nsid: { isValid: (value) => asNsid(value) !== undefined, covers: equal, isList: false },
    aud: { isValid: isServiceReference, covers: equal, isList: false, isOptional: true },
  },
  space: SPACE,
} as const satisfies Record<string, Record<string, Parameter>>

export type Resource = keyof typeof RESOURCES
export const RESOURCE_NAMES = Object.keys(RESOURCES) as Resource[]
type Values = ReadonlyMap<string, readonly string[]>

export interface Permission {
  readonly resource: Resource
  /** Sorted, with defaults, and without values that others cover. */
  readonly values: Values
}

export const STATIC = ['atproto', 'transition:generic', 'transition:email', 'transition:chat.bsky']

export function isStatic(token: string): boolean {
  return STATIC.includes(token)
}

/** Whether the token looks like a permission of atproto. `space:` is a proposal, whose syntax may still change. */
export function isAtprotoToken(token: string): boolean {
  const name = /^[^:?%]*(?=[:?]|%3[AaFf]|$)/.exec(token)?.[0].toLowerCase()
  if (name === 'space') return false
  return name === 'atproto' || name === 'transition' || (name !== undefined && Object.hasOwn(RESOURCES, name))
}

/** Parses a permission; `undefined` for a static scope or an invalid one. */
export function parsePermission(token: string): Permission | undefined {
  const match = /^([a-z]+)(?::([^?]*))?(?:\?(.*))?$/.exec(token)
  if (!match || !Object.hasOwn(RESOURCES, match[1]!)) return undefined
  const resource = match[1] as Resource
  const parameters = parametersOf(resource)
  const given = new Map<string, string[]>()
  if (match[2] !== undefined) {
    const value = decode(match[2])
    if (value === undefined) return undefined
    given.set(parameters[0]![0], [value])
  }
  for (const [name, value] of pairs(match[3] ?? '') ?? [['', '']]) {
    const isPositional = match[2] !== undefined && name === parameters[0]![0]
    if (isPositional || !parameters.some(([known]) => known === name)) return undefined
    given.set(name, [...(given.get(name) ?? []), value])
  }
  const values = new Map<string, readonly string[]>()
  for (const [name, parameter] of parameters) {
    const list = given.get(name) ?? parameter.default
    if (list === undefined && parameter.isOptional) continue
    if (!list || list.length > (parameter.isList ? LIST_LONGEST : 1) || !list.every(parameter.isValid)) return undefined
    values.set(name, reduced(resource === 'blob' ? list.map((type) => type.toLowerCase()) : list, parameter))
  }
  // A wildcard is allowed for the methods or for the service, but not for both.
  if (resource === 'rpc' && values.get('lxm')![0] === '*' && values.get('aud')![0] === '*') return undefined
  return { resource, values }
}

export function parametersOf(resource: Resource): [name: string, parameter: Parameter][] {
  return Object.entries(RESOURCES[resource])
}

/** The parameters of a resource by name, and whether each is a list; `undefined` if there is no such resource. */
export function parametersIn(resource: string): ReadonlyMap<string, { readonly isList: boolean }> | undefined {
  return Object.hasOwn(RESOURCES, resource) ? new Map(parametersOf(resource as Resource)) : undefined
}

/** Decoded like a form, as servers do: `+` is a space. */
function pairs(query: string): [string, string][] | undefined {
  const result: [string, string][] = []
  for (const part of query.split('&')) {
    if (part === '') continue
    const at = part.indexOf('=')
    const [name, value] = [part.slice(0, at), part.slice(at + 1)].map((text) => decode(text.replaceAll('+', ' ')))
    if (at < 0 || name === undefined || value === undefined) return undefined
    result.push([name, value])
  }
  return result
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

function reduced(list: readonly string[], { covers }: Parameter): string[] {
  const unique = [...new Set(list)].sort()
  return unique.filter((value) => !unique.some((other) => other !== value && covers(other, value)))
}

/** A fragment of a URL (RFC 3986). */
const FRAGMENT = /^(?:[\w.~!$&'()*+,;=:@/?-]|%[0-9a-fA-F]{2})+$/

/** Whether a value is a `did#service`, as in `aud`. */
function isServiceReference(value: string): boolean {
  const [did, service, ...rest] = value.split('#')
  return rest.length === 0 && asDid(did!, true) !== undefined && FRAGMENT.test(service ?? '')
}

/** The normal form, equal for all tokens with the same meaning. */
export function normalToken(token: string): string {
  const permission = parsePermission(token)
  return permission ? formatPermission(permission) : token
}

function formatPermission({ resource, values }: Permission): string {
  const [[positional]] = parametersOf(resource) as [[string, Parameter]]
  const first = values.get(positional)!
  const query = parametersOf(resource).flatMap(([name, parameter]) => {
    const list = values.get(name) ?? []
    if (name === positional && list.length === 1) return []
    if (parameter.default && reduced(parameter.default, parameter).join() === list.join()) return []
    return list.map((value) => `${name}=${encode(value)}`)
  })
  const head = first.length === 1 ? `${resource}:${encode(first[0]!).replaceAll('%2B', '+')}` : resource
  return query.length > 0 ? `${head}?${query.join('&')}` : head
}

function encode(value: string): string {
  return encodeURIComponent(value).replaceAll('%3A', ':').replaceAll('%2F', '/')
}

/** Whether `tokens` together cover all of `wanted`. */
export function isCovered(wanted: Permission, tokens: readonly string[]): boolean {
  const granted = tokens.map(parsePermission).filter((permission) => permission?.resource === wanted.resource)
  const parameters = parametersOf(wanted.resource)
  if (wanted.resource === 'space') {
    return coversSpaces(
      granted.map((permission) => permission!.values),
      wanted.values,
    )
  }
  return combinations(wanted).every(
    (atom) =>
      tokens.some((token) => transitionCovers(token, wanted.resource, atom)) ||
      granted.some((permission) =>
        parameters.every(([name, { covers }]) => {
          const value = atom.get(name)
          const has = permission!.values.get(name)
          return value === undefined ? has === undefined : has?.some((one) => covers(one, value))
        }),
      ),
  )
}

/** All combinations with one value for each parameter. */
function combinations({ values }: Permission): ReadonlyMap<string, string>[] {
  let atoms: Map<string, string>[] = [new Map()]
  for (const [name, list] of values) {
    atoms = atoms.flatMap((atom) => list.map((value) => new Map(atom).set(name, value)))
  }
  return atoms
}

/** The permissions that the transitional scopes include ("Transitional Scopes"). */
function transitionCovers(token: string, resource: Resource, atom: ReadonlyMap<string, string>): boolean {
  const isChat = atom.get('lxm')?.startsWith('chat.bsky.') === true
  if (token === 'transition:generic')
    return resource === 'repo' || resource === 'blob' || (resource === 'rpc' && !isChat)
  if (token === 'transition:chat.bsky') return resource === 'rpc' && isChat
  return token === 'transition:email' && resource === 'account' && [...atom.values()].join() === 'email,read'
}

/** What a `space:` permission allows, in words; `undefined` for other tokens. */
export function describeToken(token: string): string | undefined {
  const permission = parsePermission(token)
  return permission?.resource === 'space' ? describeSpaces(permission.values) : undefined
}

/** The token with the account in place of `self`, which stands for it in `space:` permissions. */
export function ofAccount(token: string, account: Did | undefined): string {
  const permission = parsePermission(token)
  if (permission?.resource !== 'space' || account === undefined || permission.values.get('authority')![0] !== 'self') {
    return token
  }
  return formatPermission({ ...permission, values: new Map(permission.values).set('authority', [account]) })
}

/** The parameters with the NSIDs of a permission, for the resources that a permission set can contain. */
const NAMES: Partial<Record<Resource, string>> = { repo: 'collection', rpc: 'lxm', space: 'spaceType' }

/** Whether a permission set can contain permissions for this resource. */
export function isInSets({ resource }: Permission): boolean {
  return nameParameter(resource) !== undefined
}

/** The parameter with the NSIDs of a permission; `undefined` if no permission set can contain the resource. */
export function nameParameter(resource: string): string | undefined {
  return Object.hasOwn(NAMES, resource) ? NAMES[resource as Resource] : undefined
}

/** Whether an `include:` can grant this permission: its names are in the namespace of the set ("Namespace Authority"). */
export function isOfSet(permission: Permission, include: Permission): boolean {
  const names = permission.values.get(NAMES[permission.resource] ?? '')
  const [service] = permission.values.get('aud') ?? ['*']
  const [inherited] = include.values.get('aud') ?? []
  const namespace = `${namespaceOf(include.values.get('nsid')![0]!)}.`
  return names?.every((name) => name.startsWith(namespace)) === true && (service === '*' || service === inherited)
}

/** The same permission as tokens with one value for each parameter. */
export function splitValues(token: string): string[] {
  const permission = parsePermission(token)
  if (permission === undefined || permission.resource === 'space') return [token]
  const { resource } = permission
  return combinations(permission).map((atom) =>
    formatPermission({ resource, values: new Map([...atom].map(([name, value]) => [name, [value]])) }),
  )
}

/** Whether an NSID is named as permission sets are by convention, such as `app.bsky.authFullApp`. */
export function isSetName(nsid: string): boolean {
  return /\.auth[A-Z][A-Za-z0-9]*$/.test(nsid)
}

export function namespaceOf(nsid: string): string {
  return nsid.slice(0, nsid.lastIndexOf('.'))
}
