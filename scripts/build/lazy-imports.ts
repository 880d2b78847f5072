/**
 * Loads the imports of some modules at their first use, instead of before the module that imports them: what few commands
 * need is then neither read nor compiled by the others. The source keeps its ordinary imports.
 */
import { dirname, resolve } from 'node:path'
import type { Plugin } from 'rolldown'
import { parseAst } from 'rolldown/parseAst'

/** The modules of Node that take a millisecond to load, or more, and that most commands do not need. */
const LAZY_BUILTIN =
  /^node:(?:child_process|dns\/promises|fs\/promises|https|readline|stream\/web|timers\/promises|tls|tty|worker_threads|zlib)$/

/** Marks an `import()` until {@link withSynchronousLoads} has made it synchronous. */
const MARK = '__lazily'

interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [member: string]: unknown
}

interface Edit {
  readonly start: number
  readonly end: number
  readonly text: string
}

/**
 * @param importers the modules whose imports are changed
 * @param rarely the modules and packages that they load at their first use
 */
export function lazyImports(importers: ReadonlySet<string>, rarely: ReadonlySet<string>): Plugin {
  return {
    name: 'lazy-imports',
    transform(code, id) {
      if (!importers.has(id)) return undefined
      const { body } = parseAst(code, { lang: 'ts' }) as unknown as { readonly body: readonly Node[] }
      const loads = new Map<string, string>()
      const edits: Edit[] = []
      for (const [index, node] of body.entries()) {
        if (node.type !== 'ImportDeclaration' || node['importKind'] === 'type') continue
        const source = (node['source'] as Node & { readonly value: string }).value
        const isBuiltin = LAZY_BUILTIN.test(source)
        const imported = source.startsWith('.') ? resolve(dirname(id), source) : source
        if (!isBuiltin && !rarely.has(imported)) continue
        const load = `$lazy${index}`
        const asked = isBuiltin ? `process.getBuiltinModule('${source}')` : `${MARK}(import('${source}'))`
        for (const specifier of node['specifiers'] as readonly Node[]) {
          if (specifier['importKind'] === 'type') continue
          const imported = specifier['imported'] as { readonly name: string } | undefined
          loads.set(
            (specifier['local'] as unknown as { name: string }).name,
            `${load}()${imported ? `.${imported.name}` : ''}`,
          )
        }
        // On as many lines as before: source maps of lines stay true.
        const lines = code.slice(node.start, node.end).split('\n').length - 1
        edits.push({ start: node.start, end: node.end, text: `const ${load} = () => ${asked};${'\n'.repeat(lines)}` })
      }
      if (loads.size === 0) return undefined
      for (const node of body) if (node.type !== 'ImportDeclaration') edits.push(...uses(node, loads, id))
      let changed = code
      for (const { start, end, text } of edits.sort((one, other) => other.start - one.start)) {
        changed = changed.slice(0, start) + text + changed.slice(end)
      }
      return { code: changed, map: null }
    },
  }
}

interface Place {
  /** Inside a function, which is not called before the module is loaded. */
  readonly isDeferred: boolean
  /** `new $lazy1().Name()` would call the wrong function. */
  readonly isConstructed?: boolean
}

/** Where the imported names are used, and what to write there. */
function uses(root: Node, loads: ReadonlyMap<string, string>, file: string): readonly Edit[] {
  const edits: Edit[] = []
  visit(root, { isDeferred: false })
  return edits

  function visit(node: Node, place: Place): void {
    const refused = declaredBy(node).find((name) => loads.has(name))
    if (refused !== undefined)
      throw new Error(`${file} declares another ${refused}: no name may be that of a lazy import`)
    if (node.type === 'Identifier') replace(node, place)
    else if (node.type === 'Property' && node['shorthand'] === true) expand(node, place)
    else {
      const isDeferred =
        place.isDeferred || /^(?:FunctionDeclaration|FunctionExpression|ArrowFunctionExpression)$/.test(node.type)
      for (const [member, value] of Object.entries(node)) {
        if (isName(member, node) || isType(member)) continue
        for (const child of [value].flat().filter(isValue)) {
          visit(child, { isDeferred, isConstructed: isConstructed(member, node, place) })
        }
      }
    }
  }

  function replace({ name, start, end }: Node, place: Place): void {
    const load = loadOf(String(name), place)
    if (load !== undefined) edits.push({ start, end, text: place.isConstructed ? `(${load})` : load })
  }

  function expand({ key, start, end }: Node, place: Place): void {
    const { name } = key as { readonly name: string }
    const load = loadOf(name, place)
    if (load !== undefined) edits.push({ start, end, text: `${name}: ${load}` })
  }

  function loadOf(name: string, { isDeferred }: Place): string | undefined {
    const load = loads.get(name)
    if (load === undefined || isDeferred) return load
    throw new Error(`${file} uses ${name} while it is loaded, so it cannot be a lazy import`)
  }
}

/** Also `new name.Member()`. */
function isConstructed(member: string, { type }: Node, place: Place): boolean {
  if (type === 'NewExpression') return member === 'callee'
  return type === 'MemberExpression' && member === 'object' && place.isConstructed === true
}

/** The name of a member, not of a variable. */
function isName(member: string, { type, computed }: Node): boolean {
  if (computed === true) return false
  if (member === 'property') return type === 'MemberExpression'
  return member === 'key' && /^(?:Property|MethodDefinition|PropertyDefinition)$/.test(type)
}

function isType(member: string): boolean {
  return /^(?:typeAnnotation|typeParameters|typeArguments|returnType|superTypeArguments|implements)$/.test(member)
}

/** Not a type, but a value with a type. */
function isValue(value: unknown): value is Node {
  return (
    isNode(value) && !/^TS(?!AsExpression|NonNullExpression|SatisfiesExpression|ParameterProperty)/.test(value.type)
  )
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && 'start' in value
}

/** The names that a node declares in a scope of its own. */
function declaredBy(node: Node): string[] {
  const patterns = [
    ...(node.type === 'VariableDeclarator' ? [node['id']] : []),
    ...(node.type === 'CatchClause' ? [node['param']] : []),
    ...(/Function|ClassDeclaration|ClassExpression/.test(node.type)
      ? [node['id'], ...((node['params'] as unknown[]) ?? [])]
      : []),
  ]
  return patterns.flatMap(namesIn)
}

function namesIn(pattern: unknown): string[] {
  if (!isNode(pattern)) return []
  if (pattern.type === 'Identifier') return [String(pattern['name'])]
  if (pattern.type === 'ObjectPattern')
    return (pattern['properties'] as Node[]).flatMap((each) => namesIn(each['value'] ?? each['argument']))
  if (pattern.type === 'ArrayPattern') return (pattern['elements'] as unknown[]).flatMap(namesIn)
  if (pattern.type === 'AssignmentPattern') return namesIn(pattern['left'])
  if (pattern.type === 'RestElement') return namesIn(pattern['argument'])
  return []
}

const MARKED =
  /__lazily\(Promise\.resolve\(\)\.then\(\(\)=>(require\(["'`][^"'`]+["'`]\)|[\w$]+)\)(?:\.then\(([\w$]+)=>\2\.([\w$]+)\))?\)/g

/** Without the promises around what is loaded, in text of the same length: source maps stay true. */
export function withSynchronousLoads(code: string): string {
  const changed = code.replace(MARKED, (text, load: string, _, member?: string) =>
    (member === undefined ? load : `${load}.${member}`).padEnd(text.length),
  )
  if (changed.includes(MARK))
    throw new Error(
      `an import cannot be made synchronous: ${changed.slice(changed.indexOf(MARK), changed.indexOf(MARK) + 200)}`,
    )
  return changed
}
