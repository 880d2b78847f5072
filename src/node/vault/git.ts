/**
 * A vault on a branch of a git repository.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { type Environment, VAULT_TOKEN, variable } from '../../credentials/variables.ts'
import { OAuthError } from '../../errors.ts'
import type { GitAddress } from './address.ts'
import type { EngineFact, SwapOutcome, VaultEngine } from './engine.ts'
import { GitCache, isRecent, noteFetch } from './git-cache.ts'
import {
  CacheFault,
  fetchError,
  isBranchMissing,
  isElsewhere,
  isOtherFormat,
  type PushOutcome,
  pushOutcome,
  type Shown,
  showErrors,
} from './git-errors.ts'
import { blobId, makeCommit, ObjectReader, objectId, readRecord, readTip, TIP, type Tip } from './git-objects.ts'
import { findGit, GIT_TIMES, type Git, type GitHeader } from './git-program.ts'
import { checkRequest } from './request.ts'

export interface GitEngineOptions {
  /** A folder for files that may be deleted. */
  readonly cache: string
  /** A password or token for the service, or `USER:PASSWORD`. Without it git's own credentials are used. */
  readonly token?: string | undefined
  readonly environment?: Environment
  /** Milliseconds that one request to the service may take; by default 30 seconds. */
  readonly timeout?: number | undefined
}

/** Changes of other records that may get in between, one after another. */
const ATTEMPTS = 25
/** How often the service may reject a change though nothing has changed: others lock the branch for a moment only. */
const REJECTIONS = 6
/** Milliseconds between two of them: random, up to this, and longer each time. */
const PAUSE = { first: 50, longest: 800 } as const

/**
 * The token for the service of a vault: the one that was set for it, or that of a job on GitHub, which is sent to
 * GitHub only.
 */
export function vaultToken(address: GitAddress, environment: Environment): string | undefined {
  if (address.origin === undefined) return undefined
  const ofJob = address.origin === 'https://github.com' ? variable(environment, 'GITHUB_TOKEN') : undefined
  return variable(environment, VAULT_TOKEN) ?? ofJob
}

/** @throws {OAuthError} `USAGE` the token would be sent unencrypted */
export function createGitEngine(address: GitAddress, options: GitEngineOptions): VaultEngine {
  return new GitEngine(address, options)
}

/** The branch as it was last seen; `undefined` if there is none. */
interface Seen {
  readonly tip: Tip | undefined
}

class GitEngine implements VaultEngine {
  readonly address: string
  readonly #place: string
  readonly #ref: string
  readonly #environment: Environment
  readonly #header: string | undefined
  readonly #shown: Shown
  readonly #cache: GitCache
  readonly #isSsh: boolean
  readonly #urls: readonly [short: string, long: string]
  readonly #timeout: number
  #url: string
  #git: Promise<Git> | undefined
  #seen: Seen | undefined

  constructor(address: GitAddress, options: GitEngineOptions) {
    const { cache, token, environment = process.env } = options
    const login = token === undefined || address.origin === undefined ? undefined : loginOf(token, address, environment)
    if (login !== undefined && !isConfidential(address.origin!)) {
      throw new OAuthError('USAGE', 'a token is not sent over http, where others could read it; use https', {
        facts: { reason: 'vault-address-malformed' },
      })
    }
    const encoded = login === undefined ? undefined : Buffer.from(login).toString('base64')
    this.address = address.identity
    this.#place = address.text.replace(/^git:/, '')
    this.#ref = `refs/heads/${address.branch}`
    this.#environment = environment
    this.#header = encoded && `Authorization: Basic ${encoded}`
    this.#shown = showErrors(token === undefined || encoded === undefined ? [] : [token, encoded])
    this.#cache = new GitCache(cache, address.text)
    this.#isSsh = address.origin === undefined && !/^(?:[/\\]|[A-Za-z]:[\\/])/.test(address.url)
    this.#url = address.url
    // Some services have the long one only, or redirect to it.
    this.#timeout = options.timeout ?? GIT_TIMES.network
    this.#urls = [address.url, `${address.url}.git`]
  }

  async read(name: string): Promise<string | undefined> {
    checkRequest(name)
    return this.#use(async (git, repository) => {
      await this.#fetch(git, repository)
      const id = this.#seen?.tip?.records.get(name)
      if (id === undefined) return undefined
      await using reader = new ObjectReader(git, repository, `git:${this.#place}`)
      return await readRecord(reader, id)
    })
  }

  async list(): Promise<ReadonlyMap<string, string>> {
    return this.#use(async (git, repository) => {
      const { tip } = await this.#fetch(git, repository)
      const texts = new Map<string, string>()
      if (!tip) return texts
      await using reader = new ObjectReader(git, repository, `git:${this.#place}`)
      for (const [name, id] of tip.records) texts.set(name, await readRecord(reader, id))
      return texts
    })
  }

  async swap(name: string, before: string | undefined, after: string | undefined): Promise<SwapOutcome> {
    checkRequest(name, after)
    return this.#use((git, repository) => this.#swap(git, repository, { name, before, after }))
  }

  async #swap(git: Git, repository: string, change: Change): Promise<SwapOutcome> {
    let said = ''
    let sent: string | undefined
    const rejected = { from: '', times: 0 }
    // What was seen last may be outdated. The push then fails, and so its result counts only if it is the wanted one.
    let seen = this.#seen
    let isFresh = false
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      if (seen === undefined || !isReplaceable(seen, change)) {
        seen = await this.#fetch(git, repository).catch((error: unknown) => {
          if (sent === undefined || !(error instanceof OAuthError || error instanceof CacheFault)) throw error
          return undefined
        })
        if (seen === undefined) return 'unknown'
        isFresh = true
        if (holds(seen, change.name, change.after)) return 'won'
        if (!holds(seen, change.name, change.before)) {
          return (await isAncestor(git, repository, sent, seen.tip?.commit)) ? 'unknown' : 'lost'
        }
      }
      const next = await this.#build(git, repository, seen, change, isFresh)
      const outcome = next && (await this.#push(git, repository, seen.tip?.commit, next.commit))
      switch (outcome?.kind) {
        case 'done':
          this.#seen = { tip: next! }
          await noteFetch(repository)
          return 'won'
        case 'unknown':
          await this.#forget(repository)
          return 'unknown'
        case 'failed':
          throw outcome.error
        case 'moved':
          said = outcome.said
          if (outcome.wasSent) {
            const from = seen.tip?.commit ?? 'none'
            Object.assign(rejected, { from, times: rejected.from === from ? rejected.times + 1 : 1 })
            if (rejected.times === REJECTIONS) throw this.#stuck(said)
            sent = next!.commit
          }
          if (isFresh) await pause(Math.random() * Math.min(PAUSE.longest, PAUSE.first * 1.5 ** attempt))
      }
      seen = undefined
      isFresh = false
    }
    throw this.#tooBusy(said)
  }

  /** @returns `undefined` if another process has made the cache again, so that what was seen is not in it */
  async #build(
    git: Git,
    repository: string,
    { tip }: Seen,
    change: Change,
    isFresh: boolean,
  ): Promise<Tip | undefined> {
    try {
      return await makeCommit(git, repository, tip, change.name, change.after)
    } catch (error) {
      if (isFresh || !(error instanceof CacheFault)) throw error
      return undefined
    }
  }

  async #push(git: Git, repository: string, from: string | undefined, to: string | undefined): Promise<PushOutcome> {
    const lease = `--force-with-lease=${this.#ref}:${from === undefined ? '' : objectId(from)}`
    const change = `${to === undefined ? '' : objectId(to)}:${this.#ref}`
    const options = ['--porcelain', '--no-verify', '--no-signed', lease]
    const result = await git.run(repository, ['push', ...options, '--', this.#url, change], {
      timeout: this.#timeout,
    })
    if (result.code !== 0 && isOtherFormat(result)) {
      await this.#cache.changeFormat(git, repository)
      return { kind: 'moved', said: this.#shown(result.stderr), wasSent: false }
    }
    return pushOutcome(result, this.#ref, this.#place, this.#shown)
  }

  async describe(): Promise<readonly EngineFact[]> {
    const facts: EngineFact[] = []
    try {
      const git = await this.#findGit()
      facts.push({ topic: 'git', verdict: 'ok', detail: git.version })
      facts.push({ topic: 'credentials', verdict: 'ok', detail: this.#header ? 'the given token' : 'those of git' })
      await this.#cache.use(git, async (repository) => {
        const { tip } = await this.#fetch(git, repository)
        facts.push({ topic: 'read', verdict: 'ok', detail: this.#place })
        facts.push({ topic: 'branch', verdict: 'ok', detail: describeTip(this.#ref, tip) })
        facts.push(await this.#describePush(git, repository, tip))
      })
      const { isTemporary, folder } = this.#cache
      facts.push({
        topic: 'cache',
        verdict: isTemporary ? 'warning' : 'ok',
        detail: isTemporary ? 'its folder is not writable: everything is fetched again by each command' : folder,
      })
    } catch (error) {
      if (!(error instanceof OAuthError)) throw error
      facts.push({ topic: facts.length < 2 ? 'git' : 'service', verdict: 'broken', detail: error.message, fix: error })
    }
    return facts
  }

  /** What services check before a push begins; rules for branches are checked by a push only. */
  async #describePush(git: Git, repository: string, tip: Tip | undefined): Promise<EngineFact> {
    const commit = tip?.commit ?? (await makeCommit(git, repository, undefined, 'vault', undefined)).commit
    const args = ['push', '--dry-run', '--porcelain', '--no-verify', '--no-signed', '--', this.#url]
    const result = await git.run(repository, [...args, `${objectId(commit)}:${this.#ref}`], {
      timeout: this.#timeout,
    })
    const outcome = pushOutcome(result, this.#ref, this.#place, this.#shown)
    if (outcome.kind === 'done') return { topic: 'push', verdict: 'ok', detail: 'permitted, as far as a dry run shows' }
    if (outcome.kind === 'failed') {
      return { topic: 'push', verdict: 'broken', detail: outcome.error.message, fix: outcome.error }
    }
    return { topic: 'push', verdict: 'warning', detail: `a dry run failed: ${outcome.said}` }
  }

  async destroy(): Promise<void> {
    await this.#use(async (git, repository) => {
      let said = ''
      for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
        const { tip } = await this.#fetch(git, repository)
        if (!tip) return
        const outcome = await this.#push(git, repository, tip.commit, undefined)
        this.#seen = undefined
        if (outcome.kind === 'done') return
        if (outcome.kind === 'failed') throw outcome.error
        said = outcome.said
        if (outcome.kind === 'unknown') break
      }
      throw this.#tooBusy(said)
    })
  }

  async #use<T>(work: (git: Git, repository: string) => Promise<T>): Promise<T> {
    const git = await this.#findGit()
    return this.#cache.use(git, (repository) => work(git, repository))
  }

  #findGit(): Promise<Git> {
    const header =
      this.#header === undefined ? undefined : this.#urls.map((url): GitHeader => ({ url, header: this.#header! }))
    this.#git ??= findGit(this.#environment, { headers: header, ssh: this.#isSsh })
    return this.#git
  }

  /** The branch as the service has it now. */
  async #fetch(git: Git, repository: string): Promise<Seen> {
    this.#seen = undefined
    let result = await this.#runFetch(git, repository)
    const [short, long] = this.#urls
    if (isElsewhere(result) && this.#url === short && short.startsWith('http')) {
      this.#url = long
      const other = await this.#runFetch(git, repository)
      if (isElsewhere(other)) this.#url = short
      else result = other
    }
    if (result.code !== 0 && isOtherFormat(result)) {
      await this.#cache.changeFormat(git, repository)
      result = await this.#runFetch(git, repository)
    }
    if (result.code === 0) {
      await noteFetch(repository)
      this.#seen = { tip: await this.#readTip(git, repository) }
    } else if (isBranchMissing(result)) this.#seen = { tip: undefined }
    else throw fetchError(result, this.#place, this.#shown)
    return this.#seen
  }

  async #readTip(git: Git, repository: string): Promise<Tip> {
    await using reader = new ObjectReader(git, repository, `git:${this.#place}`)
    try {
      return await readTip(reader)
    } catch (error) {
      // It may be large, and nothing of it is needed again.
      if (error instanceof OAuthError) await this.#cache.discard(repository)
      throw error
    }
  }

  /** The newest commit; those since the last fetch too, if there are few, which takes one request less. */
  async #runFetch(git: Git, repository: string) {
    const depth = (await isRecent(repository)) ? [] : ['--depth=1']
    const refs = `+${this.#ref}:${TIP}`
    return git.run(repository, ['fetch', '--quiet', '--no-tags', ...depth, '--', this.#url, refs], {
      timeout: this.#timeout,
    })
  }

  async #forget(repository: string): Promise<void> {
    this.#seen = undefined
    await this.#cache.discard(repository)
  }

  #stuck(said: string): OAuthError {
    return new OAuthError('VAULT_REFUSED', `${this.#place} rejected the change: ${said}`)
  }

  #tooBusy(said: string): OAuthError {
    const why = said === '' ? '' : `: ${said}`
    return new OAuthError('VAULT_UNREACHABLE', `cannot change ${this.#place}${why}`)
  }
}

/**
 * Whether the branch contains a commit that was rejected: a connection was cut, and curl repeated the request by itself,
 * which met the change it had made.
 */
async function isAncestor(
  git: Git,
  repository: string,
  commit: string | undefined,
  tip: string | undefined,
): Promise<boolean> {
  if (commit === undefined || tip === undefined) return false
  const args = ['merge-base', '--is-ancestor', objectId(commit), objectId(tip)]
  return (await git.run(repository, args)).code === 0
}

interface Change {
  readonly name: string
  readonly before: string | undefined
  readonly after: string | undefined
}

function isReplaceable(seen: Seen, { name, before, after }: Change): boolean {
  return holds(seen, name, before) && before !== after
}

function holds({ tip }: Seen, name: string, text: string | undefined): boolean {
  const id = tip?.records.get(name)
  if (id === undefined || text === undefined) return id === text
  return id === blobId(text, id)
}

function describeTip(ref: string, tip: Tip | undefined): string {
  const branch = ref.replace('refs/heads/', '')
  if (!tip) return `${branch} does not exist yet`
  return `${branch}, with ${tip.records.size} ${tip.records.size === 1 ? 'record' : 'records'}`
}

/** Unencrypted only within this machine. */
function isConfidential(origin: string): boolean {
  return origin.startsWith('https:') || /^http:\/\/(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?$/.test(origin)
}

/** User and password. Services take a token with any user, but a job's token on GitLab with one only. */
function loginOf(token: string, { origin = '' }: GitAddress, environment: Environment): string {
  if (token.includes(':')) return token
  const isOfJob = token.startsWith('glcbt-') || token === variable(environment, 'CI_JOB_TOKEN')
  return `${isOfJob || /[/.]gitlab\./.test(origin) ? 'gitlab-ci-token' : 'x-access-token'}:${token}`
}
