/**
 * The ports of a client: those of Node, as far as the program does not bring its own.
 */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type Environment, VAULT, VAULT_KEY, variable } from '../credentials/variables.ts'
import { OAuthError } from '../errors.ts'
import { userFolders } from '../node/folders.ts'
import { expandTilde } from '../node/home.ts'
import { httpOver } from '../node/http/given-fetch.ts'
import { nodeRuntime, type VaultChoice } from '../node/runtime.ts'
import { holdSignals } from '../node/signals.ts'
import { packageVersion } from '../node/version.ts'
import type { Runtime, SaveTarget, Saving, Stores } from '../ports.ts'
import { endSession } from '../session/revoke.ts'
import { overriding } from './abort.ts'
import { observed } from './changes.ts'
import type { OAuthClientOptions } from './options.ts'

/** Two clients with stores of their own may be given the same credentials, and a store may fail. A vault has claims for this. */
const REFRESHED_HERE: NonNullable<Runtime['refreshedHere']> = new Map()

/** What a client has to know of its sessions. */
export type Observer = Parameters<typeof observed>[1]

/** @param environment of a program that names its vault there */
export function createRuntime(options: OAuthClientOptions, observer: Observer, environment?: Environment): Runtime {
  const { home, stores, clientKey, plcUrl, handleResolver, storeKey, dev = false } = options
  const choice = stores ? undefined : vaultOf(options, environment, () => runtime)
  const isOnlyVault = choice?.only === true
  const save = options.save ?? [isOnlyVault ? 'vault' : 'store']
  checkCombination(options, choice !== undefined)
  const base = nodeRuntime({
    home,
    plcUrl,
    handleResolver,
    clientJwk: clientKey,
    dev,
    save: save.filter((target) => typeof target === 'string'),
    vault: choice,
    storeKey,
    onWarning: guarded(options.onWarning),
  })
  const { fetch, resolveTxt, clock } = options
  const userAgent = `atproto-oauth/${packageVersion()}`
  const runtime: Runtime = {
    ...base,
    ...(fetch && httpOver(fetch, { dev, userAgent })),
    ...(resolveTxt && { resolveTxt }),
    ...(clock && { now: () => clock.now() }),
    ...(clock?.sleep && { sleep: (milliseconds, signal) => clock.sleep!(milliseconds, signal) }),
    stores: observed(stores ? delayingSignals(stores) : base.stores, observer),
    ...(choice === undefined && { refreshedHere: REFRESHED_HERE }),
    saving: withTargets(
      base.saving,
      save.filter((target) => typeof target !== 'string'),
    ),
  }
  return runtime
}

/** @throws {OAuthError} `USAGE` */
function checkCombination({ home, stores, vault, save = [] }: OAuthClientOptions, hasVault: boolean): void {
  const fail = (message: string) => {
    throw new OAuthError('USAGE', message)
  }
  if (stores && home !== undefined) fail('stores cannot be used with home')
  if (stores && vault) fail('stores cannot be used with vault')
  if (save.includes('vault') && !hasVault) fail('the save target "vault" cannot be used without a vault')
}

/** As the per-user store does by itself: no signal ends the process before new tokens are stored, and saved to all targets. */
function delayingSignals(stores: Stores): Stores {
  const { sessions } = stores
  const update: typeof sessions.update = (thumbprint, transaction) =>
    sessions.update(thumbprint, (given) => holdSignals(async () => transaction(given)))
  return { ...stores, sessions: overriding(sessions, { update }) }
}

/** A warning may come in the middle of a refresh, which an error of the program must not end. */
function guarded(onWarning: OAuthClientOptions['onWarning']): OAuthClientOptions['onWarning'] {
  if (onWarning === undefined) return undefined
  const report = async (message: string): Promise<unknown> => onWarning(message)
  return (message) => void report(message).catch(() => undefined)
}

function withTargets(saving: Saving, own: readonly SaveTarget[]): Saving {
  if (own.length === 0) return saving
  return {
    ...saving,
    targets: [...saving.targets, ...own],
    open: (name) => own.find((target) => target.name === name) ?? saving.open(name),
  }
}

function vaultOf(
  { home, vault }: OAuthClientOptions,
  environment: Environment | undefined,
  runtime: () => Runtime,
): VaultChoice | undefined {
  const folder = home === undefined ? userFolders()?.data : resolve(expandTilde(home))
  const isNamed = environment !== undefined && variable(environment, VAULT) !== undefined
  const given = vault ? { [VAULT]: vault.address, [VAULT_KEY]: vault.key } : {}
  const named = isNamed ? environment : given
  const only = isNamed || Boolean(vault)
  if (!only && (vault === false || folder === undefined || !existsSync(join(folder, 'vault.json')))) return undefined
  return {
    async find() {
      const { vaultSetting } = await import('../node/vault/connect.ts')
      return vaultSetting(named, folder)
    },
    only,
    endSession: (record) => endSession(record, runtime()),
  }
}
