/** Prints the credentials of a new session, saves them, or both, depending on `--format` and `--save`. */
import { VAULT, variable } from '../../credentials/variables.ts'
import type { Completed } from '../../model.ts'
import { assertFolderOf } from '../../node/given-file.ts'
import { normalizeTarget, STORE, VAULT as VAULT_TARGET } from '../../node/save/targets.ts'
import type { SaveTarget } from '../../ports.ts'
import { isForTargetsOnly } from '../../session/freshness.ts'
import { requireVault } from '../../session/move.ts'
import { saveSession } from '../../session/saving.ts'
import { sanitize } from '../../text.ts'
import type { Context } from '../context.ts'
import { CliError } from '../errors.ts'
import { programName } from '../io.ts'
import { flagsFor, type SavingOptions, SETTINGS } from '../options.ts'
import { canAskWhere, promptDestination } from '../prompts.ts'
import { shellQuote } from '../shell.ts'
import { credentialPrinter, type Format } from './print.ts'

/** Characters; a permission can list many methods, which should all be shown. */
const SCOPE_LONGEST = 4000

export interface DestinationOptions extends SavingOptions {
  readonly format?: Format
}

type ImportedSession = Pick<Completed, 'credentials' | 'handle'>

export interface Destination {
  /** With the chosen save targets. */
  readonly context: Context
  /** @throws {OAuthError} `SAVE_FAILED`: the message says where the credentials are */
  deliver(session: ImportedSession): Promise<void>
  /** The account, its scope, where the credentials are, and the next command. */
  summary(happened: string, session: ImportedSession): string
}

/**
 * Asks at a terminal if no option says where the credentials should go.
 *
 * @throws {OAuthError} `USAGE`
 */
export async function chooseDestination(options: DestinationOptions, given: Context): Promise<Destination> {
  const context = await withAnswer(options, given)
  await checkSaveFolders(context)
  const { io, output, runtime } = context
  const { inStore, inVault, targets } = runtime.saving
  const saves = inStore || inVault || targets.length > 0
  if (inVault && options.format) throw noCopy()
  if (!inVault && variable(io.environment, VAULT) !== undefined) {
    output.warn(`${VAULT} is set: as long as it is, commands use the vault, and not these credentials`)
    output.note('To keep the session in the vault, use --save vault.')
  }
  const format = options.format ?? (saves ? undefined : output.json ? 'json' : 'dotenv')
  const print = format && credentialPrinter(format, context)
  const places = [
    ...(inStore ? ['the per-user store'] : []),
    ...(inVault ? [await vaultName(context)] : []),
    ...targets.map(({ name }) => name),
  ]
  /** Commands to paste, which find the session where it was saved. */
  const nextCommand = ({ handle, credentials }: ImportedSession): string[] => {
    const call = ['atproto-oauth call com.atproto.server.getSession', flagsFor('atproto-oauth call', context.common)]
    const line = (words = '') => `  ${call.join(words).replace(/^atproto-oauth/, programName(io))}`
    if (inStore || inVault) return ['Next:', line(` --account ${shellQuote(handle ?? credentials.did)}`)]
    const isPosix = io.platform !== 'win32'
    const file = targets.find(({ name }) => name.startsWith(FILE))?.name.slice(FILE.length)
    // What a refresh brings goes to the same targets: a target that keeps the old token would soon have a spent one.
    const words = targets.map(({ name }) => ` --save ${shellQuote(name)}`)
    const saving = [...words, ...SETTINGS.noStore.words(options).map((flag) => ` ${flag}`)].join('')
    if (file !== undefined && isPosix) return ['Next:', `  ${sourcing(file)}`, line(saving)]
    if (format === undefined) {
      const isGithub = targets.every(({ name }) => name.startsWith('gh:'))
      const where = isGithub
        ? 'In a workflow with these secrets as variables'
        : 'With the saved credentials as variables'
      return [`${where}, run:`, line(saving)]
    }
    const load = isPosix ? LOADING[format] : undefined
    if (load !== undefined) return [`Next, if you wrote them to ${load.file}:`, `  ${load.command}`, line(saving)]
    const isForShell = format === 'dotenv' || format === 'export'
    return [`With these as variables${isForShell ? IN_POWERSHELL : ''}, run:`, line(saving)]
  }
  return {
    context,
    async deliver(session) {
      const { credentials, handle } = session
      if (saves) await saveSession(credentials, handle, runtime)
      if (print) await print(credentials).catch((error: unknown) => rescue(session, error, context))
    },
    summary(happened, session) {
      const { credentials, handle } = session
      return [
        `${happened} ${handle ?? credentials.did}${handle ? ` (${credentials.did})` : ''}`,
        `scope: ${sanitize(credentials.scope ?? '', SCOPE_LONGEST)}`,
        ...(places.length > 0 ? [`saved to ${places.join(' and ')}`] : []),
        ...(credentials.refreshToken === undefined
          ? ['The server issued no refresh token: the session ends when the access token expires.']
          : format === undefined
            ? []
            : ['Keep the credentials secret and in one place: a refresh token works only once.']),
        '',
        ...nextCommand(session),
      ].join('\n')
    },
  }
}

export function noCopy(): CliError {
  return new CliError('USAGE', '--format cannot be used with --save vault: the vault has the only copy', {
    hint: 'omit --format; an access token for another program is printed by: atproto-oauth lease',
  })
}

/** @throws {OAuthError} `VAULT_INVALID` none is set, and others of a vault: before anything is sent */
async function vaultName({ runtime }: Context): Promise<string> {
  return `the vault at ${await requireVault(runtime).place!()}`
}

const FILE = 'file:'

/**
 * Checked before a login is started, and before the callback URL is asked for.
 *
 * @throws {OAuthError} `STORE_UNAVAILABLE` the directory of a `file:` target does not exist; `VAULT_INVALID` no vault is set
 */
export async function checkSaveFolders(context: Context): Promise<void> {
  const { runtime } = context
  if (runtime.saving.inVault) await vaultName(context)
  for (const { name } of runtime.saving.targets) {
    if (name.startsWith(FILE)) await assertFolderOf(name.slice(FILE.length))
  }
}

const IN_POWERSHELL = ' (in PowerShell, run the output of --format powershell)'

function sourcing(file: string): string {
  return `set -a; . ${shellQuote(file)}; set +a`
}

/** How a shell loads what was printed in a format, under the file name that help and docs use. */
const LOADING: Readonly<Partial<Record<Format, { readonly file: string; readonly command: string }>>> = {
  dotenv: { file: 'session.env', command: sourcing('./session.env') },
  export: { file: 'session.env', command: '. ./session.env' },
  fish: { file: 'session.fish', command: 'source session.fish' },
  powershell: { file: 'session.ps1', command: '. ./session.ps1' },
  bundle: { file: 'session.txt', command: 'export ATPROTO_OAUTH_SESSION="$(cat session.txt)"' },
}

async function withAnswer(options: DestinationOptions, context: Context): Promise<Context> {
  const { io, output, runtime } = context
  const { saving } = runtime
  const isSaid = options.format !== undefined || saving.inStore || saving.inVault || saving.targets.length > 0
  if (isSaid || output.json || !canAskWhere(io)) return context
  const vault = await runtime.stores.vault?.place?.().catch(() => undefined)
  const answer = await promptDestination(vault, io)
  if (answer === undefined) return context
  const name = normalizeTarget(answer)
  const chosen =
    name === STORE
      ? { inStore: true, withoutStore: false }
      : name === VAULT_TARGET
        ? { inVault: true }
        : { targets: [saving.open(name)] }
  return { ...context, runtime: { ...runtime, saving: { ...saving, ...chosen } } }
}

function onlySaved(targets: readonly SaveTarget[], cause: unknown): CliError {
  const why = cause instanceof Error ? cause.message : String(cause)
  const places = targets.map(({ name }) => name).join(' and ')
  return new CliError('SAVE_FAILED', `the credentials could not be printed (${why}); they were saved to ${places}`, {
    cause,
    session: 'alive',
    hint: `use the credentials in ${places}`,
  })
}

/** The session exists on the server: credentials that cannot be printed must not be lost. */
async function rescue({ credentials, handle }: ImportedSession, cause: unknown, { runtime }: Context): Promise<never> {
  const { targets } = runtime.saving
  if (isForTargetsOnly(targets, runtime)) throw onlySaved(targets, cause)
  const { did } = await saveSession(credentials, handle, { ...runtime, saving: { ...runtime.saving, inStore: true } })
  const why = cause instanceof Error ? cause.message : String(cause)
  throw new CliError(
    'SAVE_FAILED',
    `the credentials could not be printed (${why}); they are kept in the per-user store`,
    {
      cause,
      session: 'alive',
      hint: `atproto-oauth call com.atproto.server.getSession --account ${shellQuote(handle ?? did)}`,
    },
  )
}
