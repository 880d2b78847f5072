/**
 * `vault rekey`: replaces the key of the vault, in two steps.
 */
import { Command } from 'commander'
import type { OAuthError } from '../../errors.ts'
import { VAULT_RECORD } from '../../node/vault/engine.ts'
import { createUserKey, parseUserKey, unwrapKeys } from '../../node/vault/envelope.ts'
import { explainedKeyError } from '../../node/vault/inspect.ts'
import { vaultNotFound } from '../../node/vault/keyring.ts'
import { changeKnownVaults, prepareKnownVaults, readKnownVaults } from '../../node/vault/known.ts'
import { inheritMemory } from '../../node/vault/open.ts'
import { addKey, finishRekey, newestOf } from '../../node/vault/rekey.ts'
import { toSafeJson } from '../../text.ts'
import type { Context } from '../context.ts'
import { CliError } from '../errors.ts'
import type { Runner } from '../invocation.ts'
import { programName } from '../io.ts'
import { carriedFlags } from '../options.ts'
import { addKeyOutputOptions, type KeyOutputOptions, keyOutputFor } from './key-output.ts'
import { storeOf, type UsedVault, usedVault, warnOfVariable } from './setting.ts'
import { counted } from './words.ts'

interface RekeyOptions extends KeyOutputOptions {
  readonly finish?: boolean
}

export function vaultRekeyCommand(runner: Runner): Command {
  const command = new Command('rekey')
    .description('Replace the key of the vault')
    .option('--finish', 'Encrypt all records with a new key, and remove the old one')
  return addKeyOutputOptions(command, 'address and new key')
    .addHelpText('after', NOTES)
    .action(runner.action(runRekey, 'login'))
}

const NOTES = `
Without --finish, a new key is added: both keys open the vault, so that the new one can be given to all machines and
jobs. With --finish, only the new key opens it. If either step is interrupted, run it again.

Whoever had the old key may have copied the tokens. If it was stolen, finish at once, then end the sessions with
\`revoke\` and sign in again.

Examples:
  atproto-oauth vault rekey --save gh:alice/bot
  atproto-oauth vault key | ssh server atproto-oauth vault use git:https://github.com/alice/bot
  atproto-oauth vault rekey --finish
`

async function runRekey(options: RekeyOptions, context: Context): Promise<void> {
  const vault = await usedVault(context)
  if (options.finish) await finish(vault, options, context)
  else await begin(vault, options, context)
}

interface Candidates {
  /** The `vault` record. */
  readonly text: string
  /** The newest key that opens it, of all that this user has for it here. */
  readonly found: { readonly key: string; readonly isNewest: boolean; readonly isShared: boolean }
}

async function candidates({ address, engine, home, key, memory }: UsedVault): Promise<Candidates> {
  const known = (await readKnownVaults(home)).vaults.filter((vault) => vault.address === address)
  const text = await engine.read(VAULT_RECORD)
  if (text === undefined) throw vaultNotFound(engine.address)
  const found = newestOf(text, [key, ...known.map((vault) => vault.key)], parseUserKey)
  // Says what is wrong with it.
  await unwrapKeys(text, parseUserKey(found?.key ?? key), engine.address).catch(async (error: unknown) => {
    throw await explainedKeyError(error, text, engine, key, memory)
  })
  return { text, found: found! }
}

async function begin(vault: UsedVault, options: RekeyOptions, context: Context): Promise<void> {
  const { io, output, runtime } = context
  const { address, login, engine, home } = vault
  const keyOutput = await keyOutputFor(options, context)
  const { targets } = keyOutput

  await prepareKnownVaults(home)
  const { text, found } = await candidates(vault)
  await keyOutput.refuseTaken(address)
  const unused = (await readKnownVaults(home)).vaults.find((one) => one.address === address && one.unconfirmed)?.key
  // An earlier run of this command has added it.
  const isAdded = found.isShared && found.isNewest
  const key = isAdded ? found.key : (unused ?? createUserKey(runtime))
  if (!isAdded) {
    await changeKnownVaults(home, ({ current, vaults }) => ({
      current,
      vaults: [
        ...vaults.filter((one) => one.address !== address || !one.unconfirmed),
        { address, key, login, unconfirmed: true },
      ],
    }))
    const userKeys = { userKey: parseUserKey(found.key), newKey: parseUserKey(key) }
    if (!(await addKey(engine, text, userKeys, runtime))) throw changed()
  }
  await keepKey(vault, key, found.key)
  await keyOutput.save({ address, login, key })
  await keyOutput.print({ address, key })
  await warnOfVariable(address, context)
  const [program, flags] = [programName(io), carriedFlags(context.common)]
  output.note(
    [
      `added a new key to the vault at ${address}`,
      ...(targets.length > 0 ? [`saved address and key to ${targets.map(({ name }) => name).join(' and ')}`] : []),
      'The new key is kept on this machine. Both keys open the vault until the change is finished.',
      '',
      'To print the new key, for all machines and jobs:',
      `  ${program} vault key${flags}`,
      'When they have it:',
      `  ${program} vault rekey --finish${flags}`,
    ].join('\n'),
  )
}

/** Uses the new key here from now on, with what was seen and received with those before it. */
async function keepKey({ address, login, engine, home, key: used, memory }: UsedVault, key: string, older?: string) {
  const known = (await readKnownVaults(home)).vaults.filter((one) => one.address === address)
  for (const other of new Set([used, older ?? used, ...known.map((one) => one.key)])) {
    if (other !== key) await inheritMemory(engine, other, key, memory)
  }
  await changeKnownVaults(home, ({ current, vaults }) => ({
    current,
    vaults: [...vaults.filter((one) => one.address !== address), { address, key, login }],
  }))
}

async function finish(vault: UsedVault, options: RekeyOptions, context: Context): Promise<void> {
  const { output, runtime } = context
  if (options.format !== undefined || options.save !== undefined) {
    throw new CliError('USAGE', '--finish cannot be used with --format or --save', {
      session: 'none',
      hint: 'the new key is printed by: atproto-oauth vault key',
    })
  }
  const { address, engine, home, memory } = vault
  const { key, isNewest } = (await candidates(vault)).found
  const { vaults } = await readKnownVaults(home)
  // The run that added it was interrupted before it knew so.
  if (isNewest && vaults.some((one) => one.key === key && one.unconfirmed)) await keepKey(vault, key)
  const store = await storeOf({ engine, key, memory }, context)
  const done = await output.progress.during(
    () => `encrypting the records of the vault at ${address}`,
    () => finishRekey(store, parseUserKey(key), runtime),
  )
  const { encrypted = 0, unreadable = [] } = done ?? {}
  if (output.json) await output.data(`${toSafeJson({ address, encrypted, unreadable })}\n`)
  if (done === undefined) {
    output.note('nothing to finish: the vault has one key')
    return
  }
  output.note(`encrypted ${counted(encrypted, 'record')} with a new key; the old key no longer opens the vault`)
  if (unreadable.length > 0) {
    output.warn(`${counted(unreadable.length, 'record')} could not be read before: ${unreadable.join(', ')}`)
  }
  output.note(
    'If the old key was stolen, end the sessions with `revoke` too, and sign in again: it has opened their tokens.',
  )
  await warnOfVariable(address, context)
}

function changed(): OAuthError {
  return new CliError('VAULT_INVALID', 'another machine has just changed the keys of the vault; nothing was changed', {
    hint: 'run the same command again',
  })
}
