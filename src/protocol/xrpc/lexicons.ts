/**
 * The published XRPC methods: kind, parameters and input. Other methods can be called too, without checks.
 *
 * @see https://atproto.com/specs/lexicon
 */
import type { MethodNeeds } from '../../errors.ts'
import { isOneSlip } from '../../text.ts'
import { METHOD_TABLE } from './lexicon-table.ts'

export interface Field {
  readonly name: string
  readonly type: 'text' | 'integer' | 'boolean' | 'json'
  readonly isList: boolean
  readonly isRequired: boolean
}

export interface Method {
  readonly nsid: string
  readonly kind: 'query' | 'procedure' | 'subscription'
  /** The parameters of the query string. */
  readonly parameters: readonly Field[]
  /** The body of a procedure; absent if it has none. */
  readonly input?: { readonly mediaType: string; readonly fields: readonly Field[] } | undefined
  readonly output: string
}

const JSON_TYPE = 'application/json'
const KINDS = { q: 'query', p: 'procedure', s: 'subscription' } as const
const TYPES = { '': 'text', '#': 'integer', '~': 'boolean', '{}': 'json' } as const

/** The only place that names it: the build writes a constant wherever it is used. */
function table(): string {
  return METHOD_TABLE
}

/** The lines of the table by their group: `name kind parameter… >input field… <output`. */
function lines(): string[][] {
  return table()
    .trim()
    .split('\n')
    .map((line) => line.split('|'))
}

/** A cache: a batch uses the same few methods many times. */
const found = new Map<string, Method>()

export function findMethod(nsid: string): Method | undefined {
  const before = found.get(nsid)
  if (before) return before
  const method = lookUp(nsid)
  if (method) found.set(nsid, method)
  return method
}

function lookUp(nsid: string): Method | undefined {
  const at = nsid.lastIndexOf('.')
  const all = table()
  const start = all.indexOf(`\n${nsid.slice(0, at)}|`) + 1
  const [group, ...methods] = all.slice(start, all.indexOf('\n', start)).split('|')
  if (group !== nsid.slice(0, at)) return undefined
  const line = methods.find((text) => text.startsWith(`${nsid.slice(at + 1)} `))
  return line === undefined ? undefined : parse(nsid, line)
}

/** Sorted by name; those whose name contains `part`, in any case. */
export function listMethods(part = ''): Method[] {
  const wanted = part.toLowerCase()
  return lines()
    .flatMap(([group, ...methods]) =>
      methods.map((line) => parse(`${group}.${line.slice(0, line.indexOf(' '))}`, line)),
    )
    .filter(({ nsid }) => nsid.toLowerCase().includes(wanted))
}

let spellings: readonly (readonly [lower: string, nsid: string])[] | undefined

/**
 * The published method that was meant by a name that is not one: it differs only in case, and by at most one character
 * inserted, deleted, replaced or exchanged with the next.
 */
export function nearestMethod(nsid: string): Method | undefined {
  spellings ??= listMethods().map((method) => [method.nsid.toLowerCase(), method.nsid])
  const typed = nsid.toLowerCase()
  const meant = spellings.find(([lower]) => lower === typed) ?? spellings.find(([lower]) => isOneSlip(lower, typed))
  return meant && findMethod(meant[1])
}

function parse(nsid: string, line: string): Method {
  const [, kind, ...words] = line.split(' ')
  const output = words.find((word) => word.startsWith('<'))
  const rest = words.filter((word) => word !== output)
  const at = rest.findIndex((word) => word.startsWith('>'))
  const own = at < 0 ? rest : rest.slice(0, at)
  return {
    nsid,
    kind: KINDS[kind as keyof typeof KINDS],
    parameters: own.map(field),
    input: at < 0 ? undefined : { mediaType: rest[at]!.slice(1) || JSON_TYPE, fields: rest.slice(at + 1).map(field) },
    output: output?.slice(1) ?? JSON_TYPE,
  }
}

function field(word: string): Field {
  const [, name, type, list, required] = /^(\w+)(#|~|\{\}|)(\[\])?(!)?$/.exec(word)!
  return {
    name: name!,
    type: TYPES[type as keyof typeof TYPES],
    isList: list !== undefined,
    isRequired: required !== undefined,
  }
}

/** The required fields of a method. */
export function needsOf({ nsid, kind, parameters, input }: Method): MethodNeeds {
  const fields = [...parameters, ...(input?.fields ?? [])].filter(({ isRequired }) => isRequired)
  return { nsid, fields, isUpload: kind === 'procedure' && input !== undefined && input.mediaType !== JSON_TYPE }
}

/** The server on which the methods below were seen to be closed. */
const SEEN_ON = 'PDS 0.5.35'

/**
 * Methods that the reference PDS rejects for OAuth sessions, whatever the scope. Other servers and versions differ, so
 * that requests are sent, with a warning: only a server's refusal is certain.
 */
const LIKELY_CLOSED = new Set(
  [
    'server.createAppPassword',
    'server.listAppPasswords',
    'server.revokeAppPassword',
    'server.activateAccount',
    'server.requestAccountDelete',
    'server.getAccountInviteCodes',
    'server.requestEmailUpdate',
    'server.updateEmail',
    'server.refreshSession',
    'server.deleteSession',
    'temp.checkSignupQueue',
  ].map((name) => `com.atproto.${name}`),
)

/** The reason why a server is likely to reject a method for an OAuth session. */
export function unavailableReason(nsid: string): string | undefined {
  if (LIKELY_CLOSED.has(nsid)) {
    return `the server is likely to reject it for OAuth sessions, as ${SEEN_ON} does; it requires a sign-in with the account password`
  }
  return nsid.startsWith('com.atproto.admin.')
    ? 'the server is likely to reject it, because it requires the administrator password'
    : undefined
}

/** The reason for a refusal of such a method by a server. */
export function refusalReason(nsid: string): string | undefined {
  if (LIKELY_CLOSED.has(nsid)) {
    return 'this server rejects it for OAuth sessions; it requires a sign-in with the account password'
  }
  return nsid.startsWith('com.atproto.admin.') ? 'it requires the administrator password of the server' : undefined
}

/** What to know before a method is called. */
export function methodWarning(nsid: string): string | undefined {
  if (nsid === 'com.atproto.server.deactivateAccount') {
    return 'it ends all sessions of the account, this one too, and removes its app passwords and authorized apps; an OAuth session cannot reactivate the account'
  }
  return unavailableReason(nsid)
}
