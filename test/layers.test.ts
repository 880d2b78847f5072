import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { expect, test } from 'vitest'

const NOUNS = ['errors', 'lexicon-types', 'model', 'ports', 'text']
const BELOW_CLIENT = ['protocol', ...NOUNS]
const BELOW_SESSION = ['client', 'credentials', ...BELOW_CLIENT]
const BELOW_LOGIN = ['session', ...BELOW_SESSION]
const BELOW_CLI = ['login', 'call', 'doctor', 'front', 'node', ...BELOW_LOGIN]

/** Which rooms of src/, besides itself, a room may import from. A file of src/ itself is a room. This table *is* the architecture. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  cli: BELOW_CLI,
  index: ['library', 'lexicon-types', ...BELOW_CLI],
  library: ['lexicon-types', ...BELOW_CLI],
  login: BELOW_LOGIN,
  call: BELOW_LOGIN,
  doctor: BELOW_LOGIN,
  front: ['session', 'protocol', ...NOUNS],
  testing: NOUNS,
  session: BELOW_SESSION,
  client: BELOW_CLIENT,
  credentials: BELOW_CLIENT,
  node: ['credentials', ...NOUNS],
  protocol: NOUNS,
  errors: ['text'],
  'lexicon-types': ['ports'],
  ports: ['errors', 'model'],
  model: [],
  text: [],
}
/** What these import besides: packages, and modules of Node. */
const PACKAGES: Record<string, RegExp> = {
  cli: /^(?:node:|commander$|open$|@inquirer\/prompts$)/,
  library: /^node:/,
  node: /^(?:node:|conf$|ioredis$|ipaddr\.js$|jose$|@badrap\/valita$)/,
  protocol: /^jose$/,
  client: /^jose$/,
  front: /^jose$/,
  credentials: /^(?:jose|@badrap\/valita)$/,
  testing: /^(?:node:crypto|jose)$/,
  model: /^@badrap\/valita$/,
}
/** Not of the core: these may know Node. */
const OUTSIDE_THE_CORE = ['node', 'cli', 'library', 'testing', 'index']
const FORBIDDEN_GLOBALS =
  /\b(?:process[.[]|console|Buffer|Date\.now|new Date\(\)|Math\.random|setTimeout|setInterval|globalThis)\b|(?<![.\w])fetch\(/

function specifiers(source: string): string[] {
  return [...source.matchAll(/\b(?:from|import)\s*\(?\s*'([^'\s]+)'/g)].map((match) => match[1]!)
}

function code(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\/|(?<!:)\/\/.*$/gm, '')
}

const roomOf = (file: string) => file.split('/')[0]!.replace(/\.ts$/, '')
/** `protocol/http` of protocol/http/response.ts; nothing of a file that is in no folder of its room. */
const folderOf = (file: string) => (file.split('/').length > 2 ? posix.dirname(file) : undefined)

const FILES = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => file.endsWith('.ts'))
  .sort()
const SOURCES = new Map(FILES.map((file) => [file, readFileSync(`src/${file}`, 'utf8')]))
/** Every import between two files of src/. */
const IMPORTS = FILES.flatMap((from) =>
  specifiers(SOURCES.get(from)!)
    .filter((name) => name.startsWith('.'))
    .map((name) => ({ from, to: posix.join(posix.dirname(from), name) })),
)

function mayImport(from: string, to: string): boolean {
  return roomOf(from) === roomOf(to) || MAY_IMPORT[roomOf(from)]!.includes(roomOf(to))
}

/** The first cycle that is found, each node once. */
function cycleIn(edges: readonly { from: string; to: string }[]): string[] | undefined {
  const done = new Set<string>()
  const visit = (node: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(node)) return path.slice(path.indexOf(node))
    if (done.has(node)) return undefined
    for (const { from, to } of edges) {
      const found = from === node ? visit(to, [...path, node]) : undefined
      if (found) return found
    }
    done.add(node)
    return undefined
  }
  for (const { from } of edges) {
    const found = visit(from, [])
    if (found) return found
  }
  return undefined
}

/** The same imports, between what `of` makes of files; those inside of it are omitted. */
function edgesBetween(of: (file: string) => string | undefined) {
  const pairs = IMPORTS.flatMap(({ from, to }) => {
    const [one, other] = [of(from), of(to)]
    return one === undefined || other === undefined || one === other ? [] : [`${one} ${other}`]
  })
  return [...new Set(pairs)].map((pair) => ({ from: pair.split(' ')[0]!, to: pair.split(' ')[1]! }))
}

test.each(FILES)('src/%s stays inside its layer', (file) => {
  const forbidden = IMPORTS.filter(({ from, to }) => from === file && !mayImport(from, to))
  expect(forbidden).toStrictEqual([])
  const packages = specifiers(SOURCES.get(file)!).filter((name) => !name.startsWith('.'))
  expect(packages.filter((name) => !PACKAGES[roomOf(file)]?.test(name))).toStrictEqual([])
})

// ports.ts declares what the others must not have.
test.each(FILES.filter((file) => !OUTSIDE_THE_CORE.includes(roomOf(file)) && file !== 'ports.ts'))(
  'src/%s has no clock, no console, no network of its own',
  (file) => expect(code(SOURCES.get(file)!).match(FORBIDDEN_GLOBALS)?.[0]).toBeUndefined(),
)

test('what compiles without the types of Node is the whole core', () => {
  const { compilerOptions, exclude, include } = JSON.parse(readFileSync('src/tsconfig.core.json', 'utf8'))
  expect({ types: compilerOptions.types, exclude, include }).toStrictEqual({
    types: [],
    exclude: ['node', 'cli', 'library', 'testing', 'index.ts'],
    include: ['.'],
  })
})

test('the table covers every room', () => {
  expect([...new Set(FILES.map(roomOf))].sort()).toStrictEqual(Object.keys(MAY_IMPORT).sort())
})

test('no cycles: between files, between rooms, between the folders of a room', () => {
  expect(cycleIn(IMPORTS)).toBeUndefined()
  const rooms = Object.entries(MAY_IMPORT).flatMap(([from, others]) => others.map((to) => ({ from, to })))
  expect(cycleIn(rooms)).toBeUndefined()
  expect(cycleIn(edgesBetween(folderOf))).toBeUndefined()
})

test('a folder of cli/ has the name of a room, or of commands that belong to none', () => {
  const folders = readdirSync('src/cli', { withFileTypes: true }).filter((entry) => entry.isDirectory())
  const rooms = [...Object.keys(MAY_IMPORT), 'completion', 'config', 'scope', 'run', 'vault']
  expect(folders.map(({ name }) => name).filter((name) => !rooms.includes(name))).toStrictEqual([])
})

test('the rule catches what it is for', () => {
  expect(specifiers(`import { readFile } from 'node:fs'\nconst x = await import('open')`)).toStrictEqual([
    'node:fs',
    'open',
  ])
  expect(PACKAGES['protocol']!.test('node:fs')).toBe(false)
  expect(mayImport('protocol/http/response.ts', 'node/http/client.ts')).toBe(false)
  expect(mayImport('session/refresh.ts', 'login/init.ts')).toBe(false)
  expect(mayImport('node/runtime.ts', 'cli/invocation.ts')).toBe(false)
  expect(mayImport('login/init.ts', 'protocol/oauth/dpop.ts')).toBe(true)
  for (const bad of ['process.env', 'console.log(1)', 'await fetch(url)', 'Date.now()']) {
    expect(FORBIDDEN_GLOBALS.test(bad), bad).toBe(true)
  }
  expect(FORBIDDEN_GLOBALS.test('ports.fetch(url)')).toBe(false)
  expect(
    cycleIn([
      { from: 'a', to: 'b' },
      { from: 'b', to: 'c' },
      { from: 'c', to: 'b' },
    ]),
  ).toStrictEqual(['b', 'c'])
})

test('opening src/ shows the product, and few files', () => {
  expect(FILES.filter((file) => !file.includes('/'))).toStrictEqual([
    'errors.ts',
    'index.ts',
    'lexicon-types.ts',
    'model.ts',
    'ports.ts',
    'text.ts',
  ])
})

test('imports between rooms form at most nine levels', () => {
  const edges = edgesBetween(roomOf)
  const levelOf = (room: string): number =>
    1 + Math.max(0, ...edges.filter(({ from }) => from === room).map(({ to }) => levelOf(to)))
  expect(Math.max(...Object.keys(MAY_IMPORT).map(levelOf))).toBeLessThanOrEqual(9)
})
