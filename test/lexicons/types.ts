/**
 * The types of the methods and records of the lexicons, as TypeScript: what src/lexicon-types.ts contains.
 */
import { execFileSync } from 'node:child_process'

interface Schema {
  readonly type: string
  readonly description?: string
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly nullable?: readonly string[]
  readonly items?: Schema
  readonly ref?: string
  readonly refs?: readonly string[]
  readonly enum?: readonly (string | number)[]
  readonly const?: string | number | boolean
  readonly knownValues?: readonly string[]
}

interface Main extends Schema {
  readonly record?: Schema
  readonly parameters?: Schema
  readonly input?: { readonly encoding: string; readonly schema?: Schema }
  readonly output?: { readonly encoding: string; readonly schema?: Schema }
}

/** `sent` by a program alone, which may have members that are `undefined`, or else `received` too. */
type Direction = 'sent' | 'received'

export type LexiconDocument = { readonly id: string; readonly defs: object }

const JSON_TYPE = 'application/json'
/**
 * The methods that an account has a use for, and whose form is settled. The others can be called without types: together
 * they would be nearly as large as these, and the package has to stay small.
 */
export const IS_TYPED = /^(?:com\.atproto\.(?!admin\.|temp\.)|app\.bsky\.(?!unspecced\.)|chat\.bsky\.(?!moderation\.))/

const HEAD = `/**
 * Types of the published XRPC methods and records, made by \`npm run lexicons\`. They have no code at run time.
 *
 * - Unions list the published types, with their \`$type\`. A server may send others: test \`$type\` before you use one.
 * - A format, such as \`did\` or \`datetime\`, is a \`string\`.
 *
 * @see https://atproto.com/specs/lexicon
 */
import type { Body } from './ports.ts'

/** A string for which the lexicon lists known values. */
export type OtherString = string & Record<never, never>
/** A member of a union. */
export type Typed<Name extends string, Shape> = Shape & { $type: Name }
/** An object of any shape, such as a record. */
export type UnknownObject = Record<string, unknown>
export type NoParameters = Record<string, never>

export interface CidLink {
  $link: string
}

export interface Bytes {
  $bytes: string
}

export interface BlobRef {
  $type: 'blob'
  ref: CidLink
  mimeType: string
  /** In bytes. */
  size: number
}
`

/** The text of the file; sorted, so that a newer package changes only what is new. */
export function methodTypes(documents: readonly LexiconDocument[]): string {
  const all = new Map(documents.map(({ id, defs }) => [id, defs as Readonly<Record<string, Main>>]))
  const mains = [...all]
    .filter(([id]) => IS_TYPED.test(id))
    .flatMap(([id, { main }]) => (main ? [[id, main] as const] : []))
    .sort(([one], [other]) => (one < other ? -1 : 1))
  const ofKind = (kind: string) => mains.filter(([, { type }]) => type === kind)
  const definitions = new Map<string, { readonly name: string; readonly schema: Schema }>()
  const isReceived = new Set<string>()

  function find(ref: string, from: string): string {
    const [document, part = 'main'] = ref.replace(/^lex:/, '').split('#')
    const key = `${document || from}#${part}`
    if (!all.get(document || from)?.[part]) throw new Error(`${from} refers to ${ref}, which does not exist`)
    return key
  }

  /** Notes what a schema refers to, so that nothing else is written. */
  function visit(schema: Schema | undefined, from: string, direction: Direction): void {
    if (!schema) return
    for (const ref of [...(schema.refs ?? []), ...(schema.ref ? [schema.ref] : [])]) reach(find(ref, from), direction)
    for (const each of Object.values(schema.properties ?? {})) visit(each, from, direction)
    visit(schema.items, from, direction)
  }

  function reach(key: string, direction: Direction): void {
    if (definitions.has(key) && (direction === 'sent' || isReceived.has(key))) return
    const [id, part] = key.split('#') as [string, string]
    const main = all.get(id)![part]!
    const schema = main.record ?? main
    definitions.set(key, { name: nameOf(id, part), schema })
    if (direction === 'received') isReceived.add(key)
    visit(schema, id, direction)
  }

  /** `#part` for a definition, and the plain NSID for the main one. */
  const shortName = (key: string) => key.replace(/#main$/, '')

  function write(schema: Schema | undefined, from: string, direction: Direction): string {
    if (!schema) return 'unknown'
    const { type, items, ref, refs = [] } = schema
    if (type === 'ref') return definitions.get(find(ref!, from))!.name
    if (type === 'union') {
      const members = refs.map((each) => find(each, from))
      const written = members.map((key) => `Typed<${quote(shortName(key))}, ${definitions.get(key)!.name}>`)
      return written.length === 0 ? 'UnknownObject' : written.join(' | ')
    }
    if (type === 'array') {
      const list = `Array<${write(items, from, direction)}>`
      return direction === 'sent' ? `Readonly${list}` : list
    }
    if (type === 'object' || type === 'params') return writeObject(schema, from, direction)
    if (type === 'unknown') return direction === 'sent' ? 'object' : 'UnknownObject'
    return scalar(schema)
  }

  function writeObject(schema: Schema, from: string, direction: Direction, type?: string): string {
    const { properties = {}, required = [], nullable = [] } = schema
    const lines = Object.entries(properties).map(([name, property]) => {
      const isOptional = !required.includes(name)
      const written = [
        write(property, from, direction),
        ...(nullable.includes(name) ? ['null'] : []),
        ...(isOptional && direction === 'sent' ? ['undefined'] : []),
      ]
      return `${name}${isOptional ? '?' : ''}: ${written.join(' | ')}`
    })
    if (type !== undefined) lines.unshift(`$type: ${quote(type)}`)
    return lines.length === 0 ? 'UnknownObject' : `{\n${lines.join('\n')}\n}`
  }

  function writeDefinition(key: string): string {
    const { name, schema } = definitions.get(key)!
    const [id, part] = key.split('#') as [string, string]
    const direction = isReceived.has(key) ? 'received' : 'sent'
    if (schema.type !== 'object') return `export type ${name} = ${write(schema, id, direction)}`
    const isRecord = part === 'main' && all.get(id)!['main']!.record !== undefined
    const text = writeObject(schema, id, direction, isRecord ? id : undefined)
    return text.startsWith('{') ? `export interface ${name} ${text}` : `export type ${name} = ${text}`
  }

  function method(id: string, { type, parameters, input, output }: Main): string {
    const { properties = {} } = parameters ?? {}
    const params = Object.keys(properties).length === 0 ? 'NoParameters' : writeObject(parameters!, id, 'sent')
    const lines = [`params: ${params}`]
    if (type === 'procedure') lines.push(`input: ${body(input, id, 'sent', 'Body')}`)
    lines.push(`output: ${body(output, id, 'received', 'Uint8Array')}`)
    return `${quote(id)}: {\n${lines.join('\n')}\n}`
  }

  function body(given: Main['input'], from: string, direction: Direction, bytes: string): string {
    if (!given) return 'undefined'
    return given.encoding === JSON_TYPE ? write(given.schema, from, direction) : bytes
  }

  for (const [id, { parameters, input, output }] of [...ofKind('query'), ...ofKind('procedure')]) {
    visit(parameters, id, 'sent')
    visit(output?.schema, id, 'received')
    visit(input?.schema, id, 'sent')
  }
  for (const [id] of ofKind('record')) reach(`${id}#main`, 'received')

  const keys = [...definitions.keys()].sort()
  assertUnique(keys.map((key) => definitions.get(key)!.name))
  const methods = (kind: string) => ofKind(kind).map(([id, main]) => method(id, main))
  const records = ofKind('record').map(([id]) => `${quote(id)}: ${definitions.get(`${id}#main`)!.name}`)
  return formatted(
    [
      HEAD,
      `/** By NSID. */\nexport interface QueryMethods {\n${methods('query').join('\n')}\n}`,
      `/** By NSID. */\nexport interface ProcedureMethods {\n${methods('procedure').join('\n')}\n}`,
      `/** By collection. */\nexport interface Records {\n${records.join('\n')}\n}`,
      ...keys.map(writeDefinition),
    ].join('\n\n'),
  )
}

function scalar({ type, enum: values, const: only, knownValues }: Schema): string {
  if (only !== undefined) return literal(only)
  if (values) return values.map(literal).join(' | ')
  if (knownValues) return [...knownValues.map(literal), 'OtherString'].join(' | ')
  const plain = { string: 'string', token: 'string', integer: 'number', boolean: 'boolean' }[type]
  const written = plain ?? { bytes: 'Bytes', 'cid-link': 'CidLink', blob: 'BlobRef' }[type]
  if (written === undefined) throw new Error(`a schema has the unknown type "${type}"`)
  return written
}

function literal(value: string | number | boolean): string {
  return typeof value === 'string' ? quote(value) : String(value)
}

function quote(text: string): string {
  return `'${text}'`
}

/** `app.bsky.actor.defs#profileView` is `AppBskyActorDefsProfileView`. */
function nameOf(id: string, part: string): string {
  const words = [...id.split('.'), ...(part === 'main' ? [] : [part])]
  return words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join('')
}

function assertUnique(names: readonly string[]): void {
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (twice) throw new Error(`two definitions would have the name ${twice}`)
}

function formatted(text: string): string {
  const args = ['format', '--stdin-file-path=src/lexicon-types.ts']
  return execFileSync('node_modules/.bin/biome', args, { input: text, encoding: 'utf8', maxBuffer: 2 ** 26 })
}
