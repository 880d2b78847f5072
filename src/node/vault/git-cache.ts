/**
 * A bare repository for what git fetches and makes. It may be deleted at any time; nothing is only in it.
 */
import { hash } from 'node:crypto'
import { rmSync } from 'node:fs'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isOAuthError } from '../../errors.ts'
import { makePrivateFolder } from '../store/files.ts'
import { withLock } from '../store/lock.ts'
import { CacheFault, unreachable } from './git-errors.ts'
import type { Git } from './git-program.ts'

/** Entries of one of 256 folders of objects: about 2,000 in all, at a few kB each. */
const LOOSE_LONGEST = 8
const PACKS_LONGEST = 20
/** Milliseconds. After a longer time only the newest commit is fetched, not all since then. */
const RECENT = 24 * 3600 * 1000

export class GitCache {
  readonly #place: string
  readonly #folder: string
  #temporary: string | undefined
  #format: 'sha1' | 'sha256' = 'sha1'

  /** @param place the address, which has a cache of its own */
  constructor(cache: string, place: string) {
    this.#place = place
    this.#folder = join(cache, `git-${hash('sha256', place, 'hex').slice(0, 32)}`)
  }

  get folder(): string {
    return this.#temporary ?? this.#folder
  }

  get isTemporary(): boolean {
    return this.#temporary !== undefined
  }

  /**
   * Runs `work` on the repository while nobody else uses it: git's own locks make others fail. If the repository is
   * damaged, `work` is run again on a new one, and then on one in a temporary folder, as where the cache cannot be
   * written.
   */
  async use<T>(git: Git, work: (repository: string) => Promise<T>): Promise<T> {
    if (!this.#temporary) {
      try {
        return await withLock(join(this.#folder, 'lock'), () => this.#attempt(git, this.#folder, work))
      } catch (error) {
        if (
          !(error instanceof CacheFault) &&
          !isOAuthError(error, 'STORE_UNAVAILABLE', 'STORE_INVALID', 'SESSION_BUSY')
        )
          throw error
      }
    }
    this.#temporary ??= await temporaryFolder()
    const folder = this.#temporary
    try {
      return await withLock(join(folder, 'lock'), () => this.#attempt(git, folder, work))
    } catch (error) {
      if (error instanceof CacheFault) throw unreachable(this.#place.replace(/^git:/, ''), error.message)
      throw error
    }
  }

  async #attempt<T>(git: Git, folder: string, work: (repository: string) => Promise<T>): Promise<T> {
    const repository = join(folder, 'repository')
    try {
      await this.#prepare(git, repository)
      return await work(repository)
    } catch (error) {
      if (!(error instanceof CacheFault) || isFull(error)) throw error
      await this.#make(git, repository)
      return await work(repository)
    }
  }

  async #prepare(git: Git, repository: string): Promise<void> {
    const isThere = await stat(join(repository, 'HEAD')).then(
      () => true,
      () => false,
    )
    if (isThere && !(await isLarge(repository))) return
    await this.#make(git, repository)
  }

  async #make(git: Git, repository: string): Promise<void> {
    try {
      await rm(repository, { recursive: true, force: true })
      await makePrivateFolder(repository)
    } catch (error) {
      throw new CacheFault(String(error))
    }
    // Older versions have one format only.
    const [, minor = 0] = git.version.split('.').map(Number)
    const format = git.version.startsWith('2.') && minor < 29 ? [] : [`--object-format=${this.#format}`]
    const made = await git.run(undefined, ['init', '--bare', '--quiet', '--template=', ...format, repository])
    if (made.code !== 0) throw new CacheFault(made.stderr)
  }

  /** For a repository whose objects are named by the other hash. */
  async changeFormat(git: Git, repository: string): Promise<void> {
    this.#format = this.#format === 'sha1' ? 'sha256' : 'sha1'
    await this.#make(git, repository)
  }

  /** The next use begins with a new repository. */
  async discard(repository: string): Promise<void> {
    await rm(repository, { recursive: true, force: true }).catch(() => undefined)
  }
}

/** Whether it was fetched from lately, so that little has to be fetched. */
export async function isRecent(repository: string): Promise<boolean> {
  const stats = await stat(join(repository, 'fetched')).catch(() => undefined)
  return stats !== undefined && Math.abs(Date.now() - stats.mtimeMs) < RECENT
}

export async function noteFetch(repository: string): Promise<void> {
  await writeFile(join(repository, 'fetched'), '').catch(() => undefined)
}

async function isLarge(repository: string): Promise<boolean> {
  const count = async (...folder: string[]) =>
    (await readdir(join(repository, 'objects', ...folder)).catch(() => [])).length
  return (await count('17')) > LOOSE_LONGEST || (await count('pack')) > PACKS_LONGEST
}

function isFull({ message }: CacheFault): boolean {
  return /No space left|quota exceeded/i.test(message)
}

/** Private, and gone with this process. */
async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'atproto-oauth-vault-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}
