/**
 * Keeps the compiled code of the program from one run to the next. To compile a short command takes longer than to run it.
 *
 * Node has `module.enableCompileCache` since 22.8. It is not used, because it keeps the functions that the first command
 * used, and never adds those of others.
 */
import { isAscii } from 'node:buffer'
import { createHash } from 'node:crypto'
import {
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import Module from 'node:module'
import { basename, dirname, join } from 'node:path'
import { Script } from 'node:vm'

/** Bytes before the compiled code. */
const DIGEST_LENGTH = 20
/** Milliseconds after which a file is deleted: it may be of a Node or a command that nobody uses any more. */
const KEPT_FOR = 30 * 24 * 60 * 60 * 1000

type Load = (loaded: NodeJS.Module & { exports: unknown }, path: string) => void
const { _extensions: loaders, wrapper } = Module as unknown as {
  readonly _extensions: { '.js': Load; '.cjs'?: Load }
  readonly wrapper: readonly [before: string, after: string]
}

export interface KeptCode {
  /** Only this user may have access to it: its content is executed. */
  readonly folder: string
  /** The functions of one command are kept together. */
  readonly command: string
  /** The folder of the program. Files elsewhere, such as those of `NODE_OPTIONS=--require`, are loaded as they would be. */
  readonly program: string
}

/**
 * From now on, CommonJS files of the program are compiled with what is kept of them, or kept when the process ends.
 */
export function keepCode({ folder, command, program }: KeptCode): void {
  const place = join(folder, `${process.version}-${process.arch}`)
  const compiled: { readonly path: string; readonly kept: string; readonly source: Buffer; readonly script: Script }[] =
    []
  const loadOther = loaders['.cjs'] ?? loaders['.js']
  loaders['.cjs'] = (loaded, path) => {
    if (dirname(path) !== program) return loadOther(loaded, path)
    const source = readFileSync(path)
    const kept = join(place, `${command}-${basename(path, '.cjs')}`)
    const cachedData = codeIn(kept, path, source)
    const [before, after] = wrapper
    const options = { filename: path, columnOffset: -before.length, ...(cachedData && { cachedData }) }
    const script = new Script(before + textOf(source) + after, options)
    if (cachedData === undefined || script.cachedDataRejected) compiled.push({ path, kept, source, script })
    const require = (name: string) => loaded.require(name)
    script.runInThisContext().call(loaded.exports, loaded.exports, require, loaded, path, dirname(path))
  }
  process.once('exit', (code) => {
    if (code !== 0 || compiled.length === 0) return
    // With the functions that were compiled when they were first called.
    for (const { path, kept, source, script } of compiled) {
      const code = script.createCachedData()
      attempt(() => write(kept, Buffer.concat([digest(path, source, code), code])))
    }
    attempt(() => removeOld(folder))
  })
}

/** The build writes nothing but ASCII, which is read faster. */
function textOf(source: Buffer): string {
  return source.toString(isAscii(source) ? 'latin1' : 'utf8')
}

/** What another user has written is not executed, even if they have exchanged a folder since it was checked. */
function codeIn(path: string, of: string, source: Buffer): Buffer | undefined {
  return attempt(() => {
    const file = openSync(path, 'r')
    try {
      if (fstatSync(file).uid !== (process.geteuid?.() ?? 0)) return undefined
      const kept = readFileSync(file)
      const code = kept.subarray(DIGEST_LENGTH)
      return digest(of, source, code).equals(kept.subarray(0, DIGEST_LENGTH)) ? code : undefined
    } finally {
      closeSync(file)
    }
  })
}

/** Under another name first, because another process may read or write the same. */
function write(path: string, content: Buffer): void {
  const beside = `${path}.${process.pid}`
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  try {
    writeFileSync(beside, content, { mode: 0o600, flag: 'wx' })
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
 * V8 does not notice when the code is damaged, or when it is of another text of the same length. Some installers give all files
 * the same time, so only the text itself tells. Nothing else is meant by the digest, and SHA-1 takes the least time.
 */
function digest(of: string, source: Buffer, code: Buffer): Buffer {
  const program = JSON.stringify([process.execPath, of, source.length])
  return createHash('sha1').update(program).update(source).update(code).digest()
}
