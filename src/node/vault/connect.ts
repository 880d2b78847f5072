/**
 * Which vault is used, and the engine behind its address. The engines are loaded when they are needed.
 */
import { join } from 'node:path'
import { VAULT, VAULT_KEY, variable } from '../../credentials/variables.ts'
import { OAuthError } from '../../errors.ts'
import type { VaultEngine } from './engine.ts'
import { type KnownVault, readKnownVaults } from './known.ts'

export interface VaultSetting extends KnownVault {
  readonly source: 'environment' | 'machine'
}

export interface ConnectOptions {
  readonly environment: NodeJS.ProcessEnv
  /** A folder for what an engine keeps to save time. It may be deleted, and holds no more than the vault does. */
  readonly cache: string
}

/** Where a machine keeps what it has seen of vaults, and what their engines keep to save time. */
export function vaultFolders(home: string): { readonly memory: string; readonly cache: string } {
  return { memory: join(home, 'vaults'), cache: join(home, 'vaults', 'cache') }
}

/**
 * The vault in the environment, else the one that this user has on this machine.
 *
 * @param home `undefined` for a user who has no home
 * @throws {OAuthError} `VAULT_INVALID` no key is known for the address, or an address for the key; `STORE_INVALID`
 */
export async function vaultSetting(
  environment: NodeJS.ProcessEnv,
  home: string | undefined,
): Promise<VaultSetting | undefined> {
  const address = variable(environment, VAULT)
  const key = variable(environment, VAULT_KEY)
  if (address !== undefined && key !== undefined) return { address, key, source: 'environment' }
  const known = home === undefined ? undefined : await readKnownVaults(home)
  if (address === undefined) {
    const current = known?.vaults.find((vault) => vault.address === known.current)
    return current && { address: current.address, key: current.key, source: 'machine' }
  }
  for (const vault of known?.vaults ?? []) {
    if (!vault.unconfirmed && (await isSameAddress(vault.address, address, environment))) {
      return { address, key: vault.key, source: 'environment' }
    }
  }
  throw new OAuthError('VAULT_INVALID', `no key is set for the vault at ${address}`, {
    facts: { reason: 'vault-key-missing' },
  })
}

/** @throws {OAuthError} `USAGE` for an address of no known kind; nothing is asked yet */
export async function connectEngine(address: string, _options: ConnectOptions): Promise<VaultEngine> {
  throw new OAuthError('USAGE', `invalid address of a vault ${JSON.stringify(address)}`, {
    session: 'none',
    facts: { reason: 'vault-address-malformed' },
  })
}

async function isSameAddress(one: string, other: string, _environment: NodeJS.ProcessEnv): Promise<boolean> {
  return one === other
}
