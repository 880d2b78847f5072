/**
 * Keys of confidential clients in an encrypted store, so that they need not be in the environment of each command. A
 * store that is not encrypted takes none.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import * as v from '@badrap/valita'
import { OAuthError } from '../../errors.ts'
import { type ClientJwk, type ClientKeyName, p256JwkSchema } from '../../model.ts'
import { parseJson } from '../../text.ts'
import { clientKeyName, type StoreCipher } from './cipher.ts'
import { serialize, writePrivate } from './files.ts'
import { withLock } from './lock.ts'
import { clientKeysFolder, lockFolder } from './parts.ts'

const keySchema = v.object({
  version: v.literal(1),
  clientId: v.string(),
  jwk: p256JwkSchema.extend({ kid: v.string() }),
})

export interface ClientKeys {
  /** @throws {OAuthError} `STORE_INVALID`, `STORE_LOCKED` */
  clientKey(clientId: string, name: Pick<ClientKeyName, 'kid'>): Promise<ClientJwk | undefined>
  /** @throws {OAuthError} `STORE_UNAVAILABLE`, `STORE_LOCKED` */
  keepClientKey(clientId: string, jwk: ClientJwk): Promise<void>
}

export function createClientKeys(home: string, cipher: StoreCipher): ClientKeys {
  const fileOf = (clientId: string, kid: string) => {
    // A client has several keys while it replaces one.
    const id = createHash('sha256')
      .update(JSON.stringify([clientId, kid]))
      .digest('hex')
    return { path: join(clientKeysFolder(home), `${id}.json`), name: clientKeyName(id) }
  }
  return {
    async clientKey(clientId, { kid }) {
      const { path, name } = fileOf(clientId, kid)
      const text = await cipher.read(path, name)
      if (text === undefined) return undefined
      const found = keySchema.try(contentOf(text), { mode: 'strip' })
      if (found.ok && found.value.clientId === clientId && found.value.jwk.kid === kid) return found.value.jwk
      throw new OAuthError('STORE_INVALID', `${path} is damaged, or from a newer version`, {
        facts: { reason: 'record-damaged', path, kind: 'client-key' },
      })
    },
    async keepClientKey(clientId, { kid, kty, crv, x, y, d }) {
      const { isEncrypted } = await cipher.sealer()
      if (!isEncrypted) return
      const { path, name } = fileOf(clientId, kid)
      await withLock(lockFolder(home, 'client-keys'), async () => {
        const sealer = await cipher.sealer()
        if (!sealer.isEncrypted) return
        const text = serialize({ version: 1, clientId, jwk: { kid, kty, crv, x, y, d } })
        await writePrivate(path, await sealer.seal(text, name))
      })
    },
  }
}

function contentOf(text: string): unknown {
  try {
    return parseJson(text)
  } catch {
    return undefined
  }
}
