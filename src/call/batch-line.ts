/**
 * One line of a batch → the request that it is, checked before anything is sent.
 */
import { OAuthError } from '../errors.ts'
import type { JsonObject } from '../protocol/http/response.ts'
import { assembleRequest, type GivenField, type GivenRequest } from '../protocol/xrpc/fields.ts'
import { type Field, findMethod } from '../protocol/xrpc/lexicons.ts'
import type { XrpcRequest } from '../protocol/xrpc/request.ts'
import { defaultService } from '../protocol/xrpc/services.ts'
import { isObject, parseJson } from '../text.ts'

const MEMBERS = ['nsid', 'params', 'input', 'method', 'headers', 'id']

export interface LineRequest {
  /** As the line has it; absent if it has none. */
  readonly id?: unknown
  /** @throws {OAuthError} `USAGE` */
  request(): XrpcRequest
}

/** @throws {OAuthError} `USAGE` it is not even a JSON object */
export function parseBatchLine(text: string, account: GivenRequest['account']): LineRequest {
  const line = parse(text)
  const request = () => requestOf(line, account)
  return 'id' in line ? { id: line.id, request } : { request }
}

function requestOf(line: JsonObject, account: GivenRequest['account']): XrpcRequest {
  const { nsid, params = {}, input, method, headers = {} } = line
  const unknown = Object.keys(line).filter(isUnknown)
  if (unknown.length > 0) throw usage(`unknown member "${unknown.join('", "')}"; a request has ${MEMBERS.join(', ')}`)
  if (typeof nsid !== 'string') throw usage('"nsid" must be a method name')
  if (method !== undefined && method !== 'GET' && method !== 'POST') throw usage('"method" must be "GET" or "POST"')
  if (!isObject(params)) throw usage('"params" must be an object')
  if (!isObject(headers)) throw usage('"headers" must be an object')
  if (input === null) throw usage('"input" is null; a request without a body has no "input"')
  const assembled = assembleRequest({
    nsid,
    fields: line.params === undefined ? [] : fieldsOf(params, method === undefined ? nsid : undefined),
    input,
    method,
    account,
  })
  const service = defaultService(nsid)
  if (service === undefined && line.headers === undefined) return assembled
  return {
    ...assembled,
    headers: {
      ...assembled.headers,
      ...(service !== undefined && { 'atproto-proxy': service }),
      ...headersOf(headers),
    },
  }
}

function isUnknown(member: string): boolean {
  return !MEMBERS.includes(member)
}

/** JSON has types of its own: a value is what it is, and has to be what the method takes. */
function fieldsOf(params: JsonObject, nsid: string | undefined): GivenField[] {
  const method = nsid === undefined ? undefined : findMethod(nsid)
  const declared = [...(method?.parameters ?? []), ...(method?.input?.fields ?? [])]
  return Object.entries(params).map(([name, value]) => {
    const field = declared.find((one) => one.name === name)
    if (field) checkType(field, value)
    return { name, value: JSON.stringify(value), isJson: true }
  })
}

const TYPES = {
  text: ['a string', (value: unknown) => typeof value === 'string'],
  integer: ['an integer', Number.isSafeInteger],
  boolean: ['true or false', (value: unknown) => typeof value === 'boolean'],
  json: ['a value', (value: unknown) => value !== null],
} as const

function checkType({ name, type, isList }: Field, value: unknown): void {
  const [what, isRight] = TYPES[type]
  const values = isList && Array.isArray(value) ? value : [value]
  if (values.every((item) => isRight(item))) return
  const given = JSON.stringify(value)
  throw usage(`${name} must be ${what}, not ${given.length > 100 ? `${given.slice(0, 100)}…` : given}`)
}

function headersOf(headers: JsonObject): Record<string, string> {
  const entries = Object.entries(headers).map(([name, value]) => {
    if (typeof value !== 'string') throw usage(`header "${name}" must be a string`)
    return [name.toLowerCase(), value] as const
  })
  return Object.fromEntries(entries)
}

function parse(text: string): JsonObject {
  let value: unknown
  try {
    value = parseJson(text)
  } catch (error) {
    throw usage(`invalid JSON: ${error instanceof SyntaxError ? error.message : String(error)}`)
  }
  if (!isObject(value)) throw usage('the line is not a JSON object')
  if (LONG_NUMBER.test(text) && hasInexact(value)) {
    throw usage('a whole number beyond 2^53 would lose its last digits')
  }
  return value
}

/** Has more digits than every number that is kept exactly. */
const LONG_NUMBER = /\d{16}/

/** Whether a whole number may not be the one that was written. */
function hasInexact(value: unknown): boolean {
  if (typeof value === 'number') return Number.isInteger(value) && !Number.isSafeInteger(value)
  return typeof value === 'object' && value !== null && Object.values(value).some(hasInexact)
}

function usage(message: string): OAuthError {
  return new OAuthError('USAGE', message)
}
