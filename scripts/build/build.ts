/**
 * dist/: the CLI and the library with all that they need inside, so that what was tested is what runs.
 *
 * - dist/cjs/: CommonJS, because that starts faster than modules do. All code is minified; ours has source maps
 *   (`node --enable-source-maps`) to the lines in src/, without columns and names. testing.cjs has none: no user runs it.
 * - dist/index.js, dist/testing.js: the library's faces, as modules.
 * - dist/types/: what `tsc -p src` declares, as far as the library's face refers to it.
 * - dist/help.txt, dist/atproto-oauth.1: what `--help` says in 80 columns; the manual page.
 * - dist/THIRD-PARTY-LICENSES.txt: whose code is inside, and on what terms.
 */
import { createHash } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { decode, encode, type SourceMapSegment } from '@jridgewell/sourcemap-codec'
import { type OutputChunk, type Plugin, type PreRenderedChunk, rolldown } from 'rolldown'
import { parseAst } from 'rolldown/parseAst'
import { minify } from 'rolldown/utils'
import { staticImports } from './imports.ts'
import { lazyImports, withSynchronousLoads } from './lazy-imports.ts'
import { licencesOf } from './licences.ts'
import { helpText, manPage } from './man.ts'
import { withPlainExports } from './plain-exports.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const DIST = `${ROOT}dist`
/** Chunk by module of the library. */
const FACES = { 'index.js': 'library.cjs', 'testing.js': 'testing.cjs' }
/**
 * What each `call` loads, and most other commands do. It is in two files, because each file takes time to find, to read
 * and to compile: one for the library too. What they import and seldom need is in two files more, and the parser of options in
 * another.
 */
const WARM = ['src/cli/program.ts', 'src/cli/context.ts', 'src/cli/call/call.ts']

/**
 * Modules that those import, and of which a usual `call` uses nothing: they are loaded at their first use. If one of them is
 * used by a warm call after all, test/package/package.test.ts fails.
 */
const RARE = [
  'call/batch-line.ts',
  'call/batch.ts',
  'call/paginate.ts',
  'cli/call/batch-ending.ts',
  'cli/call/batch-output.ts',
  'cli/call/explain.ts',
  'cli/call/lines.ts',
  'cli/call/list.ts',
  'cli/errors.ts',
  'cli/session/duration.ts',
  'cli/shell.ts',
  'cli/store-key.ts',
  'client/client-id.ts',
  'client/document-rules.ts',
  'client/fault.ts',
  'client/fetch.ts',
  'client/key-rules.ts',
  'credentials/dotenv.ts',
  'credentials/fault.ts',
  'credentials/parse.ts',
  'credentials/stored.ts',
  'credentials/write.ts',
  'node/config/encryption.ts',
  'node/given-file.ts',
  'node/http/errors.ts',
  'node/save/failure.ts',
  'node/save/file.ts',
  'node/save/program.ts',
  'node/save/redact.ts',
  'node/save/source.ts',
  'node/store/homeless.ts',
  'node/store/lock-holder.ts',
  'node/store/lock.ts',
  'node/store/obstacles.ts',
  'node/vault/later.ts',
  'protocol/http/early.ts',
  'protocol/http/fetch-json.ts',
  'protocol/http/http-response.ts',
  'protocol/identity/did.ts',
  'protocol/identity/handle.ts',
  'protocol/oauth/authorization-request.ts',
  'protocol/oauth/client-auth.ts',
  'protocol/oauth/discovery.ts',
  'protocol/oauth/invalid-grant.ts',
  'protocol/oauth/server-agent.ts',
  'protocol/oauth/token-endpoint.ts',
  'protocol/scope/permission.ts',
  'protocol/scope/presets.ts',
  'protocol/scope/scope.ts',
  'protocol/xrpc/required-scope.ts',
  'session/account-state.ts',
  'session/account.ts',
  'session/client.ts',
  'session/issuer.ts',
  'session/move.ts',
  'session/proof.ts',
  'session/refresh.ts',
  'session/revoke.ts',
  'session/saving.ts',
  'session/share-refresh.ts',
  'session/token-family.ts',
]
/** The chunks of many modules, which are not named by one of them. */
const GROUPED = /^(?:warm|rare)-|^cli-(?:start|parser)$/
/** In src/cli/start.ts. */
const PLACEHOLDER = '{digest of the build}'

const rarely = new Set(RARE.map((path) => resolve('src', path)))

const start = await staticImports(['src/cli/entry.ts', 'src/cli/start.ts'])
const warm = await staticImports(WARM, rarely)
const rare = new Set([...(await staticImports([...WARM, ...rarely]))].filter((id) => !warm.has(id)))
const parsing = await staticImports(['src/cli/parser.ts'], rarely)
const shared = await staticImports(['src/index.ts'])

const bundle = await rolldown({
  cwd: ROOT,
  input: { entry: 'src/cli/entry.ts', library: 'src/index.ts', testing: 'src/testing/index.ts' },
  platform: 'node',
  plugins: [lazyImports(warm, new Set([...rarely, 'commander'])), withoutUnused(), withLazyBuiltins()],
  transform: { target: 'node20.19' },
})
const { output } = await bundle.generate({
  dir: `${DIST}/cjs`, // which the source maps count from
  format: 'cjs',
  entryFileNames: '[name].cjs',
  chunkFileNames: chunkName,
  minify: true, // a third of its size; the lines are in the source maps
  sourcemap: true,
  sourcemapExcludeSources: true,
  comments: { legal: false, jsdoc: false },
  codeSplitting: {
    groups: [
      {
        name: 'cli-start',
        test: (id) => (start.has(id) && !id.endsWith('entry.ts')) || id.includes('rolldown/runtime'),
        priority: 1,
      },
      { name: 'warm-core', test: (id) => warm.has(id) && shared.has(id) },
      { name: 'warm-cli', test: (id) => warm.has(id) && !shared.has(id) },
      { name: 'rare-core', test: (id) => rare.has(id) && shared.has(id) },
      { name: 'rare-cli', test: (id) => rare.has(id) && !shared.has(id) },
      { name: 'node-zlib', test: /lazy:node:zlib/ },
      // Only the servers for tests verify. After what is warm, because a group takes all that its modules import.
      { name: 'vendor-jose-verify', test: /node_modules.jose.*(?:verify|embedded)\.js$/ },
      { name: 'vendor-jose', test: /node_modules.jose/ },
      { name: 'cli-parser', test: (id) => (parsing.has(id) && !warm.has(id)) || /node_modules.commander/.test(id) },
      { name: 'vendor-prompts', test: /node_modules.@inquirer/ },
      { name: 'vendor-open', test: /node_modules.open\b/ },
      { name: 'vendor-addresses', test: /node_modules.ipaddr/ },
      {
        name: 'vendor-conf',
        test: /node_modules.(?:conf|atomically|stubborn-\w+|when-exit|dot-prop|env-paths|debounce-fn|mimic-function|uint8array-extras)\b|^.(?:ajv|semver)/,
      },
      { name: 'vendor-schemas', test: /node_modules.@badrap/ },
      {
        name: 'vendor-redis',
        test: /node_modules.(?:@?ioredis|cluster-key-slot|debug|denque|ms|redis-errors|standard-as-callback)\b/,
      },
    ],
  },
})
const chunks = output.filter((file): file is OutputChunk => file.type === 'chunk')
const circle = circleAmong(chunks)
if (circle) throw new Error(`${circle} imports itself: see withPlainExports`)
/** Of all files, because the compiled code of each is kept: src/cli/code-cache.ts. */
const digest = createHash('sha256')
  .update(chunks.map(({ code }) => code).join('\0'))
  .digest('hex')

await rm(DIST, { recursive: true, force: true })
await mkdir(`${DIST}/cjs`, { recursive: true })
for (const chunk of chunks) await writeChunk(chunk)
for (const [module, chunk] of Object.entries(FACES)) {
  await writeFile(`${DIST}/${module}`, face(chunks.find(({ fileName }) => fileName === chunk)!))
}
await writeFile(`${DIST}/THIRD-PARTY-LICENSES.txt`, await licencesOf(chunks.flatMap(({ moduleIds }) => moduleIds)))
await writeFile(`${DIST}/help.txt`, await helpText())
await writeFile(`${DIST}/atproto-oauth.1`, await manPage())

/**
 * conf checks its file with ajv if it is given a schema, and migrates it with semver. We do neither, and the two would be
 * the largest part of it.
 */
function withoutUnused(): Plugin {
  const unused = new Map([
    ['ajv/dist/2020.js', 'export class Ajv2020 {}'],
    ['ajv-formats', 'export default {}'],
    ['semver', 'export default {}'],
  ])
  return {
    name: 'without-unused',
    resolveId: (id, importer) => (unused.has(id) && importer?.includes('/conf/') ? `\0${id}` : undefined),
    load: (id) => unused.get(id.slice(1)),
  }
}

/**
 * The modules of Node that most commands do not need are loaded when something of them is first used, also by other
 * packages, which {@link lazyImports} leaves alone. Commander would load `child_process`, which takes a millisecond.
 */
function withLazyBuiltins(): Plugin {
  const LAZY = /^node:(?:child_process|dns(?:\/promises)?|https|tls|tty|worker_threads|zlib)$/
  return {
    name: 'with-lazy-builtins',
    resolveId: (id) => (LAZY.test(id) ? `\0lazy:${id}` : undefined),
    load(id) {
      if (!id.startsWith('\0lazy:')) return undefined
      const name = id.slice('\0lazy:'.length)
      const members = Object.keys(process.getBuiltinModule(name)!)
      return `for (const name of ${JSON.stringify(members)}) {
        Object.defineProperty(exports, name, { enumerable: true, get: () => process.getBuiltinModule('${name}')[name] })
      }`
    },
  }
}

/** What rolldown puts into a file of its own, which a call would have to find, to read and to check as well. */
function withRuntime(code: string, name: string): string {
  if (!GROUPED.test(name)) return code
  const runtime = chunks.find(({ fileName }) => fileName === 'rolldown-runtime.cjs')!
  const inside = `(module=>{${withPlainExports(runtime.code.trim())}return module.exports})({})`
  return code.replace(`require("./${runtime.fileName}")`, () => inside)
}

/** A chunk that is loaded before those that it imports are. */
function circleAmong(chunks: readonly OutputChunk[]): string | undefined {
  const importsOf = new Map(chunks.map(({ fileName, imports }) => [fileName, imports]))
  const leadsTo = (end: string, name: string, seen = new Set<string>()): boolean =>
    (importsOf.get(name) ?? []).some((next) => next === end || (!seen.has(next) && leadsTo(end, next, seen.add(next))))
  return [...importsOf.keys()].find((name) => leadsTo(name, name))
}

/** By path, because files of several folders share a base name: `cli-call-request.cjs` for src/cli/call/request.ts. */
function chunkName({ name, facadeModuleId, moduleIds }: PreRenderedChunk): string {
  if (GROUPED.test(name)) return '[name].cjs'
  const own = moduleIds.filter((id) => id.startsWith(`${ROOT}src/`))
  const path = (facadeModuleId ?? own.at(-1))?.slice(`${ROOT}src/`.length)
  return own.length === 0 || path === undefined ? '[name].cjs' : path.replaceAll('/', '-').replace(/\.ts$/, '.cjs')
}

async function writeChunk({ name, fileName, code: generated, map, moduleIds }: OutputChunk): Promise<void> {
  const path = `${DIST}/cjs/${fileName}`
  const loading = withSynchronousLoads(generated)
  const code = name === 'cli-start' ? withDigest(loading) : loading
  if (/\bimport\(/.test(code)) throw new Error(`${fileName} has an import(), which kept code (code-cache.ts) cannot do`)
  const theirs = moduleIds.filter((id) => !id.startsWith(`${ROOT}src/`))
  if (theirs.length === moduleIds.length) {
    const { code: small, errors } = await minify(fileName, withPlainExports(code))
    if (errors.length > 0) throw errors[0]
    await writeFile(path, ascii(small))
    return
  }
  const stray = theirs.find((id) => id.includes('node_modules'))
  if (stray && (!GROUPED.test(name) || name === 'cli-start'))
    throw new Error(`${stray} came into ${fileName}: give it a group of its own`)
  if (fileName === FACES['testing.js']) {
    await writeFile(path, ascii(code.replace(/\n\/\/# sourceMappingURL=.*\n?$/, '')))
    return
  }
  const { lines, mappings } = byStatement(code, decode(map?.mappings ?? ''))
  await writeFile(path, ascii(withRuntime(withPlainExports(lines.join('\n')), name)))
  if (map) await writeFile(`${path}.map`, JSON.stringify(linesOnly(map, mappings)))
}

/** In place of its placeholder in src/cli/start.ts, of the same length, so that the source map stays true. */
function withDigest(code: string): string {
  const [before, after, ...more] = code.split(PLACEHOLDER)
  if (before === undefined || after === undefined || more.length > 0) throw new Error('where does the digest go?')
  return before + digest.slice(0, PLACEHOLDER.length) + after
}

/** Each statement on a line of its own: Node prints the line of an uncaught error, which would be most of the file. */
function byStatement(code: string, mappings: readonly SourceMapSegment[][]) {
  const starts = parseAst(code).body.map(({ start }) => start)
  const lines: string[] = []
  const mapped: SourceMapSegment[][] = []
  let offset = 0
  for (const [at, line] of code.split('\n').entries()) {
    const end = offset + line.length
    const breaks = starts.filter((start) => start > offset && start < end).map((start) => start - offset)
    for (const [index, from] of [0, ...breaks].entries()) {
      const to = breaks[index] ?? Number.POSITIVE_INFINITY
      const segments = mappings[at]?.filter(([column]) => column >= from && column < to) ?? []
      lines.push(line.slice(from, to))
      mapped.push(segments.map(([column, ...rest]) => [column - from, ...rest] as unknown as SourceMapSegment))
    }
    offset = end + 1
  }
  return { lines, mappings: mapped }
}

/** Node reads and compiles text that is all ASCII in half the time. The columns in a source map are of the line before. */
function ascii(code: string): string {
  return code.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** As much as leads to a line in src/: one mapping for each, without names, and where code of others begins. The rest is most of a map. */
function linesOnly({ mappings: _, ...map }: NonNullable<OutputChunk['map']>, mappings: SourceMapSegment[][]) {
  const lines = mappings.map((segments) => {
    let last = ''
    return segments.flatMap(([column, source, line = 0, start = 0]): SourceMapSegment[] => {
      const isOurs = source !== undefined && !map.sources[source]?.includes('node_modules')
      const place = isOurs ? `${source} ${line}` : 'elsewhere'
      if (place === last) return []
      last = place
      return isOurs ? [[column, source, line, start]] : [[column]]
    })
  })
  return { ...map, names: [], mappings: encode(lines) }
}

/** CommonJS has no static names; a module that imports from the library has a right to them. */
function face({ fileName, exports }: OutputChunk): string {
  return `import library from './cjs/${fileName}'\n\nexport const { ${exports.toSorted().join(', ')} } = library\n`
}
