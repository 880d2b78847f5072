/**
 * Turns `key=value` fields and a JSON body into an XRPC request, and checks them against the lexicon before anything is
 * sent.
 *
 * @see https://atproto.com/specs/xrpc
 */
import { OAuthError } from '../../errors.ts'
import { isObject } from '../../text.ts'
import { type Field, findMethod, type Method, nearestMethod, needsOf } from './lexicons.ts'
import type { XrpcRequest } from './request.ts'

/** A `key=value` argument. */
export interface GivenField {
  readonly name: string
  readonly value: string
  /** Written as `key:=value`: the value is JSON, whatever the lexicon says. */
  readonly isJson?: boolean | undefined
}

export interface GivenRequest {
  readonly nsid: string
  readonly fields: readonly GivenField[]
  /** A JSON body, as text. */
  readonly data?: string | undefined
  /** A JSON body, as a value in place of `data`. */
  readonly input?: unknown
  /** A file is sent as the body. */
  readonly hasUpload?: boolean | undefined
  /** Set by the caller; then the lexicon is not consulted. */
  readonly method?: 'GET' | 'POST' | undefined
  /** The values of `{did}`, `{handle}` and `{pds}`. */
  readonly account: Readonly<Record<'did' | 'handle' | 'pds', string | undefined>>
}

const JSON_TYPE = 'application/json'

type Values = Map<string, unknown>

/** @throws {OAuthError} `USAGE`; nothing was sent */
export function assembleRequest(given: GivenRequest): XrpcRequest {
  const { nsid, method: asked, account } = given
  const known = checkMethod(nsid, asked)
  const written = given.data === undefined ? given.input : parseJson(given.data, 'the body')
  const data = fillIn(written, account)
  const isPost = known
    ? known.kind === 'procedure'
    : (asked ?? (data === undefined && !given.hasUpload ? 'GET' : 'POST')) === 'POST'
  const values = collect(given, known)
  const isParameter = (name: string) => known?.parameters.some((field) => field.name === name)
  // Fields cannot be merged into a file.
  const hasFields = isPost && (known !== undefined || !given.hasUpload)
  const own: Values = new Map()
  const rest: Values = new Map()
  for (const [name, value] of values) (hasFields && !isParameter(name) ? rest : own).set(name, value)

  if (!isPost && (data !== undefined || given.hasUpload)) {
    throw usage(`${asked ? 'a GET request' : `${nsid} is a query: it`} has no body`, known)
  }
  if (given.hasUpload && known?.input?.mediaType === JSON_TYPE) {
    throw new OAuthError('USAGE', `${nsid} requires a JSON body`, {
      facts: { reason: 'json-needed' },
    })
  }
  const body = isPost && !given.hasUpload ? bodyOf(data, rest, known) : undefined
  if (known) checkComplete(known, own, body, given)
  const method = isPost ? 'POST' : 'GET'
  const parameters = own.size === 0 ? [] : [...own].flatMap(([name, value]) => asParameters(name, value))
  if (body === undefined) return { nsid, method, parameters }
  // Unchanged if nothing was merged into it, so that numbers and whitespace are kept.
  const text = body === written && given.data !== undefined ? given.data : JSON.stringify(body)
  return { nsid, method, parameters, body: text, headers: { 'content-type': 'application/json' } }
}

/**
 * The lexicon of the method, if the request has to follow it.
 *
 * @param asked the HTTP method, if the caller sets it; then the lexicon is not consulted
 * @throws {OAuthError} `USAGE`
 */
export function checkMethod(nsid: string, asked: GivenRequest['method']): Method | undefined {
  if (asked !== undefined) return undefined
  const known = findMethod(nsid)
  if (known) checkOpen(known)
  else checkSpelling(nsid)
  return known
}

function checkOpen(method: Method): void {
  if (method.kind === 'subscription') {
    throw new OAuthError('USAGE', `${method.nsid} is a subscription: it requires a WebSocket, which is not supported`, {
      facts: { reason: 'websocket-needed' },
    })
  }
}

/** An unknown method would be sent as a query without a body, or with the fields of a record in its URL. */
function checkSpelling(nsid: string): void {
  const meant = nearestMethod(nsid)
  if (!meant) return
  throw new OAuthError('USAGE', `unknown method ${nsid}: did you mean ${meant.nsid}?`, {
    facts: { reason: 'method-misspelt', meant: meant.nsid },
  })
}

/** The fields by name, converted to the type in the lexicon; a repeated field is a list. */
function collect({ fields, account }: GivenRequest, known: Method | undefined): Values {
  const values: Values = new Map()
  if (fields.length === 0) return values
  const declared = [...(known?.parameters ?? []), ...(known?.input?.fields ?? [])]
  for (const { name, value, isJson } of fields) {
    const field = declared.find((one) => one.name === name)
    if (known && !field) throw usage(`${known.nsid} has no field ${JSON.stringify(name)}${namesOf(declared)}`, known)
    const text = () => placeholders(value, account)
    const item =
      isJson || field?.type === 'json'
        ? fillIn(parseJson(value, name), account)
        : field
          ? typed(field, { text: text(), written: value }, known!)
          : text()
    const before = values.get(name)
    if (before !== undefined && field && !field.isList) throw usage(`${name} cannot be repeated`, known)
    const list = Array.isArray(item) ? item : [item]
    const isList = field?.isList || before !== undefined
    values.set(name, isList ? [...((before === undefined ? [] : [before].flat()) as unknown[]), ...list] : item)
  }
  return values
}

function namesOf(declared: readonly Field[]): string {
  return declared.length === 0 ? ', and takes none' : `; its fields are ${declared.map(({ name }) => name).join(', ')}`
}

/** @param written before placeholders were filled in */
function typed(
  { name, type, isRequired }: Field,
  { text, written }: { readonly text: string; readonly written: string },
  method: Method,
): unknown {
  const wrong = (what: string) => usage(`${name} must be ${what}, not ${JSON.stringify(text)}`, method)
  if (type === 'integer') {
    if (/^-?\d+$/.test(text) && Number.isSafeInteger(Number(text))) return Number(text)
    throw wrong('a whole number')
  }
  if (type === 'boolean') {
    if (text === 'true' || text === 'false') return text === 'true'
    throw wrong('true or false')
  }
  if (/^\{(?!(?:did|handle|pds)\})\w+\}$/.test(written))
    throw usage(`unknown placeholder "${written}" in ${name}: use {did} or {handle}`, method)
  // Most likely a shell variable that is not set.
  if (text === '' && isRequired && method.kind === 'query') throw usage(`${name} is empty`, method)
  return text
}

function bodyOf(data: unknown, fields: Values, known: Method | undefined): unknown {
  const isJson = known?.input === undefined || known.input.mediaType === JSON_TYPE
  if (known && !known.input) {
    if (data === undefined && fields.size === 0) return undefined
    throw usage(`${known.nsid} has no body`, known)
  }
  if (!isJson) {
    const { nsid, input } = known!
    const what = input!.mediaType === '*/*' ? 'a file' : `a file of type ${input!.mediaType}`
    const isGiven = data !== undefined || fields.size > 0
    throw usage(`${nsid} requires ${what} as its body${isGiven ? ', not JSON' : ''}`, known)
  }
  if (fields.size === 0) return data ?? (known?.input ? {} : undefined)
  if (data !== undefined && !isObject(data)) throw usage('fields can only be merged into a JSON object', known)
  return { ...data, ...Object.fromEntries(fields) }
}

function checkComplete(known: Method, own: Values, body: unknown, { hasUpload }: GivenRequest): void {
  const missing: string[] = []
  for (const { name, isRequired } of known.parameters) if (isRequired && !own.has(name)) missing.push(name)
  const members = hasUpload || !known.input ? [] : known.input.fields
  for (const { name, isRequired } of members) {
    if (isRequired && !(isObject(body) && Object.hasOwn(body, name))) missing.push(name)
  }
  if (missing.length > 0) throw usage(`${known.nsid} requires ${missing.join(', ')}`, known)
}

/** A list becomes a repeated parameter: servers do not split values. */
function asParameters(name: string, value: unknown): [string, string][] {
  if (Array.isArray(value)) return value.flatMap((item) => asParameters(name, item))
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return [[name, String(value)]]
  throw new OAuthError('USAGE', `${name} cannot be a parameter of a query: it is neither text, number nor boolean`)
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const isTypographic = /[\u201c-\u201f]/.test(text.replace(/"(?:[^"\\]|\\.)*"/g, ''))
    const why = isTypographic
      ? 'its quotes are typographic ones'
      : error instanceof SyntaxError
        ? error.message
        : String(error)
    throw new OAuthError('USAGE', `${what} is not JSON: ${why}`, {
      facts: { reason: 'json-malformed' },
    })
  }
}

function placeholders(text: string, account: GivenRequest['account']): string {
  return text.replace(/\{(did|handle|pds)\}/g, (_, name: 'did' | 'handle' | 'pds') => known(name, account))
}

/**
 * In a body, only whole identifiers are replaced: the text of a post may contain anything.
 *
 * @returns the same value if it has none
 */
function fillIn(value: unknown, account: GivenRequest['account']): unknown {
  if (typeof value === 'string') {
    if (!value.includes('{')) return value
    return value.replace(/^(at:\/\/)?\{(did|handle|pds)\}(?=\/|$)/, (_, at = '', name) => at + known(name, account))
  }
  if (typeof value !== 'object' || value === null) return value
  let filled = value as Record<string, unknown>
  for (const name of Object.keys(value)) {
    const item = fillIn(filled[name], account)
    if (item === filled[name]) continue
    // A spread, because a member may be called `__proto__`.
    if (filled === value) filled = (Array.isArray(value) ? [...value] : { ...value }) as Record<string, unknown>
    filled[name] = item
  }
  return filled
}

function known(name: 'did' | 'handle' | 'pds', account: GivenRequest['account']): string {
  const value = account[name]
  if (value !== undefined) return value
  throw new OAuthError('USAGE', `the account's ${name} is not known: write it instead of {${name}}`)
}

function usage(message: string, method: Method | undefined): OAuthError {
  return new OAuthError('USAGE', message, { facts: method && { reason: 'method-misused', ...needsOf(method) } })
}
