/**
 * `space:` permissions, for data with restricted access. They are a proposal that few servers support.
 *
 * @see https://github.com/bluesky-social/proposals/tree/main/0016-permissioned-data
 */
import { asDid, asNsid } from '../identity/syntax.ts'

type Values = ReadonlyMap<string, readonly string[]>

const RECORD_KEY = /^(?!\.{1,2}$)[\w.:~-]{1,512}$/
const ACTIONS = ['read', 'read_self', 'create', 'update', 'delete']
const MANAGE = ['create', 'update', 'delete']

const equal = (granted: string, wanted: string) => granted === wanted
const equalOrAny = (granted: string, wanted: string) => granted === '*' || granted === wanted
const isNsidOrAny = (value: string) => value === '*' || asNsid(value) !== undefined

/** The parameters, as in permission.ts. Without `collection`, those that the space type declares are meant. */
export const SPACE = {
  spaceType: { isValid: isNsidOrAny, covers: equalOrAny, isList: false },
  authority: {
    isValid: (value: string) => value === '*' || value === 'self' || asDid(value, true) !== undefined,
    covers: equalOrAny,
    isList: false,
    default: ['self'],
  },
  skey: {
    isValid: (value: string) => value === '*' || RECORD_KEY.test(value),
    covers: equalOrAny,
    isList: false,
    default: ['*'],
  },
  collection: { isValid: isNsidOrAny, covers: equalOrAny, isList: true, isOptional: true },
  action: {
    isValid: (value: string) => ACTIONS.includes(value),
    covers: (granted: string, wanted: string) => granted === wanted || (granted === 'read' && wanted === 'read_self'),
    isList: true,
    default: ['read', 'create', 'update', 'delete'],
  },
  manage: { isValid: (value: string) => MANAGE.includes(value), covers: equal, isList: true, isOptional: true },
}

/** Without a collection: any record of the space, or the collections that the space type declares. */
interface Operation {
  readonly name: 'action' | 'manage'
  readonly verb: string
  readonly collection?: string | undefined
}

/** Whether `granted` permissions together cover all of `wanted`. Which collections a space type declares is unknown. */
export function coversSpaces(granted: readonly Values[], wanted: Values): boolean {
  return (
    granted.length > 0 &&
    operationsOf(wanted).every((operation) =>
      granted.some((values) => selectsSpaces(values, wanted) && allows(values, operation)),
    )
  )
}

function selectsSpaces(granted: Values, wanted: Values): boolean {
  return ['spaceType', 'authority', 'skey'].every((name) => equalOrAny(granted.get(name)![0]!, wanted.get(name)![0]!))
}

function operationsOf(values: Values): Operation[] {
  // No space type, no declaration: records can only be written in the collections that are named.
  const declared = values.get('spaceType')![0] === '*' ? [] : [undefined]
  const collections = values.get('collection') ?? declared
  const operations = values
    .get('action')!
    .flatMap((verb): Operation[] =>
      verb === 'read'
        ? [{ name: 'action', verb }]
        : collections.map((collection) => ({ name: 'action', verb, collection })),
    )
  return [...operations, ...(values.get('manage') ?? []).map((verb): Operation => ({ name: 'manage', verb }))]
}

function allows(granted: Values, { name, verb, collection }: Operation): boolean {
  const verbs = granted.get(name) ?? []
  if (name === 'manage' || verb === 'read') return verbs.includes(verb)
  if (verb === 'read_self' && verbs.includes('read')) return true
  const collections = granted.get('collection')
  const isIncluded = collections
    ? collection === undefined || collections.some((one) => equalOrAny(one, collection))
    : collection !== '*' && granted.get('spaceType')![0] !== '*'
  return verbs.includes(verb) && isIncluded
}

/** What a `space:` permission allows, in words. */
export function describeSpaces(values: Values): string {
  const [type, authority, key] = ['spaceType', 'authority', 'skey'].map((name) => values.get(name)![0]!)
  const collections = values.get('collection')
  const verbs = inOrder(ACTIONS, values.get('action')!).map((verb) => (verb === 'read_self' ? 'read your own' : verb))
  const of = !collections || collections[0] === '*' ? '' : ` of ${inWords(collections)}`
  const manage = inOrder(MANAGE, values.get('manage') ?? [])
  return [
    `spaces of ${type === '*' ? 'any type' : `type ${type}`}`,
    ...(key === '*' ? [] : [` with the key ${key}`]),
    ` of ${authority === 'self' ? 'this account' : authority === '*' ? 'any account' : authority}`,
    `: ${inWords(verbs)} records${of}`,
    ...(manage.length > 0 ? [`; ${inWords(manage)} the spaces`] : []),
  ].join('')
}

/** From reading to deleting, and not by the alphabet. */
function inOrder(known: readonly string[], list: readonly string[]): string[] {
  return known.filter((verb) => list.includes(verb))
}

function inWords(list: readonly string[]): string {
  return list.length < 2 ? list.join('') : `${list.slice(0, -1).join(', ')} and ${list.at(-1)}`
}
