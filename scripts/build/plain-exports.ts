/**
 * Makes exports plain members where their values cannot change. A getter, as rolldown writes one for each, takes a function
 * and an entry in a table: of two hundred exports, more time than the rest of a file that is loaded.
 */
import { parseAst } from 'rolldown/parseAst'

const GETTER =
  /Object\.defineProperty\(exports,(["'`])([\w$]+)\1,\{enumerable:!0,get:function\(\)\{return ?([\w$]+|`[^`$\\]*`)\}\}\)/g

/** @param code a chunk as rolldown writes it, with its exports after everything else */
export function withPlainExports(code: string): string {
  const changing = assignedIn(parseAst(code) as unknown as Node)
  return code.replace(GETTER, (getter, _, name: string, value: string) =>
    changing.has(value) ? getter : `exports.${name}=${value}`,
  )
}

interface Node {
  readonly type: string
  readonly [member: string]: unknown
}

/** The names that are assigned to after their declaration, in any scope: a name may be that of several variables. */
function assignedIn(tree: Node): ReadonlySet<string> {
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
  visit(tree)
  return names
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value
}
