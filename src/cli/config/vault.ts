/**
 * The setting `vault`: which of the vaults whose keys are kept here is in use. It is kept with the keys, and nowhere else.
 */
import { OAuthError } from '../../errors.ts'
import { isSameAddress, normalizeAddress } from '../../node/vault/connect.ts'
import { changeKnownVaults, readKnownVaults } from '../../node/vault/known.ts'
import { CliError } from '../errors.ts'
import type { SettingsContext } from '../invocation.ts'
import { shellQuote } from '../shell.ts'
import { requireHome, warnOfVariable } from '../vault/setting.ts'

/** @throws {OAuthError} `USAGE` no key is kept for a vault at this address */
export async function chooseVault(given: string, context: SettingsContext): Promise<void> {
  const { io, output } = context
  const home = requireHome(context)
  const address = await normalizeAddress(given, io.environment)
  let known: string | undefined
  for (const vault of (await readKnownVaults(home)).vaults) {
    if (!vault.unconfirmed && (await isSameAddress(vault.address, address, io.environment))) known = vault.address
  }
  if (known === undefined) {
    throw new CliError('USAGE', `no key is kept on this machine for a vault at ${address}`, {
      hint: `use it with its key: atproto-oauth vault use ${shellQuote(address)}`,
    })
  }
  await changeKnownVaults(home, ({ vaults }) => {
    if (vaults.some((vault) => vault.address === known)) return { current: known, vaults }
    throw new OAuthError('USAGE', `the vault at ${known} was removed meanwhile`)
  })
  output.note(`the vault at ${known} is used`)
  await warnOfVariable(known, context)
}

/** @returns whether one was in use */
export async function leaveVault(context: SettingsContext): Promise<boolean> {
  const home = requireHome(context)
  const { current } = await readKnownVaults(home)
  if (current === undefined) return false
  await changeKnownVaults(home, ({ vaults }) => ({ current: undefined, vaults }))
  context.output.note(`the vault at ${current} is no longer used; its key is kept`)
  return true
}
