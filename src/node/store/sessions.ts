/**
 * Sessions by key thumbprint, each a file of its own, with its nonces and its lock beside.
 */
import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isOAuthError, OAuthError } from '../../errors.ts'
import type { SessionRecord } from '../../model.ts'
import type { SessionStore } from '../../ports.ts'
import type { SignalHold } from '../signals.ts'
import {
  isTemporary,
  LEFTOVERS_KEPT,
  listFolder,
  ReservedFile,
  readPrivate,
  removeFile,
  serialize,
  sweepFolder,
  writePrivate,
} from './files.ts'
import { withLock } from './lock.ts'
import { parseNonces, parseSession, sealed } from './records.ts'

/** `<home>/sessions/<thumbprint>.json`, with `nonces/` and `locks/` beside. */
export function createSessionStore(home: string, holdSignals: SignalHold): SessionStore {
  const folder = join(home, 'sessions')
  const pathOf = (thumbprint: string) => join(folder, `${checked(thumbprint)}.json`)
  const noncesOf = (thumbprint: string) => join(home, 'nonces', `${checked(thumbprint)}.json`)
  const read = async (thumbprint: string) => {
    const path = pathOf(thumbprint)
    const text = await readPrivate(path)
    return text === undefined ? undefined : parseSession(text, path, thumbprint)
  }
  return {
    read,
    async list() {
      const names = (await listFolder(folder).catch(unlisted)).filter((name) => /^[A-Za-z0-9_-]{43}\.json$/.test(name))
      const results = await Promise.allSettled(names.map((name) => read(name.slice(0, -'.json'.length))))
      const records = results.flatMap((result) => (result.status === 'fulfilled' && result.value ? [result.value] : []))
      // A damaged file is no reason to keep from the others; without others it is the answer.
      const failed = results.find((result) => result.status === 'rejected')
      if (records.length === 0 && failed) throw failed.reason
      return records
    },
    update(thumbprint, transaction) {
      const path = pathOf(thumbprint)
      return withLock(join(home, 'locks', thumbprint), () =>
        holdSignals(async () => {
          await sweepFolder(folder, LEFTOVERS_KEPT, isTemporary)
          const stored = await readPrivate(path)
          await using file = new SessionFile(path)
          await file.reserve(stored)
          return await transaction(
            stored === undefined ? undefined : parseSession(stored, path, thumbprint),
            (next) => file.commit(next),
            async () => {
              await removeFile(path)
              await removeFile(noncesOf(thumbprint))
            },
          )
        }),
      )
    },
    async readNonces(thumbprint) {
      return parseNonces(await readPrivate(noncesOf(thumbprint)).catch(() => undefined))
    },
    async writeNonces(thumbprint, nonces) {
      await writePrivate(noncesOf(thumbprint), JSON.stringify(nonces))
    },
  }
}

/** Room for the next record is taken before each step, so that a full disk is noticed before a token is spent. */
class SessionFile extends ReservedFile {
  #isTokenSent = false

  async commit(next: SessionRecord): Promise<void> {
    const text = serialize(sealed(next))
    try {
      await this.write(text)
    } catch (error) {
      if (!this.#isTokenSent) throw error
      await saveElsewhere(text, this.path, error)
    }
    this.#isTokenSent = next.intent !== undefined
    if (this.#isTokenSent) await this.reserve(text)
  }
}

/** A token was sent, and what came back is in this process only: any place is better than none. */
async function saveElsewhere(text: string, path: string, cause: unknown): Promise<void> {
  const elsewhere = join(tmpdir(), `atproto-oauth-${randomUUID()}.json`)
  const why = cause instanceof Error ? cause.message : 'unknown reason'
  try {
    await writePrivate(path, text) // the folder may have been removed, a room be gone with it
  } catch {
    await writePrivate(elsewhere, text).catch(() => {
      throw new OAuthError('SAVE_FAILED', `a token was sent, and what came back is lost: ${why}`, {
        cause,
        session: 'unknown',
        facts: { reason: 'tokens-lost' },
      })
    })
    throw new OAuthError('SAVE_FAILED', `${why}; the session as it is now is in ${elsewhere}`, {
      cause,
      facts: { reason: 'session-elsewhere', from: elsewhere, to: path },
    })
  }
}

/** Nobody can tell then whether there is a session at all. */
function unlisted(error: unknown): never {
  throw isOAuthError(error) ? error.with({ session: 'none' }) : error
}

function checked(thumbprint: string): string {
  if (/^[A-Za-z0-9_-]{43}$/.test(thumbprint)) return thumbprint
  throw new TypeError('a thumbprint is base64url of 32 bytes')
}
