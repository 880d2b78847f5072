/**
 * `vault move`: moves the vault to another address.
 */
import { Command } from 'commander'
import { VAULT, VAULT_TOKEN } from '../../credentials/variables.ts'
import { isSameAddress, normalizeAddress, withoutLogin } from '../../node/vault/connect.ts'
import type { VaultEngine } from '../../node/vault/engine.ts'
import { parseUserKey } from '../../node/vault/envelope.ts'
import { readContents } from '../../node/vault/inspect.ts'
import { readKnownVaults, switchKnownVault } from '../../node/vault/known.ts'
import { type Moved, moveVault } from '../../node/vault/move.ts'
import { toSafeJson } from '../../text.ts'
import type { Context } from '../context.ts'
import type { Runner } from '../invocation.ts'
import { programName } from '../io.ts'
import { type CommonOptions, carriedFlags } from '../options.ts'
import { shellQuote } from '../shell.ts'
import { assertUsable, connect, storeOf, type UsedVault, usedVault, warnOfVariable } from './setting.ts'
import { counted } from './words.ts'

export function vaultMoveCommand(runner: Runner): Command {
  return new Command('move')
    .description('Move the vault to another address')
    .argument('<address>', 'New address: git:URL[#BRANCH], git:. or redis://HOST, where there is nothing yet')
    .addHelpText('after', NOTES)
    .action(runner.action(runMove, 'login'))
}

const NOTES = `
Moves all sessions and client keys. The key of the vault stays the same. The old address is closed first: commands that
still use it fail, and name the new one. A refresh that has begun there is waited for, for up to 15 minutes.
If the command is interrupted, run it again. The new address is written to stdout.

On other machines, \`vault use\` switches to the new address, without the key. Where ATPROTO_OAUTH_VAULT is set, set it
to the new address, also as a secret or variable of a CI job. Once no machine uses the old address, delete what is left
there with \`vault destroy\`.

Examples:
  atproto-oauth vault move git:https://github.com/alice/vault
  atproto-oauth vault move rediss://redis.example.com    # the password is read from ATPROTO_OAUTH_VAULT_TOKEN
`

async function runMove(given: string, _: CommonOptions, context: Context): Promise<void> {
  const { io, output } = context
  const to = await normalizeAddress(given, io.environment)
  const vault = await usedVault(context)
  if (await isSameAddress(vault.address, to, io.environment)) {
    await readContents(vault.engine, vault.key)
    await print({ address: to, records: 0, unreadable: [] }, context)
    output.note('nothing to move: the vault is at this address')
    return
  }
  const { login } = await withoutLogin(given)
  const known = (await readKnownVaults(vault.home)).vaults.find(({ address }) => address === to)
  const target = await connect(to, context, login ?? known?.login)
  const { isRepeated, records, unreadable, onward } = await output.progress.during(
    () => `moving the vault from ${vault.address} to ${to}`,
    () => move(vault, { to, target }, context),
  )
  await switchKnownVault(vault.home, await spellings(vault, context), { address: to, key: vault.key, login })
  await print({ address: to, previous: vault.address, records, unreadable, onward }, context)
  if (unreadable.length > 0) {
    const names = unreadable.join(', ')
    output.warn(`${counted(unreadable.length, 'record')} could not be read, and stayed at the old address: ${names}`)
  }
  if (onward !== undefined) {
    const move = `${VAULT}=${shellQuote(to)} ${programName(io)} vault move ${shellQuote(onward)}${carriedFlags(context.common)}`
    output.warn(
      `the vault has moved on from ${to} to ${onward}; to move ${counted(records, 'record')} there too: ${move}`,
    )
  }
  output.note(summary(vault, to, isRepeated, context))
  if (login !== undefined) {
    output.note(`The address is printed without user and password. Elsewhere, add them to it, or set ${VAULT_TOKEN}.`)
  }
  await warnOfVariable(to, context)
}

interface Target {
  /** In a spelling to connect with. */
  readonly to: string
  readonly target: VaultEngine
}

async function move(vault: UsedVault, { to, target }: Target, context: Context): Promise<Moved> {
  const { io, runtime } = context
  await assertUsable(target)
  const store = await storeOf(vault, context, { isMoving: true })
  const isTo = (address: string) => isSameAddress(address, to, io.environment).catch(() => false)
  const options = { from: vault.address, to, isTo, userKey: parseUserKey(vault.key) }
  return moveVault(store, target, options, runtime)
}

/** How this machine may have written the address down. */
async function spellings({ address, home }: UsedVault, { io }: Context): Promise<string[]> {
  const found = [address]
  for (const known of (await readKnownVaults(home)).vaults) {
    if (await isSameAddress(known.address, address, io.environment).catch(() => false)) found.push(known.address)
  }
  return found
}

interface Result extends Omit<Moved, 'isRepeated' | 'onward'> {
  readonly address: string
  readonly previous?: string
  readonly onward?: string | undefined
}

async function print(result: Result, { output }: Context): Promise<void> {
  await output.data(output.json ? `${toSafeJson(result)}\n` : `${result.address}\n`)
}

function summary({ address }: UsedVault, to: string, isRepeated: boolean, { common, io }: Context): string {
  const [program, flags] = [programName(io), carriedFlags(common)]
  return [
    isRepeated ? `the vault has moved from ${address} to ${to} before` : `moved the vault from ${address} to ${to}`,
    'Its key is the same. Commands that still use the old address fail, and name the new one.',
    '',
    'On every other machine that uses it:',
    `  ${program} vault use ${shellQuote(to)}`,
    `Where ${VAULT} is set, as for CI jobs, set it to:`,
    `  ${to}`,
    'Once nothing uses the old address, delete what is left there:',
    `  ${VAULT}=${shellQuote(address)} ${program} vault destroy${flags}`,
  ].join('\n')
}
