/**
 * Writes src/protocol/xrpc/lexicon-table.ts and src/lexicon-types.ts from the lexicons that @atproto/api publishes:
 * `npm run lexicons`.
 */
import { writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { loadApi } from '../world/packages.ts'
import { methodTypes } from './types.ts'

interface Property {
  readonly type: string
  readonly items?: Property
  readonly ref?: string
}

interface Shape {
  readonly type: string
  readonly ref?: string
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Property>>
}

interface Main {
  readonly type: string
  readonly parameters?: Shape
  readonly input?: { readonly encoding: string; readonly schema?: Shape }
  readonly output?: { readonly encoding: string }
}

type Definitions = Readonly<Record<string, unknown>>
type Documents = ReadonlyMap<string, Definitions>

const TABLE = 'src/protocol/xrpc/lexicon-table.ts'
const TYPES = 'src/lexicon-types.ts'
const JSON_TYPE = 'application/json'

/** The text of the table; sorted, so that a newer package changes only what is new. */
export function methodTable(schemas: readonly { readonly id: string; readonly defs: object }[]): string {
  const documents: Documents = new Map(schemas.map(({ id, defs }) => [id, defs as Definitions]))
  const groups = new Map<string, string[]>()
  for (const [id, defs] of documents) {
    const main = defs['main'] as Main | undefined
    if (!main || !['query', 'procedure', 'subscription'].includes(main.type)) continue
    const at = id.lastIndexOf('.')
    const group = groups.get(id.slice(0, at)) ?? []
    groups.set(id.slice(0, at), [...group, `${id.slice(at + 1)} ${describe(documents, id, main)}`])
  }
  const lines = [...groups].sort(([one], [other]) => (one < other ? -1 : 1))
  return [
    '/** Made by `npm run lexicons`; how it is read stands in lexicons.ts. */',
    'export const METHOD_TABLE = `',
    ...lines.map(([group, methods]) => `${group}|${methods.sort().join('|')}`),
    '`',
    '',
  ].join('\n')
}

function describe(documents: Documents, id: string, { type, parameters, input, output }: Main): string {
  const accepts = input && `>${input.encoding === JSON_TYPE ? '' : input.encoding}`
  const gives = output && output.encoding !== JSON_TYPE ? [`<${output.encoding}`] : []
  const inputs = input ? [accepts, ...fields(resolve(documents, id, input.schema))] : []
  return [type[0], ...fields(parameters), ...inputs, ...gives].join(' ')
}

function fields(shape: Shape | undefined): string[] {
  const { properties = {}, required = [] } = shape ?? {}
  return Object.entries(properties).map(
    ([name, property]) => name + sign(property) + (required.includes(name) ? '!' : ''),
  )
}

/** `#` an integer, `~` a boolean, `{}` any JSON, nothing a text; `[]` several. */
function sign({ type, items }: Property): string {
  if (type === 'array') return `${sign(items!)}[]`
  return { string: '', integer: '#', boolean: '~' }[type] ?? '{}'
}

function resolve(documents: Documents, id: string, schema: Shape | undefined): Shape | undefined {
  if (schema?.type !== 'ref') return schema
  const [document, name = 'main'] = schema.ref!.replace(/^lex:/, '').split('#')
  return documents.get(document || id)?.[name] as Shape | undefined
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { schemas } = await loadApi()
  writeFileSync(TABLE, methodTable(schemas))
  writeFileSync(TYPES, methodTypes(schemas))
}
