/**
 * Keys of confidential clients in the vault, so that a job needs no other secret than the vault's own.
 */
import * as v from '@badrap/valita'
import { isOAuthError, OAuthError } from '../../errors.ts'
import { type ClientJwk, type ClientKeyName, p256JwkSchema } from '../../model.ts'
import { clientKeyRecordName, openRecord, sealRecord } from './envelope.ts'
import { goneTo, isMovedError, vaultMoved } from './moved.ts'
import { canOpen, type VaultStore } from './store.ts'

type Place = Pick<VaultStore, 'engine' | 'keys' | 'refreshKeys'>

const keySchema = v.object({
  version: v.literal(1),
  kind: v.literal('client-key'),
  clientId: v.string(),
  jwk: p256JwkSchema.extend({ kid: v.string() }),
})

/** A client has several keys while it replaces one. */
async function nameFor(clientId: string, kid: string, place: Place): Promise<string> {
  return clientKeyRecordName(`${clientId}\n${kid}`, await place.keys())
}

/** @throws {OAuthError} `VAULT_INVALID`, and those of the engine */
export async function readClientKey(
  clientId: string,
  { kid }: Pick<ClientKeyName, 'kid'>,
  place: Place,
): Promise<ClientJwk | undefined> {
  const name = await nameFor(clientId, kid, place)
  const text = await place.engine.read(name)
  if (text === undefined) return undefined
  if (!canOpen(text, await place.keys())) await place.refreshKeys()
  const keys = await place.keys()
  const content = await openRecord(text, name, keys)
  const address = goneTo(content)
  if (address !== undefined) throw vaultMoved(keys.address, { address, isFinished: true })
  const found = keySchema.try(content, { mode: 'strip' })
  if (found.ok && found.value.clientId === clientId && found.value.jwk.kid === kid) return found.value.jwk
  throw new OAuthError('VAULT_INVALID', 'the record of a client key is damaged, or from a newer version', {
    facts: { reason: 'vault-damaged' },
  })
}

/** @throws {OAuthError} as `readClientKey`; `VAULT_UNREACHABLE` it may not be there */
export async function keepClientKey(clientId: string, jwk: ClientJwk, place: Place): Promise<void> {
  const { kid, kty, crv, x, y, d } = jwk
  const name = await nameFor(clientId, kid, place)
  const content = { version: 1, kind: 'client-key', clientId, jwk: { kid, kty, crv, x, y, d } }
  let sent: Change | undefined
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const known = await readClientKey(clientId, { kid }, place)
    const isThere = known !== undefined && known.x === x && known.y === y && known.d === d
    if (!isThere) {
      const before = await place.engine.read(name)
      sent = { before, text: await sealRecord(content, name, await place.keys()) }
      if ((await place.engine.swap(name, before, sent.text)) !== 'won') continue
    }
    if (sent !== undefined) await assertKept(name, sent, place)
    if (sent === undefined || canOpen(sent.text, await place.keys())) return
    // The data key was replaced at this moment.
    await place.engine.swap(name, sent.text, await sealRecord(content, name, await place.keys()))
    return
  }
  throw new OAuthError('VAULT_UNREACHABLE', 'the client key could not be stored in the vault')
}

const ATTEMPTS = 5

interface Change {
  readonly before: string | undefined
  readonly text: string
}

/** The vault may have moved or have been replaced at this moment, and nobody would look for the key here. */
async function assertKept(name: string, { before, text }: Change, place: Place): Promise<void> {
  try {
    await place.refreshKeys()
  } catch (error) {
    if (isMovedError(error) || isOAuthError(error, 'VAULT_KEY_WRONG')) await place.engine.swap(name, text, before)
    throw error
  }
}
