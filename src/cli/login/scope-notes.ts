/**
 * What a login says about its scope: before the sign-in what the request means, after it what was not granted.
 */

import { whyDropped } from '../../doctor/permission-set.ts'
import type { Initiated } from '../../login/init.ts'
import type { Completed } from '../../model.ts'
import { describeToken } from '../../protocol/scope/permission.ts'
import { type DroppedEntry, inLanguage, type PermissionSet } from '../../protocol/scope/permission-set.ts'
import { scopeAdvice, scopeTokens } from '../../protocol/scope/scope.ts'
import { sanitize } from '../../text.ts'
import type { Context } from '../context.ts'
import type { CliIO } from '../io.ts'
import type { Output } from '../output.ts'

/** A line for each permission set that could be read, and for each permission that is not what it seems. */
export function scopeLines({ pending, permissionSets }: Initiated, io: CliIO): string[] {
  const language = languageOf(io.environment)
  return [
    ...permissionSets.map(({ nsid, title, detail }) => {
      const [name, about] = [title, detail].map((text) => sanitize(inLanguage(text, language) ?? ''))
      return `set      ${[name && `${name} (${nsid})`, about].filter(Boolean).join(': ') || nsid}`
    }),
    ...scopeTokens(pending.scope).flatMap((token) => {
      const description = describeToken(token)
      return description === undefined ? [] : [`spaces   ${description.replace(/^spaces /, '')}`]
    }),
  ]
}

/** As POSIX looks for it; `undefined` if none is set. */
export function languageOf({ LC_ALL, LC_MESSAGES, LANG }: CliIO['environment']): string | undefined {
  const language = (LC_ALL || LC_MESSAGES || LANG || '').replace(/[.@].*$/, '').replaceAll('_', '-')
  return language === '' || language === 'C' || language === 'POSIX' ? undefined : language
}

/** Before the sign-in: what of the requested scope will not be granted, as far as it can be known. */
export function warnOfRequest({ pending, permissionSets, unresolvedSets }: Initiated, { output }: Context): void {
  const advice = scopeAdvice(pending.scope)
  if (advice !== undefined) output.warn(advice)
  for (const { error } of unresolvedSets) {
    output.warn(`${error.message}; the server accepted it, and may grant nothing from it`)
  }
  for (const set of permissionSets) {
    for (const [why, entries] of byReason(set)) {
      output.warn(`${set.include} will not grant ${entries.join(' ')}: ${why}`)
    }
    const spaces = set.granted.filter((token) => describeToken(token) !== undefined)
    if (spaces.length > 0) {
      output.warn(`${set.include} grants ${spaces.join(' ')} only if the server supports space: permissions`)
    }
    if (set.granted.length === 0) output.warn(`${set.include} will grant nothing`)
  }
}

/** The entries that are not granted, by what the requester can do about them. */
function byReason(set: PermissionSet): ReadonlyMap<string, readonly string[]> {
  const reasons = new Map<string, string[]>()
  for (const dropped of set.dropped) {
    const why = reasonFor(set, dropped)
    reasons.set(why, [...(reasons.get(why) ?? []), dropped.entry])
  }
  return reasons
}

function reasonFor(set: PermissionSet, dropped: DroppedEntry): string {
  if (dropped.why === 'audience') {
    return `the service is missing; add it, as in include:${set.nsid}?aud=did:web:api.bsky.app%23bsky_appview`
  }
  const isElsewhere = dropped.why === 'kind' || dropped.why === 'namespace'
  return whyDropped(set, dropped) + (isElsewhere ? '; request it separately' : '')
}

/**
 * After the sign-in: what was requested and not granted, and what was granted and not requested.
 *
 * @param again the command that requests a scope again
 */
export function warnOfGrant(completed: Completed, again: (scope: string) => string, output: Output): void {
  const { requestedScope, missingScopes, unsupportedScopes, emptyIncludes, missingFromSets, unaskedScopes } = completed
  const denied = missingScopes.filter((token) => !unsupportedScopes.includes(token))
  if (denied.length > 0) {
    const supported = scopeTokens(requestedScope).filter((token) => !unsupportedScopes.includes(token))
    output.warn(`not granted: ${denied.join(' ')}`)
    output.note(
      `To request it again, sign in again and allow it on the consent screen:\n  ${again(supported.join(' '))}`,
    )
  }
  for (const token of unsupportedScopes) {
    const description = describeToken(token)
    const what = description === undefined ? token : `${token} (${description})`
    output.warn(`not granted, because the server does not support it: ${what}`)
  }
  for (const token of emptyIncludes) {
    const audience = token.includes('aud=')
      ? ''
      : '; it may need the service, as in ?aud=did:web:api.bsky.app%23bsky_appview'
    output.warn(`nothing was granted from the permission set ${token}${audience}`)
  }
  if (missingFromSets.length > 0) output.warn(`not granted from a permission set: ${missingFromSets.join(' ')}`)
  if (unaskedScopes.length > 0) output.warn(`granted but not requested: ${unaskedScopes.join(' ')}`)
}
