/**
 * `vault new`: makes a vault and its key, keeps both on this machine, and prints or saves them for others.
 */
import { Command, Option } from 'commander'
import { VAULT, VAULT_KEY, VAULT_TOKEN, variable } from '../../credentials/variables.ts'
import { type Entries, TEXT_FORMATS } from '../../credentials/write.ts'
import { OAuthError } from '../../errors.ts'
import { isSameAddress, normalizeAddress, withLogin, withoutLogin } from '../../node/vault/connect.ts'
import { VAULT_RECORD, type VaultEngine } from '../../node/vault/engine.ts'
import { createUserKey, parseUserKey } from '../../node/vault/envelope.ts'
import { changeKnownVaults, readKnownVaults, writeKnownVault } from '../../node/vault/known.ts'
import { makeVault, opens, removeForeignRecords } from '../../node/vault/make.ts'
import type { SaveTarget } from '../../ports.ts'
import { toSafeJson } from '../../text.ts'
import type { Context } from '../context.ts'
import { checkSaveFolders } from '../credentials/deliver.ts'
import { entryPrinter, type Format } from '../credentials/print.ts'
import { CliError } from '../errors.ts'
import { programName } from '../io.ts'
import { carriedFlags, collect, type SavingOptions } from '../options.ts'
import type { Runner } from '../run.ts'
import { shellQuote } from '../shell.ts'
import { connect, requireHome, warnOfVariable } from './setting.ts'

interface NewOptions extends SavingOptions {
  readonly replace?: boolean
  readonly format?: Exclude<Format, 'bundle'>
}

export function vaultNewCommand(runner: Runner): Command {
  const formats = [...TEXT_FORMATS.filter((format) => format !== 'bundle'), 'github']
  return new Command('new')
    .description('Create a vault and its key, and use it on this machine')
    .argument(
      '<address>',
      'Where to create it: git:URL[#BRANCH], git:. for the repository of this folder, or redis://HOST',
    )
    .option('--replace', 'Replace a vault whose key is lost; the sessions in it are lost too')
    .addOption(
      new Option(
        '--format <format>',
        'Print address and key in this format (default without a terminal: dotenv)',
      ).choices(formats),
    )
    .addOption(
      new Option(
        '--save <target>',
        'Save address and key to file:PATH, gh:[OWNER/REPO][@ENVIRONMENT] or exec:COMMAND (repeatable)',
      ).argParser(collect),
    )
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
  const targets = await targetsOf(options, context)
  const isShown = targets.length === 0 && !io.stdout.isTTY
  const format = options.format ?? (isShown && !output.json ? 'dotenv' : undefined)
  const print = format && entryPrinter(format, context)
  const { login } = await withoutLogin(given)
  const engine = await connect(address, context, login)

  const place = { address, login, engine, home, targets }
  const { key, isReplaced } = await output.progress.during(
    () => `creating a vault at ${address}`,
    () => make(place, options, context),
  )
  const entries: Entries = [
    [VAULT, address],
    [VAULT_KEY, key],
  ]
  if (print) await print(entries, [key])
  else if (output.json) {
    const saved = { address, savedTo: targets.map(({ name }) => name) }
    await output.data(`${toSafeJson(isShown ? { ...saved, ...Object.fromEntries(entries) } : saved)}\n`)
  } else await output.data(`${address}\n`)
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

/** Only `--save` counts: the variable is for sessions. */
export async function targetsOf(options: SavingOptions, context: Context): Promise<readonly SaveTarget[]> {
  if (options.save === undefined) return []
  if (options.save.some((name) => ['store', 'vault'].includes(name))) {
    throw new CliError('USAGE', 'address and key are kept on this machine without --save', {
      session: 'none',
      hint: 'use --save with file:PATH, gh:OWNER/REPO or exec:COMMAND',
    })
  }
  await checkSaveFolders(context)
  return context.runtime.saving.targets
}

interface Place {
  readonly address: string
  readonly login: string | undefined
  readonly engine: VaultEngine
  readonly home: string
  readonly targets: readonly SaveTarget[]
}

interface Made {
  readonly key: string
  readonly isReplaced: boolean
}

async function make(place: Place, { replace = false }: NewOptions, { io, runtime }: Context): Promise<Made> {
  const { address, login, engine, home, targets } = place
  const records = await engine.list()
  const before = records.get(VAULT_RECORD)
  const known = (await readKnownVaults(home)).vaults.filter((vault) => vault.address === address)
  const opening = before === undefined ? undefined : await keyThatOpens(before, known, engine)
  // An earlier run was interrupted after it had made the vault.
  const isUnfinished = opening?.unconfirmed === true
  if (!isUnfinished) refuseExisting(place, records, { replace, isKeyKnown: opening !== undefined })
  await refuseTaken(targets, address, io.environment)

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
    if (targets.length > 0) await assertUsable(engine)
    for (const target of targets) {
      await target.save([
        [VAULT, withLogin({ address, login })],
        [VAULT_KEY, key],
      ])
    }
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

async function keyThatOpens<T extends { readonly key: string }>(
  text: string,
  known: readonly T[],
  { address }: VaultEngine,
): Promise<T | undefined> {
  for (const vault of known) {
    if ((await opens(text, parseUserKey(vault.key), address)) !== undefined) return vault
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

/** A file may hold the only copy of another vault's key. */
export async function refuseTaken(
  targets: readonly SaveTarget[],
  address: string,
  environment: Context['io']['environment'],
): Promise<void> {
  for (const { name, read } of targets) {
    const there = (await read?.()) ?? {}
    const other = variable(there, VAULT)
    if (variable(there, VAULT_KEY) === undefined) continue
    // By an earlier run of this command, or of the vault that is replaced.
    if (other !== undefined && (await isSameAddress(other, address, environment).catch(() => false))) continue
    throw new CliError('SAVE_FAILED', `${name} already holds the key of a vault`, {
      session: 'none',
      hint: 'choose another save target, or move the existing one away',
    })
  }
}

/** What can be known before the targets get a key. */
async function assertUsable(engine: VaultEngine): Promise<void> {
  const broken = (await engine.describe()).find(({ verdict }) => verdict === 'broken')
  if (broken === undefined) return
  throw broken.fix instanceof OAuthError ? broken.fix : new OAuthError('VAULT_REFUSED', broken.detail)
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
