/**
 * A vault by its address and the user's key.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { SessionRecord } from '../../model.ts'
import type { Random, SessionStore } from '../../ports.ts'
import type { SignalHold } from '../signals.ts'
import { listFolder } from '../store/files.ts'
import type { LockOptions } from '../store/lock.ts'
import type { VaultEngine } from './engine.ts'
import { parseUserKey, userKeyId } from './envelope.ts'
import { copyMemory, createKeyring, handOverMemory, type Keyring } from './keyring.ts'
import { createFolderMemory, describeMachine, systemClock } from './machine.ts'
import type { VaultMemory } from './memory.ts'
import { VaultStore } from './store.ts'

export interface VaultOptions {
  readonly engine: VaultEngine
  /** The user's key as text. */
  readonly key: string
  /** Where this machine remembers what it has seen of vaults. */
  readonly folder: string
  /** To move it: it is opened also where it has moved away. */
  readonly isMoving?: boolean | undefined
  /** The folder is gone after this run. */
  readonly isTemporary?: boolean | undefined
  readonly environment: NodeJS.ProcessEnv
  readonly holdSignals: SignalHold
  readonly nonces?: Pick<SessionStore, 'readNonces' | 'writeNonces'>
  endTokens(record: SessionRecord): Promise<void>
  readonly onWait?: LockOptions['onWait']
  /** Called when another machine has claimed a session. What it returns is called when the wait is over. */
  readonly onClaim?: ((label: string) => () => void) | undefined
  readonly warn?: (message: string) => void
}

/** @throws {OAuthError} `VAULT_INVALID` the key has not the form of one; `STORE_UNAVAILABLE`. Nothing is asked yet. */
export async function openVault(options: VaultOptions & Random): Promise<VaultStore> {
  const { engine, folder, isMoving, environment, onWait, onClaim, warn, holdSignals, nonces, endTokens, randomBytes } =
    options
  const userKey = parseUserKey(options.key)
  const place = join(folder, vaultFolder(engine.address, userKey))
  const clock = await systemClock()
  const described = await describeMachine(place, clock, environment)
  const machine = options.isTemporary ? { ...described, durable: false } : described
  const lasting = createFolderMemory(place, { onWait })
  const memory = options.isTemporary ? withoutAhead(lasting) : lasting
  const keyring = createKeyring({ engine, userKey, memory, isMoving, ...(warn && { warn }) })
  let inheriting: Promise<void> | undefined
  return new VaultStore({
    engine,
    ...keyring,
    inherit: () => (inheriting ??= inheritPlaces(keyring, { address: engine.address, userKey, memory }, folder)),
    memory,
    clock,
    machine,
    holdSignals,
    endTokens,
    randomBytes,
    onWait: onClaim,
    ...(nonces && { nonces }),
    ...(warn && { warn }),
  })
}

/**
 * Takes over what this machine has seen and received at addresses where the vault was before.
 *
 * @param folder of the memory of all vaults
 */
async function inheritPlaces(
  { keys }: Pick<Keyring, 'keys'>,
  to: Parameters<typeof copyMemory>[1],
  folder: string,
): Promise<void> {
  const own = vaultFolder(to.address, to.userKey)
  // A machine that has used one vault only does not read it for this.
  const others = (await listFolder(folder)).filter((name) => /^[0-9a-f]{32}$/.test(name) && name !== own)
  if (others.length === 0) return
  for (const address of (await keys()).movedFrom ?? []) {
    const name = vaultFolder(address, to.userKey)
    if (!others.includes(name)) continue
    await copyMemory({ address, userKey: to.userKey, memory: createFolderMemory(join(folder, name)) }, to)
  }
}

/** Where no later run would find the new tokens, nothing may rely on them. */
function withoutAhead(memory: VaultMemory): VaultMemory {
  return {
    ...memory,
    async write(kind, name, text) {
      if (kind === 'ahead') throw new Error('the folder is temporary')
      await memory.write(kind, name, text)
    },
  }
}

/** One folder for each vault and key: nothing that was seen with another key can be read. */
export function vaultFolder(address: string, userKey: Uint8Array): string {
  return createHash('sha256')
    .update(`${address}\n${userKeyId(userKey)}`)
    .digest('hex')
    .slice(0, 32)
}

/**
 * Takes over what this machine has seen and received of a vault with an earlier key of it, or at an earlier address.
 *
 * @param folder of the memory of all vaults
 */
export async function inheritMemory(
  { address }: Pick<VaultEngine, 'address'>,
  earlier: string,
  current: string,
  folder: string,
  earlierAddress = address,
): Promise<void> {
  const memoryOf = (place: string, key: string) => {
    const userKey = parseUserKey(key)
    const memory = createFolderMemory(join(folder, vaultFolder(place, userKey)))
    return { address: place, userKey, memory }
  }
  await handOverMemory(memoryOf(earlierAddress, earlier), memoryOf(address, current))
}
