/**
 * The titles of the suite, read from its syntax trees, and the entries of test/conformance.md that they cite.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { parseAstAsync, transformWithEsbuild } from 'vite'

export interface Title {
  readonly file: string
  /** The titles of the describes around a test, and its own. */
  readonly path: readonly string[]
}

/** Every test under `folder`, with those of `test.each` as their template. */
export async function titlesUnder(folder: string): Promise<Title[]> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.test.ts'))
  const titles = files.map(async (file) => {
    const source = readFileSync(`${folder}/${file}`, 'utf8')
    return (await titlesIn(source)).map((path) => ({ file: `${folder}/${file}`, path }))
  })
  return (await Promise.all(titles)).flat()
}

export async function titlesIn(source: string): Promise<string[][]> {
  const { code } = await transformWithEsbuild(source, 'source.ts', { target: 'esnext', sourcemap: false })
  const found: string[][] = []
  walk(await parseAstAsync(code), [], found)
  return found
}

/** An entry is a section and a number, "11.3". Titles cite it at their beginning or after a semicolon. */
export function rowsCitedBy(path: readonly string[]): string[] {
  return path.flatMap((title) => title.split('; ').flatMap(rowsAtTheStart))
}

const ROW = String.raw`\d{1,2}\.\d{1,2}`
const ROWS = RegExp(`^(?:${ROW}|\\d{1,2})(?:(?:, | and |/| to )(?:${ROW}))*(?![^\\s:,;]|,\\S)`)

function rowsAtTheStart(title: string): string[] {
  const cited = ROWS.exec(title)?.[0] ?? ''
  return cited.split(/, | and |\//).flatMap((part) => {
    const [from, to] = part.split(' to ')
    if (!from?.includes('.')) return []
    return to === undefined ? [from] : range(from, to)
  })
}

function range(from: string, to: string): string[] {
  const [section, first] = from.split('.')
  const [end, last] = to.split('.')
  if (section !== end || Number(first) >= Number(last)) throw new Error(`${from} to ${to} is no range of rows`)
  return Array.from({ length: Number(last) - Number(first) + 1 }, (_, index) => `${section}.${Number(first) + index}`)
}

/** As much of ESTree as is looked at. */
interface Node {
  readonly type: string
  readonly [field: string]: unknown
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as Node).type === 'string'
}

function walk(value: unknown, path: readonly string[], found: string[][]): void {
  if (Array.isArray(value)) for (const entry of value) walk(entry, path, found)
  if (!isNode(value)) return
  const titled = value.type === 'CallExpression' ? asTitled(value) : undefined
  if (titled === undefined) {
    for (const child of Object.values(value)) walk(child, path, found)
    return
  }
  for (const title of titled.titles) {
    if (titled.kind === 'describe') walk(titled.body, [...path, title], found)
    else found.push([...path, title])
  }
}

interface Titled {
  readonly kind: 'describe' | 'test'
  readonly titles: readonly string[]
  readonly body: readonly Node[]
}

/** `test('…')`, `describe.each([…])('…')`, `test.skipIf(…)('…')`; what is never run proves nothing and is omitted. */
function asTitled(call: Node): Titled | undefined {
  const chain: string[] = []
  let callee = call.callee
  let table: unknown
  while (isNode(callee) && callee.type !== 'Identifier') {
    if (callee.type === 'MemberExpression') {
      chain.push(String((callee.property as Node).name))
      callee = callee.object
    } else if (callee.type === 'CallExpression') {
      table = (callee.arguments as unknown[])[0]
      callee = callee.callee
    } else return undefined
  }
  const name = isNode(callee) ? callee.name : undefined
  const kind = name === 'describe' ? 'describe' : name === 'test' || name === 'it' ? 'test' : undefined
  const [first, ...body] = call.arguments as Node[]
  const title = textOf(first)
  if (kind === undefined || title === undefined) return undefined
  if (chain.some((word) => ['skip', 'todo', 'fails'].includes(word))) return { kind, titles: [], body }
  const names = title.startsWith('%s') && chain.includes('each') ? firstColumn(table) : []
  return { kind, titles: names.length > 0 ? names.map((name) => name + title.slice('%s'.length)) : [title], body }
}

/** The names in a table that is written out: the strings, or the first of each row. */
function firstColumn(table: unknown): string[] {
  const elements = isNode(table) && table.type === 'ArrayExpression' ? (table.elements as unknown[]) : []
  const names = elements.map((element) =>
    textOf(isNode(element) && element.type === 'ArrayExpression' ? (element.elements as unknown[])[0] : element),
  )
  return names.filter((name) => name !== undefined)
}

function textOf(node: unknown): string | undefined {
  if (!isNode(node)) return undefined
  if (node.type === 'Literal') return typeof node.value === 'string' ? node.value : undefined
  if (node.type !== 'TemplateLiteral') return undefined
  const quasis = node.quasis as { readonly value: { readonly cooked: string } }[]
  return quasis.map(({ value }) => value.cooked).join('…')
}
