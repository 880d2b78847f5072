/**
 * Sessions by the thumbprint of their key, each in its own file, with files for its nonces and its lock.
 */
import { stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isOAuthError, OAuthError } from '../../errors.ts'
import type { SessionRecord } from '../../model.ts'
import type { SessionStore } from '../../ports.ts'
import type { SignalHold } from '../signals.ts'
import { type FileSealer, type StoreCipher, sessionName, storeCipher } from './cipher.ts'
import { createClientKeys } from './client-keys.ts'
import {
  isTemporary,
  LEFTOVERS_KEPT,
  listFolder,
  ReservedFile,
  readPrivate,
  removeFile,
  serialize,
  sweepBeside,
  sweepFolder,
  writePrivate,
} from './files.ts'
import { type HeldLock, type LockOptions, withLock } from './lock.ts'
import { lockFolder, sessionsFolder } from './parts.ts'
import { parseNonces, parseRevoked, parseSession, sealed } from './records.ts'
import { createRescue, newer, type Rescue } from './rescue.ts'
import { createWitness, type Witness } from './witness.ts'

export interface SessionStoreOptions {
  readonly holdSignals: SignalHold
  /** Folders for a session that cannot be written to the store, in the order in which they are tried. */
  readonly elsewhere?: readonly string[]
  readonly witness?: Witness
  readonly cipher?: StoreCipher
  readonly onWait?: LockOptions['onWait']
  readonly saveTimes?: SaveTimes
}

/** Milliseconds for which a commit is retried after a token was sent: while the session is nowhere, or only elsewhere. */
export const SAVE_TIMES = { nowhere: 60_000, elsewhere: 10_000 } as const
export type SaveTimes = { readonly [Name in keyof typeof SAVE_TIMES]: number }

/** Milliseconds: no session lives longer, so no copy of its tokens is good for anything. */
const REVOKED_KEPT = 2 * 366 * 24 * 3600 * 1000
const RECORD_NAME = /^[A-Za-z0-9_-]{43}\.json$/

/** `<home>/sessions/<thumbprint>.json`, with `nonces/`, `revoked/` and `locks/` beside. */
export function createSessionStore(home: string, options: SessionStoreOptions): SessionStore {
  const { holdSignals, onWait, elsewhere = [tmpdir()], saveTimes = SAVE_TIMES } = options
  const { witness = createWitness(home, { cache: undefined }) } = options
  const { cipher = storeCipher(home) } = options
  const folder = sessionsFolder(home)
  const rescue = createRescue(home, elsewhere, cipher)
  const pathOf = (thumbprint: string) => join(folder, `${checked(thumbprint)}.json`)
  const revokedFolder = join(home, 'revoked')
  const noncesOf = (thumbprint: string) => join(home, 'nonces', `${checked(thumbprint)}.json`)
  const parse = (text: string | undefined, thumbprint: string) =>
    text === undefined ? undefined : parseSession(text, pathOf(thumbprint), thumbprint)
  const readStored = async (thumbprint: string) =>
    parse(await cipher.read(pathOf(thumbprint), sessionName(thumbprint)), thumbprint)
  const read = async (thumbprint: string) => newer(await readStored(thumbprint), await rescue.read(thumbprint))
  return {
    read,
    async list() {
      const names = (await listFolder(folder).catch(unlisted)).filter((name) => RECORD_NAME.test(name))
      const stored = names.map((name) => name.slice(0, -'.json'.length))
      const rescued = new Set((await rescue.list()).filter((thumbprint) => /^[A-Za-z0-9_-]{43}$/.test(thumbprint)))
      // Where a thousand are stored, most of the time would go to files that are not there.
      const readListed = (thumbprint: string) => (rescued.has(thumbprint) ? read(thumbprint) : readStored(thumbprint))
      const results = await Promise.allSettled([...new Set([...stored, ...rescued])].map(readListed))
      const records = results.flatMap((result) => (result.status === 'fulfilled' && result.value ? [result.value] : []))
      const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []))
      // One that is locked is not missing. A damaged file must not hide the other sessions; it is reported only if there
      // are none.
      const failed = failures.find((error) => isOAuthError(error, 'STORE_LOCKED')) ?? failures[0]
      if (failed && (records.length === 0 || isOAuthError(failed, 'STORE_LOCKED'))) throw failed
      return records
    },
    async update(thumbprint, transaction) {
      const path = pathOf(thumbprint)
      const work = async (lock: HeldLock) => {
        await sweepFolder(folder, LEFTOVERS_KEPT, isTemporary)
        await sweepBeside(path) // it may have a token that is in the store nowhere else
        const content = await readPrivate(path)
        // After a token was sent, nothing may depend on a keychain.
        const sealer = await cipher.sealer()
        const text = content === undefined ? undefined : await cipher.open(content, sessionName(thumbprint), path)
        await using file = new SessionFile(path, content, { thumbprint, lock, rescue, saveTimes, cipher, sealer })
        await file.reserve(content)
        return await transaction({
          stored: await file.takeRescued(parse(text, thumbprint)),
          async commit(next) {
            const isRefresh = file.isTokenSent
            await file.commit(next)
            if (next.intent === undefined) await witness.note(next, { isRefresh })
          },
          async forget(isEnded = false) {
            await removeFile(path)
            await removeFile(noncesOf(thumbprint))
            await rescue.remove(thumbprint)
            if (isEnded) await witness.forget(thumbprint)
          },
          confirm: () => file.confirm(),
        })
      }
      const alone = (lock: HeldLock) => witness.alone(thumbprint, () => holdSignals(() => work(lock)), onWait)
      // Whoever has to be asked for the key is asked now: not under the lock, and while signals still end this process.
      await cipher.assertAsSet()
      await cipher.sealer({ isBegun: true })
      return withLock(lockFolder(home, thumbprint), alone, { onWait })
    },
    assertNewest: (record) => witness.check(record),
    adopt: (adoption) => witness.adopt(adoption),
    async noteRevoked(session) {
      try {
        await sweepFolder(revokedFolder, REVOKED_KEPT, (name) => RECORD_NAME.test(name))
        await writePrivate(join(revokedFolder, `${checked(session.thumbprint)}.json`), serialize(session))
      } catch {
        // The session is revoked, which is what matters.
      }
    },
    async revoked(thumbprint) {
      const all = thumbprint === undefined ? await listFolder(revokedFolder).catch(() => []) : [`${thumbprint}.json`]
      const texts = all
        .filter((name) => RECORD_NAME.test(name))
        .map((name) => readPrivate(join(revokedFolder, name)).catch(() => undefined))
      const found = (await Promise.all(texts)).map(parseRevoked).filter((session) => session !== undefined)
      return found.sort((one, other) => other.at - one.at)
    },
    ...createClientKeys(home, cipher),
    async readNonces(thumbprint) {
      return parseNonces(await readPrivate(noncesOf(thumbprint)).catch(() => undefined))
    },
    async writeNonces(thumbprint, nonces) {
      await writePrivate(noncesOf(thumbprint), JSON.stringify(nonces))
    },
  }
}

interface SessionFileOptions {
  readonly thumbprint: string
  readonly lock: HeldLock
  readonly rescue: Rescue
  readonly saveTimes: SaveTimes
  readonly cipher: StoreCipher
  readonly sealer: FileSealer
}

/**
 * Disk space for the next record is reserved before each step, so that a full disk is noticed before a token is used.
 */
class SessionFile extends ReservedFile {
  /** The last record has an intent: what is committed next may be the result of a refresh. */
  isTokenSent = false
  /** A refresh is stored: what follows is about its delivery. */
  #isRefreshed = false
  /** What is in the file, as far as this process knows. */
  #known: string | undefined
  /** The folder in which space was reserved. */
  #folder: string | undefined
  readonly #options: SessionFileOptions

  constructor(path: string, content: string | undefined, options: SessionFileOptions) {
    super(path)
    this.#known = content
    this.#options = options
  }

  override async reserve(content?: string): Promise<void> {
    await super.reserve(content)
    this.#folder = await folderId(dirname(this.path))
  }

  async commit(next: SessionRecord): Promise<void> {
    const { sealer, thumbprint } = this.#options
    const text = await sealer.seal(serialize(sealed(next)), sessionName(thumbprint))
    if (this.isTokenSent) {
      await this.#save(text, next)
      this.#isRefreshed = true
    } else {
      await this.confirm()
      await this.write(text)
    }
    this.#known = text
    this.isTokenSent = next.intent !== undefined
    if (this.isTokenSent) await this.reserve(text)
  }

  /** @throws {OAuthError} `SESSION_BUSY` another process has taken over */
  async confirm(): Promise<void> {
    const isOurs = await this.#options.lock.confirm().then(
      () => true,
      () => false,
    )
    const text = isOurs ? await readPrivate(this.path) : undefined
    if (isOurs && (text === undefined || text === this.#known)) return
    throw takenOver(this.#isRefreshed ? 'the new tokens were stored before that' : 'nothing was sent')
  }

  /** An earlier run could not write here what it had received. */
  async takeRescued(stored: SessionRecord | undefined): Promise<SessionRecord | undefined> {
    const { thumbprint, rescue } = this.#options
    const rescued = await rescue.read(thumbprint)
    if (rescued === undefined) return stored
    const newest = newer(stored, rescued)!
    if (newest === rescued) {
      await this.commit(rescued)
      await this.reserve(this.#known)
    }
    await rescue.remove(thumbprint)
    return newest
  }

  /** A token was sent, and what came back is in this process only: it is written again until it can be, and to any place meanwhile. */
  async #save(text: string, next: SessionRecord): Promise<void> {
    const { thumbprint, rescue, saveTimes } = this.#options
    await this.#refuseNewer(next)
    let rescued: string | undefined
    let write = () => this.write(text)
    for (let waited = 0, pause = 50; ; waited += pause, pause = Math.min(pause * 2, 2_000)) {
      try {
        await write()
        // A new folder may be hidden when that of a share is back, and then this copy is the only one.
        if (rescued !== undefined && (await folderId(dirname(this.path))) === this.#folder) {
          await rescue.remove(thumbprint)
        }
        return
      } catch (error) {
        write = () => writePrivate(this.path, text) // the folder may have been removed, and the room with it
        rescued ??= await rescue.write(thumbprint, text)
        if (waited > 0 && waited >= saveTimes[rescued === undefined ? 'nowhere' : 'elsewhere'])
          throw notSaved(error, rescued, this.path)
      }
      await delay(pause)
    }
  }

  /** While this process was suspended another one took over, and got newer tokens for the same one. */
  async #refuseNewer({ rotation }: SessionRecord): Promise<void> {
    const text = await readPrivate(this.path).catch(() => undefined)
    if (text === undefined || text === this.#known || rotation === undefined) return
    const theirs = await this.#parsed(text)
    if (theirs === undefined || theirs.ended !== undefined || theirs.intent !== undefined) return
    if ((theirs.rotation ?? 0) >= rotation) throw takenOver('its tokens are newer, and are kept')
  }

  /** `undefined` for a damaged record, which is no reason to discard the tokens that this process received. */
  async #parsed(content: string): Promise<SessionRecord | undefined> {
    const { thumbprint, cipher } = this.#options
    try {
      return parseSession(await cipher.open(content, sessionName(thumbprint), this.path), this.path, thumbprint)
    } catch {
      return undefined
    }
  }
}

/** Tells a folder from another one of the same name. */
async function folderId(path: string): Promise<string | undefined> {
  const stats = await stat(path).catch(() => undefined)
  return stats && `${stats.dev} ${stats.ino}`
}

function takenOver(outcome: string): OAuthError {
  const message = `this process was suspended, and another one has taken over the session; ${outcome}`
  return new OAuthError('SESSION_BUSY', message, { facts: { reason: 'lock-lost' } })
}

function notSaved(cause: unknown, rescued: string | undefined, path: string): OAuthError {
  const why = cause instanceof Error ? cause.message : 'unknown reason'
  if (rescued === undefined) {
    return new OAuthError('SAVE_FAILED', `a token was sent, and the response could not be saved: ${why}`, {
      cause,
      session: 'unknown',
      facts: { reason: 'tokens-lost' },
    })
  }
  return new OAuthError('SAVE_FAILED', `${why}; the current session is in ${rescued}`, {
    cause,
    facts: { reason: 'session-elsewhere', from: rescued, to: path },
  })
}

/** If the folder cannot be listed, it is unknown whether there is a session. */
function unlisted(error: unknown): never {
  throw isOAuthError(error) ? error.with({ session: 'none' }) : error
}

function checked(thumbprint: string): string {
  if (/^[A-Za-z0-9_-]{43}$/.test(thumbprint)) return thumbprint
  throw new TypeError('a thumbprint is base64url of 32 bytes')
}
