/**
 * Keys of confidential clients in the vault, so that a job needs no other secret than the vault's own.
 */
import * as v from '@badrap/valita'
import { OAuthError } from '../../errors.ts'
import { type ClientJwk, type ClientKeyName, p256JwkSchema } from '../../model.ts'
import { clientKeyRecordName, openRecord, sealRecord } from './envelope.ts'
import { goneTo, vaultMoved } from './moved.ts'
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
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const known = await readClientKey(clientId, { kid }, place)
    if (known !== undefined && known.x === x && known.y === y && known.d === d) return
    const before = await place.engine.read(name)
    const text = await sealRecord(content, name, await place.keys())
    if ((await place.engine.swap(name, before, text)) !== 'won') continue
    await place.refreshKeys()
    // The data key may have been replaced at this moment.
    const keys = await place.keys()
    if (!canOpen(text, keys)) await place.engine.swap(name, text, await sealRecord(content, name, keys))
    return
  }
  throw new OAuthError('VAULT_UNREACHABLE', 'the client key could not be stored in the vault')
}

const ATTEMPTS = 5
