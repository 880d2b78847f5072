/**
 * The vault that the `vault` commands work on, and where this machine keeps what it knows of vaults.
 */
import { VAULT, VAULT_KEY, variable } from '../../credentials/variables.ts'
import { OAuthError } from '../../errors.ts'
import { homeNeeded } from '../../node/home.ts'
import { holdSignals } from '../../node/signals.ts'
import {
  connectEngine,
  isSameAddress,
  normalizeAddress,
  type VaultSetting,
  vaultFolders,
  vaultSetting,
  withoutLogin,
} from '../../node/vault/connect.ts'
import type { VaultEngine } from '../../node/vault/engine.ts'
import { parseUserKey } from '../../node/vault/envelope.ts'
import { openVault } from '../../node/vault/open.ts'
import type { VaultStore } from '../../node/vault/store.ts'
import { endSession } from '../../session/revoke.ts'
import { type Context, homeOf } from '../context.ts'

export interface UsedVault extends VaultSetting {
  readonly engine: VaultEngine
  readonly home: string
  /** Of this machine's memory of vaults. */
  readonly memory: string
}

/** @throws {OAuthError} `USAGE` this user has none */
export function requireHome({ common, io }: Pick<Context, 'common' | 'io'>): string {
  const home = homeOf(common, io)
  if (home === undefined) throw homeNeeded()
  return home
}

/** @throws {OAuthError} `VAULT_INVALID` no vault is set, or its key is not known or malformed */
export async function usedSetting(context: Context): Promise<VaultSetting> {
  const setting = await vaultSetting(context.io.environment, requireHome(context))
  if (setting === undefined) {
    const message = 'no vault is set: neither by ATPROTO_OAUTH_VAULT nor on this machine'
    throw new OAuthError('VAULT_INVALID', message, { facts: { reason: 'vault-unset' } })
  }
  parseUserKey(setting.key)
  return { ...setting, address: await normalizeAddress(setting.address, context.io.environment) }
}

/** Asks the service for nothing yet. */
export async function usedVault(context: Context): Promise<UsedVault> {
  const setting = await usedSetting(context)
  const home = requireHome(context)
  return {
    ...setting,
    home,
    memory: vaultFolders(home).memory,
    engine: await connect(setting.address, context, setting.login),
  }
}

/** @param login secret: user and password for the service, if the address was given with them */
export function connect(address: string, context: Context, login?: string): Promise<VaultEngine> {
  return connectEngine(address, {
    environment: context.io.environment,
    cache: vaultFolders(requireHome(context)).cache,
    login,
  })
}

/** The variable is used before what is kept on this machine, and may have been set for another vault. */
export async function warnOfVariable(address: string, { io, output }: Pick<Context, 'io' | 'output'>): Promise<void> {
  const set = variable(io.environment, VAULT)
  if (set === undefined) return
  const isSame = await isSameAddress(set, address, io.environment).catch(() => false)
  const shown = await withoutLogin(set).catch(() => undefined)
  if (!isSame)
    output.warn(`${VAULT} is set to ${shown?.address ?? 'another address'}: commands use that vault as long as it is`)
  else if (variable(io.environment, VAULT_KEY) !== undefined) {
    output.note(`Commands use the key in ${VAULT_KEY} as long as it is set.`)
  }
}

/**
 * What can be known of a service before anything is stored there.
 *
 * @throws {OAuthError} `VAULT_REFUSED`, or what is wrong with it
 */
export async function assertUsable(engine: VaultEngine): Promise<void> {
  const broken = (await engine.describe()).find(({ verdict }) => verdict === 'broken')
  if (broken === undefined) return
  throw broken.fix instanceof OAuthError ? broken.fix : new OAuthError('VAULT_REFUSED', broken.detail)
}

/** The sessions of a vault, for a change of them. */
export function storeOf(
  { engine, key, memory }: Pick<UsedVault, 'engine' | 'key' | 'memory'>,
  { io, output, runtime }: Context,
  { isMoving = false } = {},
): Promise<VaultStore> {
  return openVault({
    engine,
    key,
    isMoving,
    folder: memory,
    environment: io.environment,
    holdSignals,
    endTokens: async (record) => void (await endSession(record, runtime)),
    onClaim(label) {
      output.note(`waiting for ${label}, which is changing this session`)
      return () => undefined
    },
    warn: output.warn,
    randomBytes: runtime.randomBytes,
  })
}
