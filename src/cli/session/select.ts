/**
 * Selects the session for a command: from the vault, the environment or the per-user store.
 */
import { readCredentials } from '../../credentials/read.ts'
import { DID, type Environment, SOURCE, VAULT, VAULT_KEY, variable } from '../../credentials/variables.ts'
import { type ErrorCode, isOAuthError, OAuthError, VAULT_ERRORS } from '../../errors.ts'
import type { Did, PendingRecord, SessionRecord } from '../../model.ts'
import { parseIdentifier } from '../../protocol/identity/syntax.ts'
import { accountOf } from '../../session/account.ts'
import { isSessionName, namedSession } from '../../session/choice.ts'
import { moveToVault, requireVault } from '../../session/move.ts'
import { openSession, openStoredSession } from '../../session/open.ts'
import type { Session } from '../../session/session.ts'
import { endedError } from '../../session/token-family.ts'
import { checkSetting } from '../config/check.ts'
import type { Context } from '../context.ts'
import { CliError, hintOf } from '../errors.ts'
import { type Found, fromEnvironment, givenIn, holdsSession, SETTINGS } from '../options.ts'
import { initCommandLine, shellQuote } from '../shell.ts'

/**
 * A vault that is set in the environment comes first, then credentials there. `--account` means a stored session, whatever
 * the environment holds; its variable and the user's settings choose among stored sessions only.
 *
 * @param account that of the flag
 * @param mayRefresh whether the command may refresh the session, and so save it
 */
export async function sessionFor(account: string | undefined, context: Context, mayRefresh = true): Promise<Session> {
  const { io, output, runtime } = context
  const isGiven = account === undefined && variable(io.environment, VAULT) === undefined
  const credentials = isGiven ? await context.given() : undefined
  if (credentials) await refuseOtherAccount(credentials, context)
  else chosenAccount(account, context) // an invalid setting is no error of a session
  output.sessionInvolved()
  const session = await (credentials ? openSession(credentials, runtime) : openStored(account, context))
  if (credentials && mayRefresh) refuseRevoked(session, context)
  if (mayRefresh) refuseTargets(session, runtime)
  return finishMove(session, runtime)
}

/**
 * The account to choose among stored sessions, with where it comes from.
 *
 * @param flag that of the flag
 * @throws {OAuthError} `USAGE`
 */
export function chosenAccount(
  flag: string | undefined,
  { io, config, dev }: Pick<Context, 'io' | 'config' | 'dev'>,
): Found<string> | undefined {
  if (flag !== undefined) return { value: flag, source: 'flag', name: SETTINGS.account.flag }
  const found = SETTINGS.account.find({}, io.environment, config)
  if (found?.source === 'config') checkSetting('account', found, dev)
  return found
}

/** Variables that contradict each other: whoever names an account must not act as another one. */
async function refuseOtherAccount({ did }: Pick<SessionRecord, 'did'>, context: Context): Promise<void> {
  const chosen = SETTINGS.account.find({}, context.io.environment)
  const other = chosen && (await accountNamed(chosen, context))
  if (chosen === undefined || other === undefined || other === did) return
  const { variable: name } = SETTINGS.account
  const { variables } = givenIn(context.io.environment, undefined)
  const whose = variables === SOURCE ? `credentials of ${SOURCE}` : 'credentials in the environment'
  throw new CliError('USAGE', `${name} is ${chosen.value}, but the ${whose} are of ${did}`, {
    hint: `unset ${name}, or use a stored session: --account ${shellQuote(chosen.value)}`,
  })
}

/** @returns `undefined` for a name that no session here has */
async function accountNamed(chosen: Found<string>, { runtime, dev }: Context): Promise<Did | undefined> {
  const stored = await runtime.stores.sessions.list().catch(() => [])
  const named = namedSession(chosen.value, stored)
  if (named !== undefined || isSessionName(chosen.value)) return named?.did
  checkSetting('account', chosen, dev)
  const identifier = parseIdentifier(chosen.value, dev)
  if (identifier.kind === 'did') return identifier.did
  if (identifier.kind !== 'handle') return undefined
  try {
    return await accountOf(identifier.handle, stored, runtime)
  } catch (error) {
    if (!isOAuthError(error)) throw error
    throw error.with({ message: `${error.message} (${SETTINGS.account.variable})` })
  }
}

/** The session of a program has ended: no variable can be unset but that of the program. */
function refuseRevoked(session: Session, { io, runtime }: Context): void {
  const record = session.record()
  const { variables } = givenIn(io.environment, record.bundled)
  if (!record.ended?.revoked || variables !== SOURCE) return
  const { code, message, facts, session: state } = endedError(record, runtime.now())
  const hint = `unset ${SOURCE}; if no other session is stored here, sign in again: ${initCommandLine(facts)}`
  throw new CliError(code, message, { hint, session: state })
}

function refuseTargets(session: Session, { saving, stores }: Context['runtime']): void {
  if (saving.targets.length === 0 || !stores.sessions.isSharedSession?.(session.record().thumbprint)) return
  const message = 'the session is in a vault, which has the only copy: it cannot be saved elsewhere'
  throw new OAuthError('USAGE', message, { facts: { reason: 'vault-only' } })
}

/** With the sessions of the per-user store only. */
export function besideVault(runtime: Context['runtime']): Context['runtime'] {
  const { sessions, local = sessions } = runtime.stores
  return { ...runtime, stores: { ...runtime.stores, sessions: local } }
}

/** The session of the environment or the per-user store, whatever a vault has; `undefined` if there is none to use. */
export async function localSessionFor(account: string | undefined, context: Context): Promise<Session | undefined> {
  const { output, runtime } = context
  const beside = besideVault(runtime)
  const credentials = account === undefined ? await context.given() : undefined
  if (credentials) await refuseOtherAccount(credentials, context)
  const chosen = credentials ? undefined : chosenAccount(account, context)
  output.sessionInvolved()
  try {
    const session = await (credentials ? openSession(credentials, beside) : openStoredSession(chosen?.value, beside))
    return session.record().ended ? undefined : session
  } catch (error) {
    if (isOAuthError(error, 'SESSION_MISSING')) return undefined
    throw error
  }
}

/** An earlier run may have been killed while it moved the session into the vault. */
async function finishMove(session: Session, runtime: Context['runtime']): Promise<Session> {
  const record = session.record()
  if (
    record.movingTo === undefined ||
    record.movingTo !== (await runtime.stores.vault?.place?.().catch(() => undefined))
  )
    return session
  await moveToVault(record, runtime)
  return sessionInVault(record, runtime)
}

/** The session of an account in the vault. */
export function sessionInVault({ did }: Pick<SessionRecord, 'did'>, runtime: Context['runtime']): Promise<Session> {
  return openStoredSession(did, { ...runtime, stores: { ...runtime.stores, sessions: requireVault(runtime) } })
}

/** The session of the per-user store, whatever the environment holds. */
export function storedSessionFor(account: string | undefined, context: Context): Promise<Session> {
  context.output.sessionInvolved()
  return openStored(account, context)
}

async function openStored(flag: string | undefined, context: Context): Promise<Session> {
  const chosen = chosenAccount(flag, context)
  try {
    return await openAccount(chosen?.value, context)
  } catch (error) {
    if (chosen?.source === 'flag' && isOAuthError(error, 'SESSION_MISSING')) throw givenInstead(error, context)
    // An account that was not typed: where it comes from is half of the explanation.
    if (chosen === undefined || chosen.source === 'flag' || !isOAuthError(error, ...OF_ACCOUNT)) throw error
    const name = chosen.source === 'variable' ? SETTINGS.account.variable : chosen.name
    const message = `${error.message} (${name})`
    const other = isOAuthError(error, 'SESSION_MISSING') ? await otherAccount(context) : undefined
    if (other === undefined) throw error.with({ message })
    const hint =
      chosen.source === 'variable'
        ? `unset ${name}, or set it to another account, as in: ${name}=${shellQuote(other)}`
        : `choose another account: atproto-oauth accounts use ${shellQuote(other)}`
    throw new CliError(error.code, message, { cause: error, hint })
  }
}

/** Nothing is stored of the account, but its credentials are given: to sign in again would be one session too many. */
function givenInstead(error: OAuthError, { io, dev }: Context): OAuthError {
  if (!fromEnvironment(undefined, io.environment)) return error
  const did = didOfVariables(io.environment, dev)
  if (did === undefined || did !== error.facts.did) return error
  const message = `${error.message}; the credentials in the environment are of this account`
  return new CliError(error.code, message, { cause: error, hint: 'omit --account to use them' })
}

/** A program that prints credentials is not run for a hint. */
function didOfVariables(environment: Environment, dev: boolean): Did | undefined {
  try {
    return readCredentials(environment, dev)?.did
  } catch {
    return undefined
  }
}

/** An account with a session that can be used. */
async function otherAccount({ runtime }: Context): Promise<string | undefined> {
  const records = await runtime.stores.sessions.list().catch(() => [])
  const usable = records.filter(({ ended }) => !ended)
  const { handle, did } = usable.find((record) => record.handle !== undefined) ?? usable[0] ?? {}
  return handle ?? did
}

/** Errors of the choice of an account. */
const OF_ACCOUNT: readonly ErrorCode[] = [
  'SESSION_MISSING',
  'IDENTIFIER_INVALID',
  'DID_METHOD_UNSUPPORTED',
  'HANDLE_NOT_FOUND',
  'HANDLE_AMBIGUOUS',
  'HANDLE_LOOKUP_FAILED',
]

async function openAccount(account: string | undefined, context: Context): Promise<Session> {
  const { io, runtime } = context
  try {
    return await openStoredSession(account, runtime)
  } catch (error) {
    // It was not found yet: nothing is known about it.
    if (isOAuthError(error, 'STORE_LOCKED', ...VAULT_ERRORS)) throw error.with({ session: 'none' })
    if (account === undefined && isHiddenByVault(error, io)) {
      const hint = 'move the session of the variables into the vault: atproto-oauth refresh --save vault'
      throw new CliError(error.code, error.message, { cause: error, hint })
    }
    if (isOAuthError(error, 'SESSION_MISSING') && (await isKeyAlone(context))) {
      const hint = `${VAULT_KEY} is set, but no vault is: set ${VAULT} to its address`
      throw new CliError(error.code, error.message, { cause: error, hint })
    }
    // Variables without a token are no session, but may say whose there was.
    const did = account === undefined ? variable(io.environment, DID) : undefined
    const isUnknown = isOAuthError(error, 'SESSION_MISSING') && error.facts.did === undefined
    if (isUnknown && did !== undefined) throw error.with({ facts: { did } })
    throw await afterLogin(await misnamed(error, account, runtime), context)
  }
}

/** A vault in the environment comes before the session there. */
function isHiddenByVault(error: unknown, { environment }: Context['io']): error is OAuthError {
  const isHidden = variable(environment, VAULT) !== undefined && holdsSession(environment)
  return isHidden && isOAuthError(error, 'SESSION_MISSING')
}

/** A job has the key of a vault, and nothing that says where it is. */
async function isKeyAlone({ io, runtime }: Context): Promise<boolean> {
  const isSet = (name: string) => variable(io.environment, name) !== undefined
  if (!isSet(VAULT_KEY) || isSet(VAULT)) return false
  return (await runtime.stores.vault?.place?.().catch(() => undefined)) === undefined
}

/** After a login that is still open, or whose session was saved to a file, the next step is not to sign in again. */
async function afterLogin(error: unknown, { io, runtime }: Context): Promise<unknown> {
  if (!isOAuthError(error, 'SESSION_MISSING') || error.facts.clientId !== undefined) return error
  const { did, handle, reason } = error.facts
  if (reason !== undefined) return error
  const logins = (await (runtime.stores.pending.list?.() ?? Promise.resolve([])).catch(() => []))
    .filter((login) => (did === undefined ? handle === undefined || handle === login.handle : did === login.did))
    .sort((one, other) => startOf(other) - startOf(one))
  const open = logins.find((login) => login.status === 'pending' && login.expiresAt > runtime.now())
  if (open !== undefined) {
    const whose = open.handle ?? open.did
    const what = whose === undefined ? 'the login that was started' : `the login of ${whose}`
    return new CliError(error.code, error.message, { cause: error, hint: `finish ${what}: atproto-oauth complete` })
  }
  const [last] = logins
  const file = last?.status === 'spent' ? last.savedTo?.at(-1)?.replace(/^file:/, '') : undefined
  if (file === undefined) return error
  const hint =
    io.platform === 'win32'
      ? `set the variables to the values in ${file}, where the last login was saved`
      : `load the session that the last login saved: set -a; . ${shellQuote(file)}; set +a`
  return new CliError(error.code, error.message, { cause: error, hint })
}

function startOf(login: PendingRecord): number {
  return login.status === 'pending' ? login.createdAt : login.at
}

/** Places that still contain the tokens of a session deleted here. */
export function leftIn(account: string | undefined, { savedTo = [] }: SessionRecord, { io }: Context): string[] {
  const { environment } = io
  return [...(fromEnvironment(account, environment) ? [givenIn(environment, undefined).origin] : []), ...savedTo]
}

/** The stored handle with this first label. */
export function handleOf(label: string | undefined, stored: readonly SessionRecord[]): string | undefined {
  return stored.find(({ ended, handle }) => !ended && handle?.split('.')[0] === label)?.handle
}

/** These commands have no account argument, so the usual hint would not work. */
async function misnamed(error: unknown, account: string | undefined, { stores }: Context['runtime']): Promise<unknown> {
  if (!isOAuthError(error, 'IDENTIFIER_INVALID') || error.facts.reason === 'dev-mode-needed') return error
  const meant = error.facts.reason === 'identifier-meant' ? error.facts.identifier : undefined
  const stored = await stores.sessions.list().catch(() => [])
  const [first] = meant?.split('.') ?? []
  // A word alone is the beginning of a handle, most likely of a stored one, or the name of a session.
  const isWord = first !== undefined && account?.replace(/^@/, '').toLowerCase() === first
  const proposed = isWord ? (handleOf(first, stored) ?? (stored.length > 0 ? undefined : meant)) : meant
  const { handle, did } = stored.find((record) => record.handle !== undefined) ?? stored[0] ?? {}
  const hint =
    proposed !== undefined && !proposed.startsWith('https:')
      ? `choose one of the accounts, as in: --account ${shellQuote(proposed)}`
      : hintOf({ code: 'ACCOUNT_UNCLEAR', facts: { handle, did } })
  const isName = account !== undefined && isSessionName(account)
  const message = isName ? `"${account}" is not a handle or a DID, and no session here has this name` : error.message
  return new CliError(error.code, message, { cause: error, hint })
}
