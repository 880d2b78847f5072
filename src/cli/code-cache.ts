/**
 * Keeps the compiled code of the program from one run to the next. To compile a short command takes longer than to run it.
 *
 * Node has `module.enableCompileCache` since 22.8. It is not used, because it keeps the functions that the first command
 * used, and never adds those of others.
 */
import { createHash } from 'node:crypto'
import { closeSync, fstatSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import Module from 'node:module'
import { basename, dirname, join } from 'node:path'
import { Script } from 'node:vm'

/** Bytes before the compiled code. */
const DIGEST_LENGTH = 20

type Loaded = NodeJS.Module & { exports: unknown }
const { _extensions: loaders, wrapper } = Module as unknown as {
  readonly _extensions: Record<string, (loaded: Loaded, path: string) => void>
  readonly wrapper: readonly [before: string, after: string]
}

/**
 * From now on, CommonJS files of this program are compiled with what is kept of them, or kept when the process ends.
 *
 * @param folder only this user may have access to it: its content is executed
 * @param command the functions of one command are kept together
 */
export function keepCode(folder: string, command: string): void {
  const place = join(folder, `${process.version}-${process.arch}`)
  const compiled: { readonly path: string; readonly key: string; readonly script: Script }[] = []
  loaders['.cjs'] = (loaded, path) => {
    const { source, key } = read(path)
    const kept = join(place, `${command}-${basename(path, '.cjs')}`)
    const cachedData = codeIn(kept, key)
    const [before, after] = wrapper
    const options = { filename: path, columnOffset: -before.length, ...(cachedData && { cachedData }) }
    const script = new Script(before + source + after, options)
    if (cachedData === undefined || script.cachedDataRejected) compiled.push({ path: kept, key, script })
    const require = (name: string) => loaded.require(name)
    script.runInThisContext().call(loaded.exports, loaded.exports, require, loaded, path, dirname(path))
  }
  process.once('exit', (code) => {
    if (code !== 0) return
    // With the functions that were compiled when they were first called.
    for (const { path, key, script } of compiled) write(path, key, script.createCachedData())
  })
}

/** The text of a file, and what distinguishes it from another version of itself. */
function read(path: string): { readonly source: string; readonly key: string } {
  const file = openSync(path, 'r')
  try {
    const { size, mtimeMs } = fstatSync(file)
    return { source: readFileSync(file, 'latin1'), key: JSON.stringify([path, size, mtimeMs]) }
  } finally {
    closeSync(file)
  }
}

/** V8 does not notice when the code is damaged. Nothing else is meant by the digest, and SHA-1 takes the least time. */
function codeIn(path: string, key: string): Buffer | undefined {
  try {
    const kept = readFileSync(path)
    const code = kept.subarray(DIGEST_LENGTH)
    return digest(key, code).equals(kept.subarray(0, DIGEST_LENGTH)) ? code : undefined
  } catch {
    return undefined
  }
}

/** Best effort. */
function write(path: string, key: string, code: Buffer): void {
  const beside = `${path}.${process.pid}`
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    writeFileSync(beside, Buffer.concat([digest(key, code), code]), { mode: 0o600 })
    renameSync(beside, path)
  } catch {
    rmSync(beside, { force: true })
  }
}

function digest(key: string, code: Buffer): Buffer {
  return createHash('sha1').update(key).update(code).digest()
}
