/**
 * Every session that commands could use: of the environment or its program, of the per-user store and of a vault.
 */
import { SOURCE, VAULT, variable } from '../../credentials/variables.ts'
import { isOAuthError } from '../../errors.ts'
import type { Did, Handle, SessionRecord } from '../../model.ts'
import { currentHandles, type ListedHandle } from '../../session/account.ts'
import { chooseSession, namedSession } from '../../session/choice.ts'
import { openSession } from '../../session/open.ts'
import { type Context, homeOf } from '../context.ts'
import { fromEnvironment, givenIn, SETTINGS } from '../options.ts'
import { chosenAccount } from './select.ts'

/** How many handles are resolved at the same time, and milliseconds after which the rest are shown as they are stored. */
const CONCURRENCY = 16
const LIMIT = 5_000

export interface AtHand {
  /** With the handle as it resolves now, where that could be found out. */
  readonly record: SessionRecord
  /** Whether the handle was resolved now. */
  readonly isCurrent: boolean
  /** Commands use it if no account is named. */
  readonly isDefault: boolean
  readonly kept: 'variables' | 'program' | 'store' | 'vault'
  /** The folder, the address of the vault, or where the credentials were given. */
  readonly place: string
}

/** @param offline whether to show the stored handles */
export async function sessionsAtHand(
  context: Context,
  { offline = false }: { readonly offline?: boolean | undefined } = {},
): Promise<AtHand[]> {
  const { common, io, runtime } = context
  const { sessions, local, vault } = runtime.stores
  const given = await givenRecord(context)
  const found = await sessions.list()
  const shared = new Set(
    found.filter(({ thumbprint }) => sessions.isSharedSession?.(thumbprint)).map(({ thumbprint }) => thumbprint),
  )
  // Without a vault the list is that of the store; the sessions of a vault may hide some of it.
  const isWhole = local === undefined || (found.length > 0 && shared.size === 0)
  const others = isWhole ? [] : await local.list()
  const stored = new Map([...others, ...found].map((record) => [record.thumbprint, record]))
  if (given) stored.delete(given.thumbprint)
  const address = shared.size > 0 ? await vault?.place?.() : undefined
  const isProgram = givenIn(io.environment, false).variables === SOURCE
  const placeOf = (record: SessionRecord): Pick<AtHand, 'kept' | 'place'> => {
    if (record === given && isProgram) return { kept: 'program', place: SOURCE }
    if (record === given) return { kept: 'variables', place: 'environment variables' }
    if (shared.has(record.thumbprint)) return { kept: 'vault', place: address ?? 'the vault' }
    return { kept: 'store', place: homeOf(common, io) ?? 'the per-user store' }
  }
  const records = [...(given ? [given] : []), ...stored.values()]
  const handles: ReadonlyMap<Did, ListedHandle> = offline
    ? new Map()
    : await currentHandles(records, { concurrency: CONCURRENCY, signal: AbortSignal.timeout(LIMIT) }, runtime)
  const listed = records.map((record) => {
    const known = handles.get(record.did)
    const isCurrent = known?.isCurrent === true
    const handle = isCurrent ? known.handle : (record.handle ?? known?.handle)
    return { record: { ...record, handle }, isCurrent, ...placeOf(record) }
  })
  const keys = new Set(found.map(({ thumbprint }) => thumbprint))
  const usable = listed.map(({ record }) => record).filter(({ thumbprint }) => keys.has(thumbprint))
  // Credentials that cannot be used are no reason to use another session: commands fail.
  const isGiven = fromEnvironment(undefined, io.environment)
  const used = given ? ownUnlessOther(given, listed, context) : isGiven ? undefined : defaultOf(usable, context)
  return listed.map((each) => ({ ...each, isDefault: each.record.thumbprint === used })).sort(inOrder)
}

/** Of the credentials that are given to each command, the newest known copy. */
async function givenRecord(context: Context): Promise<SessionRecord | undefined> {
  const { io, output, runtime } = context
  if (variable(io.environment, VAULT) !== undefined) return undefined
  try {
    const credentials = await context.given()
    return credentials && (await openSession(credentials, runtime)).record()
  } catch (error) {
    if (!isOAuthError(error)) throw error
    output.warn(error.message)
    return undefined
  }
}

/** Beside a variable that names another account, commands fail. */
function ownUnlessOther(
  { thumbprint, did }: SessionRecord,
  listed: readonly Pick<AtHand, 'record' | 'isCurrent'>[],
  { io }: Context,
): string | undefined {
  const account = SETTINGS.account.read({}, io.environment)?.replace(/^@/, '')
  const records = listed.map(({ record }) => record)
  const other = records.find(({ handle }) => handle === account?.toLowerCase())
  const meant = account?.startsWith('did:') ? account : (account && namedSession(account, records)?.did) || other?.did
  return meant === undefined || meant === did ? thumbprint : undefined
}

/** @param records with their handles as they resolve now */
function defaultOf(records: readonly SessionRecord[], context: Context): string | undefined {
  const account = chosenAccount(undefined, context)?.value.replace(/^@/, '')
  const named = account === undefined ? undefined : namedSession(account, records)
  const ofAccount = records.find(({ did, handle }) => did === account || handle === account?.toLowerCase())
  if (account !== undefined && named === undefined && ofAccount === undefined) return undefined
  try {
    return (named ?? chooseSession(ofAccount?.did, records))?.thumbprint
  } catch {
    return undefined // there are several, and none is chosen
  }
}

/** By what is shown first, and the newest login of an account before the others. */
function inOrder({ record: one }: AtHand, { record: other }: AtHand): number {
  const order = (one.handle ?? one.did).localeCompare(other.handle ?? other.did, 'en')
  return order || (other.createdAt ?? 0) - (one.createdAt ?? 0) || (one.thumbprint < other.thumbprint ? -1 : 1)
}

export function handleText({ record: { handle }, isCurrent }: AtHand): string | undefined {
  return handle === undefined ? undefined : `${handle satisfies Handle}${isCurrent ? '' : ' (stored)'}`
}
