/**
 * Which vault is used, and the engine behind its address. The engines are loaded when they are needed.
 */
import { join } from 'node:path'
import { VAULT, VAULT_KEY, variable } from '../../credentials/variables.ts'
import { OAuthError } from '../../errors.ts'
import type { VaultEngine } from './engine.ts'
import { type KnownVault, readKnownVault, readKnownVaults } from './known.ts'

export interface VaultSetting extends KnownVault {
  readonly source: 'environment' | 'machine'
}

export interface ConnectOptions {
  readonly environment: NodeJS.ProcessEnv
  /** Secret: user and password, where the address has none. */
  readonly login?: string | undefined
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
 * @throws {OAuthError} `VAULT_INVALID` no key is known for the address; `STORE_INVALID`
 */
export async function vaultSetting(
  environment: NodeJS.ProcessEnv,
  home: string | undefined,
): Promise<VaultSetting | undefined> {
  const given = variable(environment, VAULT)
  const { address, login } = given === undefined ? { address: given } : await withoutLogin(given)
  const key = variable(environment, VAULT_KEY)
  if (address !== undefined && key !== undefined) return settingOf({ key }, address, login, 'environment')
  if (address === undefined) {
    const current = home === undefined ? undefined : await readKnownVault(home)
    return current && settingOf(current, current.address, current.login, 'machine')
  }
  const known = home === undefined ? [] : (await readKnownVaults(home)).vaults
  for (const vault of known) {
    if (!vault.unconfirmed && (await isSameAddress(vault.address, address, environment))) {
      return settingOf(vault, address, login ?? vault.login, 'environment')
    }
  }
  throw new OAuthError('VAULT_INVALID', `no key is set for the vault at ${address}`, {
    facts: { reason: 'vault-key-missing', address },
  })
}

function settingOf(
  { key }: Pick<KnownVault, 'key'>,
  address: string,
  login: string | undefined,
  source: VaultSetting['source'],
): VaultSetting {
  return { address, key, source, ...(login !== undefined && { login }) }
}

/**
 * @param address in any spelling
 * @throws {OAuthError} `USAGE` it is none; `VAULT_INVALID` it stands for the remote of a checkout, and there is none
 */
export async function connectEngine(address: string, options: ConnectOptions): Promise<VaultEngine> {
  const { environment, cache } = options
  const parsed = await parse(address, environment)
  if (parsed.kind === 'redis') {
    const { createRedisEngine } = await import('./redis.ts')
    return createRedisEngine(parsed, { login: parsed.login ?? options.login, environment })
  }
  const { createGitEngine, vaultToken } = await import('./git.ts')
  return createGitEngine(parsed, { cache, token: vaultToken(parsed, environment), environment })
}

/**
 * What the engine of an address calls it, and a spelling to connect with later, for which nothing has to be asked.
 *
 * @throws {OAuthError} as `connectEngine`
 */
export async function resolveAddress(
  address: string,
  environment: NodeJS.ProcessEnv,
): Promise<{ readonly identity: string; readonly address: string }> {
  const parsed = await parse(address, environment)
  // That of Redis may contain a password, which is not in the text.
  return { identity: parsed.identity, address: parsed.kind === 'git' ? parsed.text : address }
}

/** An address, and the secret in it, which is kept apart. The rest stays as it was written, if there is no secret. */
export async function withoutLogin(address: string): Promise<Pick<KnownVault, 'address' | 'login'>> {
  const { isRedisAddress, parseRedisAddress } = await import('./redis-address.ts')
  if (!isRedisAddress(address)) return { address }
  const { text, login } = parseRedisAddress(address)
  return { address: text, login }
}

/** The reverse: an address to connect with, which is secret. */
export function withLogin({ address, login }: Pick<KnownVault, 'address' | 'login'>): string {
  return login === undefined ? address : address.replace('//', `//${login}@`)
}

/**
 * The spelling of an address that is stored and printed, without user and password. Nothing is asked of the service.
 *
 * @throws {OAuthError} as `connectEngine`
 */
export async function normalizeAddress(address: string, environment: NodeJS.ProcessEnv): Promise<string> {
  return (await parse(address, environment)).text
}

/** Whether two spellings, of which none may be invalid, name the same vault. */
export async function isSameAddress(one: string, other: string, environment: NodeJS.ProcessEnv): Promise<boolean> {
  if (one === other) return true
  const [first, second] = await Promise.all([parse(one, environment), parse(other, environment)])
  return first.identity === second.identity
}

async function parse(address: string, environment: NodeJS.ProcessEnv) {
  const { parseVaultAddress } = await import('./address.ts')
  return parseVaultAddress(address, { environment })
}
