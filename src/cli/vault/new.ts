/**
 * `vault new`: makes a vault and its key, keeps both on this machine, and prints or saves them for others.
 */
import { Command } from 'commander'
import { type Environment, VAULT_KEY, VAULT_TOKEN, variable } from '../../credentials/variables.ts'
import { OAuthError } from '../../errors.ts'
import { normalizeAddress, vaultFolders, withoutLogin } from '../../node/vault/connect.ts'
import { VAULT_RECORD, type VaultEngine } from '../../node/vault/engine.ts'
import { createUserKey, parseUserKey } from '../../node/vault/envelope.ts'
import { lostVault } from '../../node/vault/inspect.ts'
import { changeKnownVaults, prepareKnownVaults, writeKnownVault } from '../../node/vault/known.ts'
import { makeVault, opens, removeForeignRecords } from '../../node/vault/make.ts'
import { assertHere } from '../../node/vault/moved.ts'
import type { SaveTarget } from '../../ports.ts'
import type { Context } from '../context.ts'
import { CliError } from '../errors.ts'
import type { Runner } from '../invocation.ts'
import { programName } from '../io.ts'
import { carriedFlags } from '../options.ts'
import { shellQuote } from '../shell.ts'
import { addKeyOutputOptions, type KeyOutput, type KeyOutputOptions, keyOutputFor } from './key-output.ts'
import { assertUsable, connect, requireHome, warnOfVariable } from './setting.ts'

interface NewOptions extends KeyOutputOptions {
  readonly replace?: boolean
}

export function vaultNewCommand(runner: Runner): Command {
  const command = new Command('new')
    .description('Create a vault and its key, and use it on this machine')
    .argument(
      '<address>',
      'Where to create it: git:URL[#BRANCH], git:. for the repository of this folder, or redis://HOST',
    )
    .option('--replace', 'Replace a vault whose key is lost, or that is gone; the sessions in it are lost too')
  return addKeyOutputOptions(command, 'address and key')
    .addHelpText('after', EXAMPLES)
    .action(runner.action(runNew, 'login'))
}

const EXAMPLES = `
Examples:
  atproto-oauth vault new git:https://github.com/alice/bot
  atproto-oauth vault new git:. --save gh:alice/bot      # for GitHub Actions: two secrets, which never change
  atproto-oauth vault new rediss://redis.example.com     # the password is read from ATPROTO_OAUTH_VAULT_TOKEN

Sessions in the vault are encrypted with the key. Keep a second copy of it: if the key is lost, so are the sessions.
A vault in a git repository is a branch of its own, named atproto-oauth by default. Machines that use it need the key, and permission to push.
A vault on Redis or Valkey is one key, named atproto-oauth:vault by default; ?prefix= changes what is before "vault".
User and password in an address are kept on this machine and in save targets, and never printed.
If stdout is a terminal, only the address is printed: print the key with \`vault key\`.
`

async function runNew(given: string, options: NewOptions, context: Context): Promise<void> {
  const { io, output } = context
  const home = requireHome(context)
  const address = await normalizeAddress(given, io.environment)
  const keyOutput = await keyOutputFor(options, context)
  const { targets } = keyOutput
  const { login } = await withoutLogin(given)
  const engine = await connect(address, context, login)

  const place = { address, login, engine, home, keyOutput }
  const { key, isReplaced } = await output.progress.during(
    () => `creating a vault at ${address}`,
    () => make(place, options, context),
  )
  await keyOutput.print({ address, key })
  if (isReplaced) {
    output.warn(
      'the sessions in the vault that was replaced are lost; on their servers they stay valid until they expire',
    )
  }
  await warnOfVariable(address, context)
  output.note(summary(address, targets, context))
  if (login !== undefined && targets.length === 0) {
    output.note(`The address is printed without user and password. Elsewhere, add them to it, or set ${VAULT_TOKEN}.`)
  }
}

interface Place {
  readonly address: string
  readonly login: string | undefined
  readonly engine: VaultEngine
  readonly home: string
  readonly keyOutput: KeyOutput
}

interface Made {
  readonly key: string
  readonly isReplaced: boolean
}

async function make(place: Place, { replace = false }: NewOptions, { io, runtime }: Context): Promise<Made> {
  const { address, login, engine, home, keyOutput } = place
  const { targets } = keyOutput
  const known = (await prepareKnownVaults(home)).vaults.filter((vault) => vault.address === address)
  const records = await engine.list()
  const before = records.get(VAULT_RECORD)
  const opening = before === undefined ? undefined : await keyThatOpens(before, known, engine)
  // An earlier run was interrupted after it had made the vault.
  const isUnfinished = opening?.unconfirmed === true
  if (!isUnfinished) refuseExisting(place, records, { replace, isKeyKnown: opening !== undefined })
  if (records.size === 0 && !replace) {
    for (const key of [...known.map((vault) => vault.key), ...givenKey(io.environment)]) {
      const lost = await lostVault(engine, key, vaultFolders(home).memory)
      if (lost !== undefined) throw lost
    }
  }
  await keyOutput.refuseTaken(address)

  const key = known.find(({ unconfirmed }) => unconfirmed)?.key ?? createUserKey(runtime)
  const userKey = parseUserKey(key)
  // Before anything else: a vault whose key nobody has is of no use.
  await changeKnownVaults(home, ({ current, vaults }) => ({
    current,
    vaults: [
      ...vaults.filter((vault) => vault.address !== address || !vault.unconfirmed),
      { address, key, login, unconfirmed: true },
    ],
  }))
  try {
    // Before the targets get a key.
    if (targets.length > 0) await assertUsable(engine)
    await keyOutput.save({ address, login, key })
    const keys = isUnfinished
      ? await opens(before!, userKey, engine.address)
      : await makeVault(engine, userKey, before, runtime)
    if (keys === undefined) throw exists(address)
    if (records.size > 0) await removeForeignRecords(engine, keys)
  } catch (error) {
    // The key may be in use if the vault may have been made, and is in the targets if it was saved.
    const isUnused = targets.length === 0 && error instanceof OAuthError && error.session !== 'unknown'
    if (isUnused && !isUnfinished) await forgetUnconfirmed(home, address)
    throw error
  }
  await writeKnownVault(home, { address, key, login })
  return { key, isReplaced: before !== undefined && !isUnfinished }
}

/** That of the environment, if it has the form of one: the vault may have been used with it. */
function givenKey(environment: Environment): string[] {
  const key = variable(environment, VAULT_KEY)
  if (key === undefined) return []
  try {
    parseUserKey(key)
    return [key]
  } catch {
    return []
  }
}

async function keyThatOpens<T extends { readonly key: string }>(
  text: string,
  known: readonly T[],
  { address }: VaultEngine,
): Promise<T | undefined> {
  for (const vault of known) {
    const keys = await opens(text, parseUserKey(vault.key), address)
    if (keys === undefined) continue
    assertHere(keys)
    return vault
  }
  return undefined
}

function refuseExisting(
  { address }: Place,
  records: ReadonlyMap<string, string>,
  { replace, isKeyKnown }: { readonly replace: boolean; readonly isKeyKnown: boolean },
): void {
  if (records.size === 0) return
  if (isKeyKnown && replace) {
    throw new CliError('VAULT_INVALID', `the key of the vault at ${address} is not lost: it is kept on this machine`, {
      hint: `to use the vault here: atproto-oauth vault use ${shellQuote(address)}`,
    })
  }
  if (!replace) throw exists(address)
}

function exists(address: string): OAuthError {
  return new OAuthError('VAULT_INVALID', `a vault already exists at ${address}; nothing was changed`, {
    facts: { reason: 'vault-exists', address },
  })
}

async function forgetUnconfirmed(home: string, address: string): Promise<void> {
  await changeKnownVaults(home, ({ current, vaults }) => ({
    current,
    vaults: vaults.filter((vault) => vault.address !== address || !vault.unconfirmed),
  })).catch(() => undefined)
}

function summary(address: string, targets: readonly SaveTarget[], { common, io }: Context): string {
  const program = programName(io)
  const flags = carriedFlags(common)
  const [, repository] = /^git:https:\/\/github\.com\/([\w.-]+\/[\w.-]+)/.exec(address) ?? []
  const isSaved = targets.length > 0
  return [
    `created a vault at ${address}`,
    ...(isSaved ? [`saved address and key to ${targets.map(({ name }) => name).join(' and ')}`] : []),
    'The key is kept on this machine. Keep a second copy, for example in a password manager: if it is lost, so are the sessions.',
    '',
    'To print the key:',
    `  ${program} vault key${flags}`,
    ...(repository && !isSaved
      ? ['For GitHub Actions:', `  ${program} vault key${flags} | gh secret set ${VAULT_KEY} --repo ${repository}`]
      : []),
    'To keep a session in it:',
    `  ${program} login alice.bsky.social --save vault${flags}`,
  ].join('\n')
}
