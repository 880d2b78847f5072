/** Issue 7: what is published, by its tarball. How it behaves is what test/e2e, sockets and browser are about. */
import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { isBuiltin, SourceMap } from 'node:module'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { publint } from 'publint'
import { beforeAll, expect, test } from 'vitest'
import { run } from '../support/cli.ts'
import { createFakeWorld } from '../support/fake-atproto.ts'
import { createHome, runCli } from '../world/cli.ts'
import { signIn } from '../world/person.ts'
import { connectWorld } from '../world/world.ts'
import { installed, LIMITS, npm, type Packed, packageFolder } from './packed.ts'

const read = (path: string) => readFile(join(packageFolder(), path), 'utf8')
let packed: Packed
let bytes: Uint8Array<ArrayBuffer>
beforeAll(async () => {
  packed = installed()
  bytes = new Uint8Array(await readFile(packed.tarball))
})

test('the budgets: at most 600 kB packed, 2 MB unpacked, one package, nothing run at its installation', async () => {
  expect(packed.size).toBe(bytes.length)
  expect(packed.size).toBeLessThanOrEqual(LIMITS.packed)
  expect(packed.unpackedSize).toBeLessThanOrEqual(LIMITS.unpacked)
  expect(await readdir(join(packageFolder(), '..'))).toStrictEqual(['.bin', '.package-lock.json', 'atproto-oauth'])
  const { dependencies, optionalDependencies, peerDependencies, scripts } = JSON.parse(await read('package.json'))
  expect([dependencies, optionalDependencies, peerDependencies]).toStrictEqual([undefined, undefined, undefined])
  for (const hook of ['preinstall', 'install', 'postinstall', 'prepare']) expect(scripts).not.toHaveProperty(hook)
})

test('what is in it, and nothing else', () => {
  const kinds = packed.files.map(({ path }) =>
    path
      .replace(/^dist\/cjs\/[\w-]+\.cjs/, 'dist/cjs/*.cjs')
      .replace(/^dist\/types\/.*\.d\.ts$/, 'dist/types/*.d.ts')
      .replace(/^docs\/(?!architecture)\w+\.md$/, 'docs/*.md'),
  )
  expect([...new Set(kinds)].sort()).toStrictEqual([
    'CHANGELOG.md',
    'LICENSE',
    'README.md',
    'bin/atproto-oauth.cjs',
    'dist/THIRD-PARTY-LICENSES.txt',
    'dist/atproto-oauth.1',
    'dist/cjs/*.cjs',
    'dist/cjs/*.cjs.map',
    'dist/help.txt',
    'dist/index.js',
    'dist/testing.js',
    'dist/types/*.d.ts',
    'docs/*.md',
    'docs/demo.svg',
    'oauth-templates/callback/index.html',
    'oauth-templates/crontab',
    'oauth-templates/forgejo-actions.yml',
    'oauth-templates/github-actions-secrets.yml',
    'oauth-templates/github-actions.yml',
    'oauth-templates/gitlab-ci.yml',
    'oauth-templates/kubernetes-cronjob.yml',
    'oauth-templates/oauth-client-metadata.json',
    'package.json',
  ])
})

test('nothing in it wants a module that is not in it or in Node', async () => {
  for (const { path } of packed.files.filter((file) => /\.c?js$/.test(file.path))) {
    const wanted = [...(await read(path)).matchAll(/\brequire\(\s*["'`]([^"'`]+)["'`]|^import .* from '([^']+)'$/gm)]
    for (const [, required, imported] of wanted)
      expect(required ?? imported, path).toSatisfy((name: string) => isBuiltin(name) || /^\.\.?\//.test(name))
  }
})

test('source maps lead to lines in src', async () => {
  const text = 'invalid record name'
  const source = await readFile('src/node/vault/request.ts', 'utf8')
  const chunks = packed.files.map(({ path }) => path).filter((path) => path.endsWith('.cjs'))
  const found = (await Promise.all(chunks.map(async (path) => ({ path, code: await read(path) })))).find(({ code }) =>
    code.includes(text),
  )!
  const lines = found.code.split('\n')
  const line = lines.findIndex((each) => each.includes(text))
  const entry = new SourceMap(JSON.parse(await read(`${found.path}.map`))).findEntry(line, lines[line]!.indexOf(text))
  expect(entry).toMatchObject({ originalSource: expect.stringMatching(/src\/node\/vault\/request\.ts$/) })
  expect(source.split('\n')['originalLine' in entry ? entry.originalLine : -1]).toContain(text)
})

test('each declaration in it is one that the library’s own lead to', async () => {
  const wanted = new Set<string>(['dist/types/index.d.ts', 'dist/types/testing/index.d.ts'])
  for (const path of wanted) {
    const text = await read(path)
    const imported = text.matchAll(/\b(?:from |import\()'(\.[^']+)\.ts'/g)
    for (const [, relative] of imported) wanted.add(join(path, '..', `${relative}.d.ts`).replaceAll('\\', '/'))
  }
  const present = packed.files.map(({ path }) => path).filter((path) => path.startsWith('dist/types/'))
  expect(present.sort()).toStrictEqual([...wanted].sort())
})

test('publint has nothing to say', async () => {
  const { messages } = await publint({ pack: { tarball: bytes.buffer }, strict: true })
  expect(messages).toStrictEqual([])
})

test('the types are right, for whoever imports the module; `require` of it is Node’s to do', async () => {
  const analysis = await checkPackage(createPackageFromTarballData(bytes))
  if (!analysis.types) throw new Error('there are no types')
  const problems = analysis.problems.map(({ kind, ...rest }) => ({
    kind,
    for: 'resolutionKind' in rest && rest.resolutionKind,
  }))
  expect(Object.keys(analysis.entrypoints)).toStrictEqual(['.', './testing', './package.json'])
  expect(problems).toStrictEqual([
    // A CommonJS module gets at them by require(esm), which Node 20.19 and later have.
    { kind: 'CJSResolvesToESM', for: 'node16-cjs' },
    { kind: 'CJSResolvesToESM', for: 'node16-cjs' },
  ])
})

/** A module that imports the package, outside of the project, whose tsconfig.json is not meant. */
async function compile(lines: readonly string[], options: readonly string[]): Promise<void> {
  const folder = await mkdtemp(join(packageFolder(), '../../consumer-'))
  const file = join(folder, 'consumer.ts')
  await writeFile(file, lines.join('\n'))
  const args = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', ...options, file]
  try {
    await promisify(execFile)(resolve('node_modules/.bin/tsc'), args, { cwd: folder })
  } catch (error) {
    expect.unreachable(String(Object(error).stdout))
  } finally {
    await rm(folder, { recursive: true })
  }
}

test('the types stand alone: each member of a stored record has its own, without another package', async () => {
  const lines = [
    `import type { Credentials, PendingRecord, SessionRecord } from 'atproto-oauth'`,
    'export const spent = (record: SessionRecord): readonly string[] => record.spentTokens',
    'export const state = (record: PendingRecord): string => record.state',
    '// @ts-expect-error',
    'export const rotation = (record: Credentials): string => record.rotation',
    '// @ts-expect-error',
    'export const unknown = (record: SessionRecord) => record.spent',
    '// @ts-expect-error',
    'export const change = (record: SessionRecord) => record.spentTokens.push("")',
  ]
  await compile(lines, ['--skipLibCheck'])
})

test('the types need neither the DOM nor skipLibCheck, with the types of the oldest supported Node', async () => {
  const types = ['--types', 'node', '--typeRoots', resolve('node_modules/@types'), '--lib', 'es2023']
  await compile([`export * from 'atproto-oauth'`, `export * from 'atproto-oauth/testing'`], types)
})

test('an uncaught error prints a statement of the minified code, not the file', async () => {
  const face = pathToFileURL(join(packageFolder(), 'dist/index.js')).href
  const program = `import { OAuthClient } from '${face}'\nawait new OAuthClient({ home: 'missing' }).restore()`
  const args = ['--input-type=module', '--eval', program]
  const { stderr } = await promisify(execFile)(process.execPath, args, { cwd: packageFolder(), env: {} }).catch(
    (e) => e,
  )
  expect(stderr).toContain('OAuthError: no credentials are set, and no session is stored here')
  expect(stderr.length).toBeLessThan(4000)
})

test('the classes keep their names, which Node shows for an uncaught error', async () => {
  const library = await import(pathToFileURL(join(packageFolder(), 'dist/index.js')).href)
  for (const name of ['OAuthClient', 'OAuthError', 'OAuthSession', 'XrpcError']) expect(library[name].name).toBe(name)
})

test('the licence of each package whose code is inside goes along', async () => {
  const licences = await read('dist/THIRD-PARTY-LICENSES.txt')
  const lock = JSON.parse(await readFile('package-lock.json', 'utf8'))
  for (const name of [
    'commander',
    'jose',
    'ipaddr.js',
    'open',
    '@inquirer/core',
    '@badrap/valita',
    'ioredis',
    'denque',
  ]) {
    const { version, license } = lock.packages[`node_modules/${name}`]
    expect(licences).toContain(`\n${name} ${version} (${license})\n\n`)
  }
  const texts = licences.split(`\n${'-'.repeat(80)}\n`).slice(1)
  for (const text of texts) {
    const [, heading, other] =
      /^(.+)\n\nThe same text as that of (\S+), with the same copyright notice\.$/.exec(text.trim()) ?? []
    const whole = other === undefined ? text : texts.find((each) => each.startsWith(`${other} `))!
    expect(heading ?? '').toMatch(/^$|^\S+ \S+ \([^()]+\)$/)
    expect(whole).toMatch(/^\S+ \S+ \((?:MIT|ISC|BSD-[23]-Clause|0BSD|Apache-2\.0)\)\n\n[\s\S]{200}/)
  }
})

test('the stack of a defect names the lines of src/, with --verbose', async () => {
  const home = await createHome()
  try {
    const planted = 'URL.canParse = () => { throw new TypeError("planted") }'
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(planted)}` }
    const { code, stderr } = await runCli(['status', '--verbose'], { home, env })
    expect(code).toBe(1)
    const [, line] = /^ {4}at .*[/\\]src[/\\]cli[/\\]config[/\\]check\.ts:(\d+):\d+\)?$/m.exec(stderr) ?? []
    expect((await readFile('src/cli/config/check.ts', 'utf8')).split('\n')[Number(line) - 1]).toContain('asServer(')
    expect((await runCli(['status'], { home, env })).stderr).not.toContain(' at ')
  } finally {
    await home.remove()
  }
})

test.each([
  ['--version', ['entry'], []],
  ['--help', ['entry'], []],
  [
    'status',
    ['cli-parser', 'cli-session-status', 'cli-start', 'warm-cli', 'warm-core'],
    ['vendor-prompts', 'vendor-open', 'vendor-conf'],
  ],
  [
    'call --list',
    ['cli-parser', 'cli-start', 'warm-cli', 'warm-core'],
    ['vendor-prompts', 'vendor-open', 'vendor-conf'],
  ],
])('%s loads what it uses', async (line, commands, unused) => {
  const home = await createHome()
  try {
    const tell = `import Module from 'node:module'
      process.on('exit', () => process.stderr.write(Object.keys(Module._cache).join(' ')))`
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(tell)}` }
    const { stderr } = await runCli(line.split(' '), { home, env })
    const loaded = [...stderr.matchAll(/[\\/]dist[\\/]cjs[\\/]([\w-]+)\.cjs/g)].map(([, name]) => name!)
    expect(loaded.length).toBeGreaterThan(0)
    expect(loaded.filter((name) => /^cli-/.test(name) || commands.includes(name)).sort()).toStrictEqual(commands)
    if (unused.length === 0) expect(loaded.sort()).toStrictEqual(commands)
    for (const name of unused) expect(loaded).not.toContain(name)
  } finally {
    await home.remove()
  }
})

/**
 * Parts of Node that a request over plain HTTP can do without. Each takes a millisecond, or ten, and what takes one is
 * soon imported by mistake.
 */
const NOT_NEEDED = [
  'internal/deps/undici/undici',
  'internal/crypto/webcrypto',
  'internal/webstreams/readablestream',
  'internal/worker',
  'dns',
  'internal/dns/promises',
  'internal/perf/performance',
  'child_process',
  'https',
  'http2',
  'readline',
  'readline/promises',
  'timers/promises',
  'tls',
  'zlib',
]

test('a warm call loads four files, and no part of Node that it can do without', async () => {
  const world = connectWorld()
  const account = await world.createAccount()
  const home = await createHome()
  try {
    const { stdout, stderr: problem } = await runCli(['init', account.handle], { home })
    expect(stdout, problem).toMatch(/^http/)
    const callback = await signIn(stdout.trim(), account, { consent: true })
    expect(await runCli(['complete', '--save', 'store'], { home, stdin: callback })).toMatchObject({ code: 0 })
    const tell = join(home.path, 'tell.cjs')
    const told = `process.on('exit', () => process.stderr.write(JSON.stringify({
      chunks: Object.keys(require('node:module')._cache), modules: process.moduleLoadList })))`
    await writeFile(tell, told)
    const call = ['call', 'com.atproto.server.getSession']
    await runCli(call, { home })
    const { code, stderr } = await runCli(call, { home, env: { NODE_OPTIONS: `--require=${tell}` } })
    expect(code).toBe(0)
    const { chunks, modules } = JSON.parse(stderr.slice(stderr.indexOf('{"chunks"')))
    const files = chunks.flatMap((path: string) => /[\\/]dist[\\/]cjs[\\/]([\w-]+)\.cjs$/.exec(path)?.[1] ?? [])
    expect(files.sort()).toStrictEqual(['cli-start', 'entry', 'warm-cli', 'warm-core'])
    const loaded = modules.map((name: string) => name.replace(/^NativeModule /, ''))
    expect(loaded).toContain('http') // the names mean something
    expect(NOT_NEEDED.filter((name) => loaded.includes(name))).toStrictEqual([])
  } finally {
    await home.remove()
  }
})

test('the library that writes settings is loaded by nothing but a change of them', async () => {
  const home = await createHome()
  const tell = `import Module from 'node:module'
    process.on('exit', () => process.stderr.write(Object.keys(Module._cache).join(' ')))`
  const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(tell)}` }
  const isLoaded = async (...args: string[]) => (await runCli(args, { home, env })).stderr.includes('vendor-conf.cjs')
  try {
    expect(await isLoaded('config', 'set', 'account', 'alice.test')).toBe(true)
    expect(await isLoaded('config', 'set', 'account', 'x')).toBe(false)
    for (const args of [['config', 'list'], ['config', 'get', 'account'], ['status'], ['doctor', '--help']]) {
      expect(await isLoaded(...args)).toBe(false)
    }
  } finally {
    await home.remove()
  }
})

test('--help and --version, written down when it was built, are what the program says', async () => {
  const home = await createHome()
  try {
    for (const flag of ['--help', '-h', '--version', '-V']) {
      const { code, stdout } = await run(createFakeWorld(), [flag])
      expect(stdout).not.toBe('')
      expect(await runCli([flag], { home })).toMatchObject({ code, stdout })
    }
  } finally {
    await home.remove()
  }
})

test('a cold npx of the tarball, on an empty cache and without a registry, runs init against the real PDS', async () => {
  const world = connectWorld()
  const account = await world.createAccount()
  const home = await createHome()
  try {
    const environment = {
      HOME: home.path,
      npm_config_cache: join(home.path, 'empty'),
      ATPROTO_OAUTH_DEV: '1',
      ATPROTO_OAUTH_PLC_URL: world.plcUrl,
      ATPROTO_OAUTH_HANDLE_RESOLVER: world.handleResolverUrl,
    }
    const args = ['exec', '--yes', `--package=${packed.tarball}`, '--', 'atproto-oauth']
    const { stdout, stderr } = await npm([...args, 'init', account.handle], home.path, environment)
    expect(stdout).toMatch(/^http:\/\/localhost:\d+\/oauth\/authorize\?\S+\n$/)
    expect(stderr).toContain('npx atproto-oauth complete')
    expect(await signIn(stdout.trim(), account, { consent: true })).toMatch(/[?#&]code=/)
  } finally {
    await home.remove()
  }
})
