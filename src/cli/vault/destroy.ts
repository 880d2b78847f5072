/**
 * `vault destroy`: deletes the vault, and its key on this machine.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import { isOAuthError, type OAuthError } from '../../errors.ts'
import { isSameAddress, resolveAddress } from '../../node/vault/connect.ts'
import { parseUserKey } from '../../node/vault/envelope.ts'
import { readContents, type VaultContents } from '../../node/vault/inspect.ts'
import { forgetKnownVault, readKnownVaults, switchKnownVault } from '../../node/vault/known.ts'
import { readLeftBehind } from '../../node/vault/move.ts'
import { inheritMemory, vaultFolder } from '../../node/vault/open.ts'
import { toSafeJson } from '../../text.ts'
import { inCi } from '../ci.ts'
import type { Context } from '../context.ts'
import { CliError } from '../errors.ts'
import type { Runner } from '../invocation.ts'
import type { CommonOptions } from '../options.ts'
import { shellQuote } from '../shell.ts'
import { type UsedVault, usedVault } from './setting.ts'
import { accountOf, counted } from './words.ts'

interface DestroyOptions extends CommonOptions {
  readonly abandonSessions?: boolean
  readonly yes?: boolean
}

export function vaultDestroyCommand(runner: Runner): Command {
  return new Command('destroy')
    .description('Delete the vault, and forget its key on this machine')
    .option(
      '--abandon-sessions',
      'Delete it although sessions in it have not ended: their tokens are lost, and stay valid at the server',
    )
    .option('--yes', 'Do not ask')
    .addHelpText('after', NOTES)
    .action(runner.action(runDestroy, 'login'))
}

const NOTES = `
Asks at a terminal, and requires --yes without one. End the sessions first, with \`revoke\`. In a git repository, the
branch of the vault is deleted, and nothing else; its host may keep deleted commits, which are encrypted, for some time.
After a move, only what is left at the old address is deleted, and only if everything has moved.
`

async function runDestroy(options: DestroyOptions, context: Context): Promise<void> {
  const { io, output } = context
  const canAsk = io.stdin.isTTY === true && !inCi(io) && !output.json
  if (!options.yes && !canAsk) throw notAsked()
  const vault = await usedVault(context)
  const found = await find(vault, options)
  const { contents, movedTo } = found
  if (contents && !options.abandonSessions) refuseLiving(contents)
  if (!options.yes && !(await isConfirmed(vault, found, context))) throw notAsked()
  // What this machine has seen and received at the old address, and the key, are for the new one.
  if (movedTo !== undefined) await follow(vault, movedTo, context)
  if (found.isThere) await vault.engine.destroy()
  await forget(vault, io.environment)
  if (output.json) await output.data(`${toSafeJson({ address: vault.address, movedTo })}\n`)
  output.note(said(vault, found))
  if (contents && contents.others > 0) {
    output.warn(
      'the vault had a copy of a client key: sessions of that client need ATPROTO_OAUTH_CLIENT_JWK from now on',
    )
  }
  if (vault.source !== 'environment') return
  if (movedTo !== undefined) output.note(`Set ATPROTO_OAUTH_VAULT to ${movedTo}.`)
  else output.note('Remove ATPROTO_OAUTH_VAULT and ATPROTO_OAUTH_VAULT_KEY too.')
}

interface Found {
  readonly isThere: boolean
  readonly contents?: VaultContents
  /** The vault has moved there, and only that is written here. */
  readonly movedTo?: string
}

async function find(vault: UsedVault, { abandonSessions }: DestroyOptions): Promise<Found> {
  const { engine, key } = vault
  try {
    return { isThere: true, contents: await readContents(engine, key) }
  } catch (error) {
    // A repository that was deleted is reported like one that may not be read.
    if (!isOAuthError(error, 'VAULT_INVALID', 'VAULT_REFUSED')) throw error
    const { reason } = error.facts
    if (reason === 'vault-moved') {
      const movedTo = error.facts.address
      if (!abandonSessions) await refuseLeftBehind(vault, movedTo)
      return { isThere: true, movedTo }
    }
    if (reason === 'vault-move-unfinished' && abandonSessions) return { isThere: true }
    if (reason !== 'vault-not-found' && reason !== 'vault-read-denied') throw error
    // A restored branch can be opened only with the key.
    if (!abandonSessions)
      throw new CliError(error.code, `${error.message}; its key was not deleted`, { cause: error, hint: IF_GONE })
    return { isThere: false }
  }
}

/** What was stored at the old address after the last look of `vault move`, and what it could not read. */
async function refuseLeftBehind({ address, engine, key }: UsedVault, movedTo: string): Promise<void> {
  const { pending, unreadable } = await readLeftBehind(engine, parseUserKey(key))
  if (pending.length > 0) {
    const one = pending.length === 1
    const move = `ATPROTO_OAUTH_VAULT=${shellQuote(address)} atproto-oauth vault move ${shellQuote(movedTo)}`
    throw new CliError(
      'USAGE',
      `${counted(pending.length, 'record')} at ${address} ${one ? 'has' : 'have'} not moved to ${movedTo} yet`,
      { session: 'alive', hint: `move ${one ? 'it' : 'them'}: ${move}` },
    )
  }
  if (unreadable.length > 0) {
    throw new CliError(
      'USAGE',
      `${counted(unreadable.length, 'record')} at ${address} could not be moved because ${unreadable.length === 1 ? 'it' : 'they'} cannot be read, and may hold a session`,
      { hint: 'to delete what is left there anyway, add --abandon-sessions' },
    )
  }
}

const IF_GONE = 'if it is gone for good, delete its key on this machine with --abandon-sessions'

function refuseLiving({ sessions, unreadable }: VaultContents): void {
  const living = sessions.filter(({ record }) => record.session.ended === undefined)
  const [first] = living
  if (first !== undefined) {
    const names = living.map(accountOf).join(', ')
    throw new CliError(
      'USAGE',
      `${counted(living.length, 'session')} in the vault ${living.length === 1 ? 'has' : 'have'} not ended: ${names}`,
      {
        session: 'alive',
        hint: `end ${living.length === 1 ? 'it' : 'them'} first, as in: atproto-oauth revoke --account ${shellQuote(accountOf(first))}`,
      },
    )
  }
  if (unreadable.length > 0) {
    throw new CliError(
      'USAGE',
      `${counted(unreadable.length, 'record')} of the vault cannot be read, and may hold a session`,
      {
        hint: 'find the cause with: atproto-oauth vault check',
      },
    )
  }
}

async function isConfirmed(
  { address }: UsedVault,
  { contents, movedTo }: Found,
  { io: { stdin, stderr } }: Context,
): Promise<boolean> {
  const { confirm } = await import('@inquirer/prompts')
  const living = contents?.sessions.filter(({ record }) => record.session.ended === undefined).length ?? 0
  const parts = [
    ...(living > 0 ? [`${counted(living, 'session')} that ${living === 1 ? 'has' : 'have'} not ended`] : []),
    ...(contents && contents.others > 0 ? [counted(contents.others, 'client key')] : []),
  ]
  const loss = parts.length > 0 ? `, with ${parts.join(' and ')}` : ''
  const message =
    movedTo === undefined
      ? `Delete the vault at ${address}${loss}?`
      : `The vault has moved to ${movedTo}. Delete what is left at ${address}?`
  return confirm({ message, default: false }, { input: stdin, output: stderr })
}

async function follow({ address, engine, home, key, memory }: UsedVault, to: string, { io }: Context): Promise<void> {
  const { identity } = await resolveAddress(to, io.environment)
  await inheritMemory({ address: identity }, key, key, memory, engine.address)
  for (const known of (await readKnownVaults(home)).vaults) {
    const isSame = await isSameAddress(known.address, address, io.environment).catch(() => false)
    if (isSame) await switchKnownVault(home, [known.address], { address: to, key })
  }
}

function said({ address }: UsedVault, { isThere, movedTo }: Found): string {
  if (movedTo !== undefined) return `deleted what was left at ${address} of the vault, which is at ${movedTo}`
  if (isThere) return `deleted the vault at ${address}, and its key on this machine`
  return `no vault can be read at ${address}; deleted its key on this machine`
}

function notAsked(): OAuthError {
  return new CliError('USAGE', 'deleting a vault cannot be undone, and was not confirmed', {
    session: 'none',
    hint: 'to delete the vault without being asked, add --yes',
  })
}

async function forget(
  { address, engine, home, key, memory }: UsedVault,
  environment: Context['io']['environment'],
): Promise<void> {
  for (const known of (await readKnownVaults(home)).vaults) {
    const isSame = await isSameAddress(known.address, address, environment).catch(() => false)
    if (isSame) await forgetKnownVault(home, known.address)
  }
  const folder = join(memory, vaultFolder(engine.address, parseUserKey(key)))
  // Nothing in it can be read without the key.
  await rm(folder, { recursive: true, force: true }).catch(() => undefined)
}
