/**
 * What the servers do slowly on purpose, so that nobody guesses passwords: they hash one with much work, and answer a
 * sign-in after 0.4 s at the earliest. Tests sign in hundreds of times, and nobody guesses.
 */
import crypto from 'node:crypto'
import { statfsSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import timers from 'node:timers/promises'

type Scrypt = (password: string, salt: string, length: number, done: (error: Error | null, key: Buffer) => void) => void

/** In this process, from now on: before the servers are loaded. */
export function hurry(): void {
  const { scrypt } = crypto
  const cheap: Scrypt = (password, salt, length, done) => scrypt(password, salt, length, { N: 2 }, done)
  const { setTimeout } = timers
  const soon: typeof setTimeout = (_, ...more) => setTimeout(0, ...more)
  Object.assign(crypto, { scrypt: cheap })
  Object.assign(timers, { setTimeout: soon })
  syncBuiltinESMExports()
}

const MEMORY = '/dev/shm'
/** Bytes. A container has 64 MB of it, unless it is told otherwise. */
const ENOUGH = 2 ** 30

/** Where data does not wait for a disk, if there is room: an account has a database of its own, which is synced. */
export function quickFolder(): string {
  try {
    const { bavail, bsize } = statfsSync(MEMORY)
    return bavail * bsize > ENOUGH ? MEMORY : tmpdir()
  } catch {
    return tmpdir() // not on Linux
  }
}
