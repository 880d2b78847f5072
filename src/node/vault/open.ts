/**
 * A vault by its address and the user's key.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { OAuthError } from '../../errors.ts'
import type { SessionRecord } from '../../model.ts'
import type { Random, SessionStore } from '../../ports.ts'
import type { SignalHold } from '../signals.ts'
import type { LockOptions } from '../store/lock.ts'
import { VAULT_RECORD, type VaultEngine } from './engine.ts'
import { parseUserKey, unwrapKeys, userKeyId, type VaultKeys } from './envelope.ts'
import { createFolderMemory, describeMachine, systemClock } from './machine.ts'
import type { VaultMemory } from './memory.ts'
import { VaultStore } from './store.ts'

export interface VaultOptions {
  readonly engine: VaultEngine
  /** The user's key as text. */
  readonly key: string
  /** Where this machine remembers what it has seen of vaults. */
  readonly folder: string
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
  const { engine, folder, environment, onWait, onClaim, warn, holdSignals, nonces, endTokens, randomBytes } = options
  const userKey = parseUserKey(options.key)
  const place = join(folder, vaultFolder(engine.address, userKey))
  const clock = await systemClock()
  const described = await describeMachine(place, clock, environment)
  const machine = options.isTemporary ? { ...described, durable: false } : described
  const lasting = createFolderMemory(place, { onWait })
  const memory = options.isTemporary ? withoutAhead(lasting) : lasting
  let opened: Promise<VaultKeys> | undefined
  const keys = () => {
    opened ??= readKeys(engine, userKey, memory).catch((error: unknown) => {
      opened = undefined
      throw error
    })
    return opened
  }
  const confirmKeys = async (text: string | undefined, isNeeded: boolean) => {
    const known = await memory.read('keys', VAULT_RECORD).catch(() => undefined)
    if (text !== undefined && text === known) return
    if (text === undefined && (known === undefined || !isNeeded)) throw vaultNotFound(engine.address)
    if (text === undefined && (await engine.swap(VAULT_RECORD, undefined, known)) === 'won') {
      warn?.(`the vault at ${engine.address} was lost: stored it again`)
      return
    }
    const current = await unwrapCurrent(text ?? (await engine.read(VAULT_RECORD)), engine, userKey, memory)
    opened = Promise.resolve(current)
  }
  return new VaultStore({
    engine,
    keys,
    confirmKeys,
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

async function readKeys(engine: VaultEngine, userKey: Uint8Array, memory: VaultMemory): Promise<VaultKeys> {
  const known = await memory.read('keys', VAULT_RECORD).catch(() => undefined)
  if (known !== undefined) {
    const opened = await unwrapKeys(known, userKey, engine.address).catch(() => undefined)
    if (opened !== undefined) return opened
  }
  return unwrapCurrent(await engine.read(VAULT_RECORD), engine, userKey, memory)
}

/** @param text the vault's own record, as it is now */
async function unwrapCurrent(
  text: string | undefined,
  engine: VaultEngine,
  userKey: Uint8Array,
  memory: VaultMemory,
): Promise<VaultKeys> {
  if (text === undefined) throw vaultNotFound(engine.address)
  const keys = await unwrapKeys(text, userKey, engine.address)
  await memory.write('keys', VAULT_RECORD, text).catch(() => undefined)
  return keys
}

export function vaultNotFound(address: string): OAuthError {
  const message = `there is no vault at ${address}`
  return new OAuthError('VAULT_INVALID', message, { facts: { reason: 'vault-not-found', address } })
}
