/**
 * Writes the exports of a chunk as one object, instead of a getter for each: of two hundred exports, getters take more time than
 * the rest of a file that is loaded. Those whose value can change keep theirs.
 */
import { parseAst } from 'rolldown/parseAst'

const EXPORT =
  /(?:Object\.defineProperty\(exports,(["'`])([\w$]+)\1,\{enumerable:!0,get:function\(\)\{return ?([\w$]+|`[^`$\\]*`)\}\}\)|exports\.([\w$]+)=([\w$]+))/g

/** @param code a chunk as rolldown writes it, with its exports in its last statement; no other chunk imports it in a circle */
export function withPlainExports(code: string): string {
  const { body } = parseAst(code) as unknown as { readonly body: readonly Node[] }
  const last = body.at(-1)
  if (last === undefined) return code
  const statement = code.slice(last.start, last.end)
  if (!/^[,;]*$/.test(statement.replace(EXPORT, ''))) return code
  const changing = assignedIn(body)
  const members = [...statement.matchAll(EXPORT)].map(([, , getter, got, name = getter, value = got!]) =>
    changing.has(value) ? `get ${name}(){return ${value}}` : `${name}:${value}`,
  )
  return `${code.slice(0, last.start)}module.exports={${members.join(',')}};${code.slice(last.end)}`
}

interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [member: string]: unknown
}

/** The names that are assigned to after their declaration, in any scope: a name may be that of several variables. */
function assignedIn(statements: readonly Node[]): ReadonlySet<string> {
  const names = new Set<string>()
  const visit = (node: Node) => {
    if (node.type === 'AssignmentExpression' || /^For(?:In|Of)Statement$/.test(node.type)) add(node['left'])
    if (node.type === 'UpdateExpression') add(node['argument'])
    for (const child of Object.values(node).flat()) if (isNode(child)) visit(child)
  }
  const add = (target: unknown) => {
    if (!isNode(target) || target.type === 'MemberExpression') return
    if (target.type === 'Identifier') names.add(String(target['name']))
    else for (const child of Object.values(target).flat()) add(child)
  }
  for (const statement of statements) visit(statement)
  return names
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value
}
