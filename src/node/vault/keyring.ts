/**
 * The keys of a vault as one process knows them. They change while it runs, if the user's key is replaced.
 */
import { isOAuthError, OAuthError } from '../../errors.ts'
import { VAULT_RECORD, type VaultEngine } from './engine.ts'
import { unwrapAnyKeys, unwrapKeys, type VaultKeys, wrapKeys, wrapsOf } from './envelope.ts'
import { HANDED_OVER, handedOver, REPLACED, type VaultMemory } from './memory.ts'
import { assertHere, isMovedError, movesOf } from './moved.ts'
import { isLater, type Sealed, unseal } from './record.ts'
import type { VaultStoreOptions } from './store.ts'

interface KeyringOptions {
  readonly engine: VaultEngine
  readonly userKey: Uint8Array
  readonly memory: VaultMemory
  /** To move it: what has moved away is opened too. */
  readonly isMoving?: boolean | undefined
  readonly warn?: (message: string) => void
}

interface Opened {
  readonly text: string
  readonly keys: VaultKeys
}

export type Keyring = Required<Pick<VaultStoreOptions, 'keys' | 'confirmKeys' | 'formerKeys'>>

export function createKeyring({ engine, userKey, memory, isMoving, warn }: KeyringOptions): Keyring {
  let opening: Promise<Opened> | undefined
  const open = () => {
    opening ??= openKnown().catch((error: unknown) => {
      opening = undefined
      throw error
    })
    return opening
  }

  const known = () => memory.read('keys', VAULT_RECORD).catch(() => undefined)
  const openText = isMoving ? unwrapAnyKeys : unwrapKeys
  const unwrap = async (text: string): Promise<Opened> => {
    return { text, keys: await openText(text, userKey, engine.address) }
  }

  async function openKnown(): Promise<Opened> {
    const text = await known()
    const opened = text === undefined ? undefined : await unwrap(text).catch(() => undefined)
    return opened ?? openCurrent(await engine.read(VAULT_RECORD))
  }

  /** @param text the `vault` record, as it is now */
  async function openCurrent(text: string | undefined): Promise<Opened> {
    const before = await known()
    if (!isMoving) await assertNotLeft(before, text)
    if (text === undefined) throw vaultNotFound(engine.address)
    const opened = await unwrap(text).catch(async (error: unknown) => {
      // Whatever is restored there later, this machine does not use it.
      if (isMovedError(error)) await memory.write('keys', VAULT_RECORD, text).catch(() => undefined)
      if (before === undefined || !isOAuthError(error, 'VAULT_KEY_WRONG')) throw error
      return restoreWrap(text, await unwrap(before).catch(() => undefined), error)
    })
    const former = before === undefined ? undefined : await unwrap(before).catch(() => undefined)
    // What this machine has seen and received may still be encrypted with it.
    if (former !== undefined && isReplaced(former.keys, opened.keys)) await keepFormer(memory, former)
    await memory.write('keys', VAULT_RECORD, opened.text).catch(() => undefined)
    await memory.remove('keys', REPLACED).catch(() => undefined)
    return opened
  }

  /** What this machine has seen to have moved away is not used again, whatever is there now. */
  async function assertNotLeft(before: string | undefined, text: string | undefined): Promise<void> {
    const left = await anyKeys(before)
    if (left?.move?.direction !== 'to') return
    const current = await anyKeys(text)
    if (current === undefined || movesOf(current) <= movesOf(left)) assertHere(current?.move ? current : left)
  }

  async function anyKeys(text: string | undefined): Promise<VaultKeys | undefined> {
    return text === undefined ? undefined : unwrapAnyKeys(text, userKey, engine.address).catch(() => undefined)
  }

  /** The service may have lost the change that added this key. */
  async function restoreWrap(text: string, before: Opened | undefined, error: OAuthError): Promise<Opened> {
    if (before === undefined) throw error
    const wraps = wrapsOf(text)
    const lines = new Set(before.text.split('\n'))
    const isOlder = wraps.every((wrap) => lines.has(wrap.text))
    if (isOlder && (await engine.swap(VAULT_RECORD, text, before.text)) === 'won') {
      warn?.(`the vault at ${engine.address} had lost a key: stored it again`)
      return before
    }
    if (!wraps.some(({ vault }) => vault === before.keys.id)) throw error
    await memory.write('keys', REPLACED, text).catch(() => undefined)
    throw keyReplaced(engine.address)
  }

  return {
    keys: async () => (await open()).keys,
    async confirmKeys(text, isNeeded) {
      const opened = await opening?.catch(() => undefined)
      if (text !== undefined && text === opened?.text) return
      const kept = text === undefined ? await known() : undefined
      if (!isMoving) await assertNotLeft(kept, undefined)
      if (text === undefined && (kept === undefined || !isNeeded)) throw vaultNotFound(engine.address)
      // What this machine has is from before then: the vault may have moved since, and be in use elsewhere.
      if (text === undefined && (await memory.read('keys', REPLACED)) !== undefined) throw keyReplaced(engine.address)
      if (kept !== undefined && (await engine.swap(VAULT_RECORD, undefined, kept)) === 'won') {
        warn?.(`the vault at ${engine.address} was lost: stored it again`)
        opening = unwrap(kept)
      } else {
        opening = Promise.resolve(await openCurrent(text ?? (await engine.read(VAULT_RECORD))))
      }
    },
    async formerKeys() {
      const names = (await memory.names('keys')).filter((name) => name !== VAULT_RECORD)
      const texts = await Promise.all(names.map((name) => memory.read('keys', name)))
      const found = await Promise.all(texts.map((text) => text && unwrap(text).catch(() => undefined)))
      return found.flatMap((one) => (one ? [one.keys] : []))
    },
  }
}

interface KeyMemory {
  readonly memory: VaultMemory
  readonly userKey: Uint8Array
  /** Where the vault is, or was. */
  readonly address: string
}

/** What this machine has seen and received with one key or address of a vault is there for another. */
export async function copyMemory(from: KeyMemory, to: KeyMemory): Promise<void> {
  for (const name of await from.memory.names('keys')) {
    const text = (await from.memory.read('keys', name)) ?? ''
    const found = await unwrapAnyKeys(text, from.userKey, from.address).catch(() => undefined)
    const keys = found && { ...found, address: to.address, move: undefined }
    if (keys) await keepFormer(to.memory, { keys, text: await wrapKeys(keys, to.userKey) })
  }
  for (const kind of ['ahead', 'seen'] as const) {
    for (const name of await from.memory.names(kind)) {
      const text = await from.memory.read(kind, name)
      if (text === undefined) continue
      if (
        (await to.memory.read(kind, name)) !== undefined &&
        (kind === 'ahead' || !(await isLaterIn(name, from, to)))
      ) {
        continue
      }
      await to.memory.write(kind, name, text)
      if (kind === 'ahead') await from.memory.remove(kind, name)
    }
  }
}

/**
 * The same, for good: once no process of this machine is changing a session with the earlier key or address. One that has
 * begun and comes later finds that out in time: what it received would be where nobody looks for it.
 */
export async function handOverMemory(from: KeyMemory, to: KeyMemory): Promise<void> {
  const thumbprints = new Set(await from.memory.names('ahead'))
  for (const { record } of await seenIn(from)) thumbprints.add(record.session.thumbprint)
  const handOver = async () => {
    const times = Number(await handedOver(from.memory)) + 1
    await from.memory.write('keys', HANDED_OVER, String(times))
    await copyMemory(from, to)
  }
  const lockAll = ([thumbprint, ...others]: readonly string[]): Promise<void> =>
    thumbprint === undefined ? handOver() : from.memory.lock(thumbprint, () => lockAll(others))
  await lockAll([...thumbprints].sort())
}

/** One goes back to an earlier key or address if a backup from before was restored: what was seen there is older then. */
async function isLaterIn(name: string, from: KeyMemory, to: KeyMemory): Promise<boolean> {
  const find = async (memory: KeyMemory) => (await seenIn(memory)).find((sealed) => sealed.name === name)?.record
  const record = await find(from)
  return record !== undefined && isLater(record, await find(to))
}

async function seenIn({ memory, userKey, address }: KeyMemory): Promise<Sealed[]> {
  const texts = await Promise.all((await memory.names('keys')).map((name) => memory.read('keys', name)))
  const opened = texts.map((text) => text && unwrapAnyKeys(text, userKey, address).catch(() => undefined))
  const keys = (await Promise.all(opened)).filter((each) => typeof each === 'object')
  const found: Sealed[] = []
  for (const name of await memory.names('seen')) {
    const text = (await memory.read('seen', name)) ?? ''
    for (const each of keys) {
      const sealed = await unseal(name, text, each).catch(() => undefined)
      if (sealed) found.push(sealed)
    }
  }
  return found
}

async function keepFormer(memory: VaultMemory, { keys, text }: Opened): Promise<void> {
  await memory.write('keys', `former-${keys.kid}`, text)
}

function isReplaced(former: VaultKeys, current: VaultKeys): boolean {
  return former.id === current.id && former.kid !== current.kid
}

export function vaultNotFound(address: string): OAuthError {
  const message = `there is no vault at ${address}`
  return new OAuthError('VAULT_INVALID', message, { facts: { reason: 'vault-not-found', address } })
}

export function keyReplaced(address: string): OAuthError {
  const message = `the key of the vault at ${address} was replaced by a new one`
  return new OAuthError('VAULT_KEY_WRONG', message, { facts: { reason: 'vault-key-replaced', address } })
}
