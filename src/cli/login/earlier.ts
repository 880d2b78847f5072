/**
 * Tells of earlier sessions of the account that signs in, and revokes them with `--replace`.
 */
import { Option } from 'commander'
import { readCredentials } from '../../credentials/read.ts'
import { secretVariables, VAULT, variable } from '../../credentials/variables.ts'
import { isOAuthError } from '../../errors.ts'
import type { Completed, Credentials, PendingAuthorization } from '../../model.ts'
import { broaderScopes, type EarlierSession, findEarlier } from '../../session/earlier.ts'
import { revoke } from '../../session/revoke.ts'
import { nextDeadline, statusOf, timeOf } from '../../session/status.ts'
import { relativeTime } from '../../text.ts'
import { type Context, commandToPaste } from '../context.ts'
import { besideVault } from '../session/select.ts'
import { shellQuote } from '../shell.ts'

export function replaceOption(): Option {
  return new Option('--replace', 'Revoke earlier sessions of the account found here, once the new one is saved')
}

/** Before the sign-in: what there is, and how to replace it. */
export async function announceEarlier(
  { did, handle }: PendingAuthorization,
  { replace, advice }: { readonly replace: boolean | undefined; readonly advice: string },
  context: Context,
): Promise<void> {
  if (did === undefined) return
  const earlier = await findEarlier(did, { given: givenCredentials(context) }, context.runtime).catch(() => [])
  if (earlier.length === 0) return
  const isOne = earlier.length === 1
  const those = earlier.map((session) => describe(session, context)).join('; ')
  const fate = replace
    ? `revoked once the new one is saved`
    : `not revoked by this sign-in; to revoke ${isOne ? 'it' : 'them'}, ${advice}`
  context.output.note(
    `${handle ?? did} already has ${isOne ? 'a session' : `${earlier.length} sessions`} here: ${those}.\n` +
      `${isOne ? 'It is' : 'They are'} ${fate}.\n`,
  )
}

/** Before the new credentials are delivered, which may overwrite the earlier ones. */
export function earlierOf({ credentials }: Completed, context: Context): Promise<EarlierSession[]> {
  const { did, thumbprint } = credentials
  return findEarlier(did, { given: givenCredentials(context), except: thumbprint }, context.runtime).catch(() => [])
}

/** After the new session was saved. A session that cannot be revoked is no failure of the login. */
export async function settleEarlier(
  earlier: readonly EarlierSession[],
  completed: Completed,
  { replace, context }: { readonly replace: boolean | undefined; readonly context: Context },
): Promise<void> {
  const { output, runtime } = context
  const { handle, credentials, grantedScope } = completed
  const who = handle ?? credentials.did
  if (replace && earlier.length === 0) output.note(`\nNo earlier session of ${who} was found here.`)
  const steps = new Set<string>()
  for (const session of earlier) {
    const name = `an earlier session of ${who} (${describe(session, context)})`
    const { why, isForgotten } = replace ? await revokeOne(session, context) : {}
    if (replace && why === undefined) {
      output.note(`\nrevoked ${name}${leftovers(session, context)}`)
      continue
    }
    output.warn(
      `${name} was not revoked${why === undefined ? '' : `: ${why}`}; ${remains(session, grantedScope, runtime.now())}`,
    )
    steps.add(isForgotten ? IN_SETTINGS : nextStep(session, who, context))
  }
  for (const step of steps) output.note(step)
}

interface NotRevoked {
  readonly why?: string
  /** Its tokens are not here any more. */
  readonly isForgotten?: boolean
}

async function revokeOne({ record }: EarlierSession, { runtime }: Context): Promise<NotRevoked> {
  try {
    const { outcome } = await revoke(record, besideVault(runtime))
    if (outcome === 'revoked') return {}
    const why =
      outcome === 'unsupported' ? 'the server does not support revocation' : 'the server did not confirm the revocation'
    return { why, isForgotten: true }
  } catch (error) {
    if (isOAuthError(error)) return { why: error.message }
    throw error
  }
}

/** Where it is, and what tells it from others. */
function describe({ record, isStored, isGiven, targets }: EarlierSession, { runtime }: Context): string {
  const { createdAt, scope } = record
  const places = [...(isStored ? ['the per-user store'] : []), ...(isGiven ? ['the environment'] : []), ...targets]
  const now = timeOf(record, runtime.now())
  return [
    `in ${places.join(' and ')}`,
    ...(createdAt === undefined ? [] : [`signed in ${relativeTime(createdAt, now)}`]),
    ...(scope === '' ? [] : [`scope ${scope}`]),
  ].join(', ')
}

/** What can still be done with it. */
function remains({ record }: EarlierSession, grantedScope: string, now: number): string {
  const deadline = nextDeadline(statusOf(record, now))
  const until = deadline === undefined ? '' : ` ${relativeTime(deadline, timeOf(record, now))}`
  const usable = `it can be used until it expires${until}`
  const broader = broaderScopes(record, grantedScope)
  if (broader === undefined) return `${usable}; its scope is not known here and may be broader than that of the new one`
  if (broader.length === 0) return usable
  return `${usable}, and allows more than the new one: ${broader.join(' ')}`
}

const IN_SETTINGS = 'To end it, remove the older entry of the app in the settings of the account.'

function nextStep({ isStored, isGiven }: EarlierSession, who: string, context: Context): string {
  const { inStore, inVault } = context.runtime.saving
  const account = ` --account ${shellQuote(who)}`
  // As long as it is set, `revoke` takes the session of the vault, which may be the new one.
  const unset = variable(context.io.environment, VAULT) === undefined ? '' : `, unset ${VAULT} and run`
  if (isStored) {
    const others = inStore || inVault ? ' --others' : ''
    return `To revoke it${inVault ? '' : unset}:\n  ${commandToPaste(`atproto-oauth revoke${others}${account}`, context)}`
  }
  if (isGiven) {
    const first = unset || ', before you set other variables'
    return `To revoke it${first}:\n  ${commandToPaste('atproto-oauth revoke', context)}`
  }
  return `The new session has overwritten its tokens. ${IN_SETTINGS} Next time, add --replace.`
}

/** Copies that a revocation does not delete. */
function leftovers({ record, isGiven }: EarlierSession, { runtime }: Context): string {
  const replaced = new Set(runtime.saving.targets.map(({ name }) => name))
  const elsewhere = (record.savedTo ?? []).filter((name) => !replaced.has(name))
  return [
    ...(isGiven ? [`; unset ${secretVariables(record.bundled)}`] : []),
    ...(elsewhere.length > 0 ? [`; delete it from ${elsewhere.join(' and ')} too`] : []),
  ].join('')
}

/** Damaged credentials are no session of the account. */
function givenCredentials({ io, dev }: Context): Credentials | undefined {
  try {
    return readCredentials(io.environment, dev)
  } catch {
    return undefined
  }
}
