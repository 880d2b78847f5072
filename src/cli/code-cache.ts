/**
 * Keeps the compiled code of the program from one run to the next. To compile a short command takes longer than to run it.
 *
 * Node has `module.enableCompileCache` since 22.8. It is not used, because it keeps the functions that the first command
 * used, and never adds those of others.
 */
import { isAscii } from 'node:buffer'
import { hash } from 'node:crypto'
import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { Script } from 'node:vm'

/** Bytes of the digest before the compiled code, which V8 would copy if it did not begin at a multiple of 8. */
const DIGEST_LENGTH = 40
/** Milliseconds after which a file is deleted: it may be of a Node or a command that nobody uses any more. */
const KEPT_FOR = 30 * 24 * 60 * 60 * 1000

/** A copy of `Module.wrapper`: `node:module` takes time to load. */
const WRAPPER = ['(function (exports, require, module, __filename, __dirname) { ', '\n});'] as const

interface ModuleConstructor {
  new (path: string, parent: NodeJS.Module): NodeJS.Module
  readonly _cache: NodeJS.Dict<NodeJS.Module>
}

export interface KeptCode {
  /** Only this user may have access to it: its content is executed. */
  readonly folder: string
  /** The functions of one command are kept together. */
  readonly command: string
  /** The folder of the program. Files elsewhere, such as those of `NODE_OPTIONS=--require`, are loaded as they would be. */
  readonly program: string
  /** A digest of all files of the program. */
  readonly build: string
  /** `require.extensions`: what Node loads files with. */
  readonly loaders: NodeJS.RequireExtensions
}

/**
 * From now on, CommonJS files of the program are compiled with what is kept of them, or kept when the process ends.
 */
export function keepCode({ folder, command, program, build, loaders }: KeptCode): void {
  const place = join(folder, `${process.version}-${process.arch}`)
  const compiled: { readonly kept: string; readonly key: string; readonly script: Script }[] = []
  const loadOther = loaders['.cjs'] ?? loaders['.js']
  loaders['.cjs'] = (loaded: NodeJS.Module, path: string) => {
    const source = dirname(path) === program ? attempt(() => sourceAt(path, build)) : undefined
    if (source === undefined) return loadOther(loaded, path)
    const { text, key } = source
    const kept = join(place, `${command}-${basename(path, '.cjs')}`)
    const cachedData = codeIn(kept, key)
    const options = { filename: path, columnOffset: -WRAPPER[0].length, ...(cachedData && { cachedData }) }
    const script = new Script(text, options)
    if (cachedData === undefined || script.cachedDataRejected) compiled.push({ kept, key, script })
    const require = (name: string) =>
      name.startsWith('./') ? beside(loaded, join(program, name)) : loaded.require(name)
    script.runInThisContext().call(loaded.exports, loaded.exports, require, loaded, path, dirname(path))
  }
  /** As `loaded.require`, for a file of which the path is known: Node would look for it, and for its links. */
  const beside = (loaded: NodeJS.Module, path: string): unknown => {
    const Module = loaded.constructor as ModuleConstructor
    const before = Module._cache[path]
    if (before) return before.exports
    const module = new Module(path, loaded)
    module.filename = path
    Module._cache[path] = module
    try {
      loaders['.cjs']!(module, path)
      module.loaded = true
    } finally {
      if (!module.loaded) delete Module._cache[path]
    }
    return module.exports
  }
  process.once('exit', (code) => {
    if (code !== 0 || compiled.length === 0) return
    // With the functions that were compiled when they were first called.
    for (const { kept, key, script } of compiled) {
      const code = script.createCachedData()
      attempt(() => write(kept, [code, Buffer.from(key)]))
    }
    attempt(() => removeOld(folder))
  })
}

/**
 * The text, in the wrapper of a CommonJS module, and a key that no other text has. The key is not a digest of the text,
 * which would take longer than loading it. The build is in it because some installers and file systems give all files the
 * same time. The ctime is in it because a file of a build may be changed afterwards.
 */
function sourceAt(path: string, build: string): { readonly text: string; readonly key: string } {
  const { bytes, stats } = read(path, ...WRAPPER)
  const { ino, size, mtimeMs, ctimeMs } = stats
  // The build writes nothing but ASCII, which is read faster.
  const text = bytes.toString(isAscii(bytes) ? 'latin1' : 'utf8')
  return { text, key: JSON.stringify([process.execPath, path, build, ino, size, mtimeMs, ctimeMs]) }
}

/** The content of a file between two texts. In one piece, because V8 would copy joined text. */
function read(path: string, before = '', after = ''): { readonly bytes: Buffer; readonly stats: Stats } {
  const file = openSync(path, 'r')
  try {
    const stats = fstatSync(file)
    const { size } = stats
    const bytes = Buffer.allocUnsafeSlow(before.length + size + after.length)
    bytes.write(before, 0, 'latin1')
    if (readSync(file, bytes, before.length, size, 0) !== size) throw new Error(`${path} is being changed`)
    bytes.write(after, before.length + size, 'latin1')
    return { bytes, stats }
  } finally {
    closeSync(file)
  }
}

/** What another user has written is not executed, even if they have exchanged a folder since it was checked. */
function codeIn(path: string, key: string): Buffer | undefined {
  return attempt(() => {
    const { bytes, stats } = read(path)
    if (stats.uid !== (process.geteuid?.() ?? 0)) return undefined
    const end = bytes.length - Buffer.byteLength(key)
    const isOf = bytes.toString('utf8', end) === key
    return isOf && bytes.toString('latin1', 0, DIGEST_LENGTH) === digest(bytes.subarray(DIGEST_LENGTH))
      ? bytes.subarray(DIGEST_LENGTH, end)
      : undefined
  })
}

/** Under another name first, because another process may read or write the same. */
function write(path: string, parts: readonly Buffer[]): void {
  const content = Buffer.concat(parts)
  const beside = `${path}.${process.pid}`
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  try {
    writeFileSync(beside, Buffer.concat([Buffer.from(digest(content)), content]), { mode: 0o600, flag: 'wx' })
    renameSync(beside, path)
  } catch {
    rmSync(beside, { force: true })
  }
}

function removeOld(folder: string): void {
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const path = join(folder, name)
    const stats = statSync(path)
    if (stats.isFile() && Date.now() - stats.mtimeMs > KEPT_FOR) rmSync(path)
  }
}

/** Nothing here is needed: at most the next run takes longer. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}

/**
 * V8 does not notice when the code is damaged. Nothing else is meant by the digest, and SHA-1 takes the least time.
 *
 * @returns in hexadecimal
 */
function digest(content: Buffer): string {
  return hash('sha1', content)
}
