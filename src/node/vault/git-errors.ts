/**
 * What git and the services behind it print, as outcomes. Its language is fixed, and services are told apart by the
 * codes and sentences that they document.
 */
import { OAuthError, type ReasonFacts } from '../../errors.ts'
import { shownOutput } from '../save/redact.ts'
import type { GitResult } from './git-program.ts'

/** The cache cannot be used, or was damaged: it is made again. */
export class CacheFault extends Error {}

/** Prepares what git printed for a message. */
export type Shown = (stderr: string) => string

const LONGEST = 500

/** @param secrets are removed, in whole and in parts */
export function showErrors(secrets: readonly string[]): Shown {
  const entries = secrets.map((secret) => ['secret', secret] as const)
  return (stderr) => {
    const lines = stderr.split('\n').map((line) => line.trim())
    const fromService = lines.flatMap((line) => /^remote:\s*(.*)$/.exec(line)?.[1] ?? [])
    const fromGit = lines.flatMap((line) => /^(?:fatal|error|ERROR|ssh):\s*(.*)$/.exec(line)?.[1] ?? [])
    const said = fromService.some((line) => line !== '') ? fromService : fromGit.length > 0 ? fromGit : lines
    const text = said.filter((line) => /\w/.test(line)).join('; ')
    const clean = shownOutput(text, entries, Number.POSITIVE_INFINITY).replace(/\/\/[^\s/@']+@/g, '//[redacted]@')
    return clean.length > LONGEST ? `${clean.slice(0, LONGEST)}…` : clean
  }
}

const BRANCH_MISSING = /couldn't find remote ref/i
const REDIRECTED = /returned error: 30[12378]/
const NOT_FOUND = /repository '.*' not found/
const OTHER_FORMAT = /mismatched algorithms|object format|hash algorithm/i
/** Of the cache itself. */
const CACHE = /No space left on device|Disk quota exceeded|shallow\.lock|loose object|not a git repository: /
const READ_DENIED =
  /Authentication failed|could not read (?:Username|Password)|repository '.*' not found|Repository not found|does not appear to be a git repository|returned error: 40[134]|Permission denied \(|HTTP Basic: Access denied|dubious ownership|could not be found|terminal prompts disabled|Access denied/i
/** Before anything was sent that could change something. */
const NOT_CONNECTED =
  /unable to access|Could not resolve|Could not read from remote repository|Connection refused|Connection timed out|Host key verification failed|RPC failed; HTTP 4\d\d/i
const INTERRUPTED =
  /hung up|early EOF|unexpected disconnect|RPC failed|bad line length|protocol error|expected flush|invalid index-pack output|Connection (?:reset|closed)|timed out|curl \d+/i
const CERTIFICATE = /certificate|SSL|TLS|gnutls/i

export function isBranchMissing({ stderr }: GitResult): boolean {
  return BRANCH_MISSING.test(stderr)
}

/** Perhaps the service knows the repository by the long form of its address only. */
export function isElsewhere({ stderr }: GitResult): boolean {
  return REDIRECTED.test(stderr) || NOT_FOUND.test(stderr)
}

/** The repository names its objects by SHA-256, and the cache by SHA-1, or the other way round. */
export function isOtherFormat({ stderr }: GitResult): boolean {
  return OTHER_FORMAT.test(stderr)
}

/** Why a fetch failed. */
export function fetchError(result: GitResult, place: string, shown: Shown): Error {
  const { stderr, timedOut } = result
  if (timedOut) return unreachable(place, 'no response in time')
  const said = shown(stderr)
  if (CACHE.test(withoutRemote(stderr))) return new CacheFault(said)
  return connectionError(stderr, place, said) ?? new CacheFault(said)
}

function connectionError(stderr: string, place: string, said: string): OAuthError | undefined {
  if (REDIRECTED.test(stderr)) {
    const message = `${place} has moved: the service redirects to another address`
    return new OAuthError('VAULT_REFUSED', message, { facts: { reason: 'vault-read-denied', address: `git:${place}` } })
  }
  if (READ_DENIED.test(stderr)) {
    return refused(`cannot read ${place}, or there is no such repository`, said, {
      reason: 'vault-read-denied',
      address: `git:${place}`,
    })
  }
  if (NOT_CONNECTED.test(stderr) || INTERRUPTED.test(stderr)) return unreachable(place, said, stderr)
  return undefined
}

export type PushOutcome =
  | { readonly kind: 'done' | 'unknown'; readonly said: string }
  /** `wasSent`: the service compared, and not git by what the service had listed. */
  | { readonly kind: 'moved'; readonly said: string; readonly wasSent: boolean }
  | { readonly kind: 'failed'; readonly error: OAuthError; readonly said: string }

const MOVED =
  /stale info|fetch first|non-fast-forward|already exists|incorrect old value|cannot lock ref|failed to (?:lock|update ref)|but expected|shallow update not allowed|missing necessary objects|needs force/i
const NO_REPORT = /remote failure|failed to report status/i
const SIGNATURE =
  /verified signatures?|valid signatures?|must be signed|unsigned|(?:GPG|SSH|signed) key|signature (?:is )?required/i
const PROTECTED =
  /GH006|GH013|protected (?:branch|ref)|rule violations|repository rule|deletion (?:prohibited|of)|refusing to delete/i
const WRITE_DENIED =
  /Permission to .* denied|returned error: 40[134]|RPC failed; HTTP 40[134]|not allowed to (?:push|upload)|read[- ]only|Write access|not granted|Permission denied|permission to push|service not enabled|Authentication failed|could not read (?:Username|Password)|insufficient permission|Access denied/i

/** @param ref whose line of `--porcelain` counts */
export function pushOutcome(
  { stdout, stderr, timedOut, code }: GitResult,
  ref: string,
  place: string,
  shown: Shown,
): PushOutcome {
  const said = shown(stderr)
  const fail = (error: OAuthError): PushOutcome => ({ kind: 'failed', error, said })
  const line = stdout
    .toString()
    .split('\n')
    .map((each) => each.split('\t'))
    .find(([, names]) => names?.endsWith(`:${ref}`))
  if (line) {
    const [flag, , summary = ''] = line
    if (flag !== '!') return { kind: 'done', said }
    if (NO_REPORT.test(summary)) return { kind: 'unknown', said }
    if (MOVED.test(summary)) return { kind: 'moved', said: summary, wasSent: summary.includes('remote') }
    return fail(pushRefused(`${summary}\n${stderr}`, place, said === '' ? summary : said))
  }
  if (timedOut || code === undefined) return { kind: 'unknown', said }
  if (WRITE_DENIED.test(stderr) && (NOT_CONNECTED.test(stderr) || READ_DENIED.test(stderr))) {
    return fail(refused(`no permission to change ${place}`, said, { reason: 'vault-write-denied' }))
  }
  if (NOT_CONNECTED.test(stderr)) return fail(connectionError(stderr, place, said) ?? unreachable(place, said, stderr))
  return { kind: 'unknown', said }
}

function pushRefused(text: string, place: string, said: string): OAuthError {
  if (SIGNATURE.test(text))
    return refused(`${place} accepts signed commits only`, said, { reason: 'vault-signature-required' })
  if (PROTECTED.test(text))
    return refused(`a rule protects the branch of ${place}`, said, {
      reason: 'vault-branch-protected',
      address: `git:${place}`,
    })
  if (WRITE_DENIED.test(text))
    return refused(`no permission to change ${place}`, said, { reason: 'vault-write-denied' })
  return refused(`${place} rejected the change`, said)
}

function refused(message: string, said: string, facts?: ReasonFacts): OAuthError {
  return new OAuthError('VAULT_REFUSED', said === '' ? message : `${message}: ${said}`, { facts })
}

export function unreachable(place: string, said: string, stderr = ''): OAuthError {
  const why = CERTIFICATE.test(stderr) ? `${said} (git uses its own list of CAs: its setting is http.sslCAInfo)` : said
  return new OAuthError('VAULT_UNREACHABLE', `cannot reach ${place}: ${why}`)
}

/** What the service printed may repeat words of the system. */
function withoutRemote(stderr: string): string {
  return stderr.replace(/^remote:.*$/gm, '')
}
