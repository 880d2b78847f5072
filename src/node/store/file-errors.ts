/**
 * What goes wrong with files, and what of that goes away by itself.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { OAuthError } from '../../errors.ts'

export function isCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}

export function unavailable(error: unknown, verb: string, path: string): OAuthError {
  if (error instanceof OAuthError) return error
  return new OAuthError('STORE_UNAVAILABLE', `cannot ${verb} ${path}: ${reasonOf(error)}`, { cause: error })
}

/** The usual wording of the system for an error of the file system. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error) || !('code' in error)) return 'unknown reason'
  return REASONS[String(error.code)] ?? String(error.code)
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EBUSY: 'device or resource busy',
  ENOSPC: 'no space left on device',
  EDQUOT: 'disk quota exceeded',
  EROFS: 'read-only file system',
  ENOTDIR: 'not a directory',
  ENOENT: 'no such file or directory',
  EEXIST: 'file exists',
  EISDIR: 'is a directory',
  EMFILE: 'too many open files',
  ENAMETOOLONG: 'file name too long',
  EIO: 'input/output error',
  EFBIG: 'file too large',
}

/** Milliseconds in all. */
const RETRY_TIMEOUT = 5_000
const LONGEST_PAUSE = 200

/** As on Windows while anybody has the file open: a scanner, an indexer, another process of ours. */
export function isInUse(error: unknown, platform: NodeJS.Platform = process.platform): boolean {
  return platform === 'win32' && isCode(error, 'EPERM', 'EACCES', 'EBUSY')
}

/** Does `work`, and does it again for some seconds as long as others use the file: Windows has nobody wait for them. */
export async function persist<T>(
  work: () => Promise<T>,
  platform: NodeJS.Platform = process.platform,
  sleep: (milliseconds: number) => Promise<unknown> = delay,
): Promise<T> {
  for (let pause = 10, waited = 0; ; waited += pause, pause = Math.min(pause * 2, LONGEST_PAUSE)) {
    try {
      return await work()
    } catch (error) {
      if (!isInUse(error, platform) || waited >= RETRY_TIMEOUT) throw error
    }
    await sleep(pause)
  }
}
