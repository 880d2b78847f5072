/**
 * File system errors: their wording, and retries of temporary ones.
 */
import { setTimeout as delay } from 'node:timers/promises'

export function isCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}

/** The system's usual wording for a file system error. */
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
  ENOEXEC: 'exec format error',
  E2BIG: 'argument list too long',
  ELOOP: 'too many levels of symbolic links',
}

/** Errors of fsync on a pipe, or on a file system that does not support it. */
export const UNFLUSHABLE = ['EINVAL', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'] as const

/** Total milliseconds of all retries. */
const RETRY_TIMEOUT = 5_000
const LONGEST_PAUSE = 200

/**
 * Whether another process has the file open, which blocks changes on Windows: a virus scanner, an indexer, or another
 * run of this program.
 */
export function isInUse(error: unknown, platform: NodeJS.Platform = process.platform): boolean {
  return platform === 'win32' && isCode(error, 'EPERM', 'EACCES', 'EBUSY')
}

/** Retries `work` for some seconds while other processes use the file: Windows returns an error instead of waiting. */
export async function persist<T>(
  work: () => Promise<T>,
  platform: NodeJS.Platform = process.platform,
  sleep?: (milliseconds: number) => Promise<unknown>,
): Promise<T> {
  for (let pause = 10, waited = 0; ; waited += pause, pause = Math.min(pause * 2, LONGEST_PAUSE)) {
    try {
      return await work()
    } catch (error) {
      if (!isInUse(error, platform) || waited >= RETRY_TIMEOUT) throw error
    }
    await (sleep ?? delay)(pause)
  }
}
