/**
 * stdout as a regular file. Node's stream for it calls write(2) once: on a disk that is nearly full, that takes a part
 * without an error.
 */
import { fstatSync, fsync, writeSync } from 'node:fs'
import { promisify } from 'node:util'
import { isCode, UNFLUSHABLE } from '../node/store/file-errors.ts'

export function isRegularFile(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isFile()
  } catch {
    return false
  }
}

/** Writes all of it, or throws. */
export function writeWhole(descriptor: number, content: string | Uint8Array): void {
  const bytes = Buffer.from(content)
  for (let at = 0; at < bytes.length; ) at += writeSync(descriptor, bytes, at)
}

/** Resolves once the content is on the disk. A file system that cannot flush is no failure. */
export async function flush(descriptor: number): Promise<void> {
  try {
    await promisify(fsync)(descriptor)
  } catch (error) {
    if (!isCode(error, ...UNFLUSHABLE)) throw error
  }
}
