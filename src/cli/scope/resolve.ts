/**
 * `scope resolve`: follows a permission set to its record, and lists what it grants.
 */
import { Command } from 'commander'
import { checkPermissionSet, type PermissionSetCheck } from '../../doctor/permission-set.ts'
import { isOAuthError } from '../../errors.ts'
import { faultsOf } from '../../protocol/explain/faults.ts'
import { includeToken, inLanguage, isInclude, nsidOf } from '../../protocol/scope/permission-set.ts'
import { presetOf } from '../../protocol/scope/presets.ts'
import { serviceAt, serviceOf } from '../../protocol/xrpc/services.ts'
import { sanitize, toSafeJson } from '../../text.ts'
import type { Paint } from '../colour.ts'
import type { Context } from '../context.ts'
import { CliError, worded } from '../errors.ts'
import { findingLines } from '../findings.ts'
import type { Runner } from '../invocation.ts'
import { languageOf } from '../login/scope-notes.ts'
import type { CommonOptions } from '../options.ts'
import { resolveCommandLine } from '../shell.ts'
import { describedPermission } from './explained.ts'

interface ResolveOptions extends CommonOptions {
  readonly aud?: string
}

export function resolveCommand(runner: Runner): Command {
  return new Command('resolve')
    .description('Resolve a permission set as a server would, and list what it grants')
    .argument('<nsid>', 'NSID of the permission set, or the include: permission that requests it')
    .option('--aud <service>', 'Service for the entries that inherit one: appview, chat, ozone, or did#service')
    .addHelpText('after', EXAMPLES)
    .action(runner.action(runResolve, 'login'))
}

const EXAMPLES = `
Examples:
  atproto-oauth scope resolve app.bsky.authCreatePosts
  atproto-oauth scope resolve app.bsky.authFullApp --aud appview

Checks the _lexicon TXT record, the DID document and the record, in this order, and stops at the first that fails. Then
lists the entries of the set that are not granted, each with a fix for its author, and explains the granted permissions.
With --json, prints one object. Exits with 4 if the set cannot be resolved (PERMISSION_SET_UNRESOLVED).
`

async function runResolve(nsid: string, { aud }: ResolveOptions, { io, output, runtime }: Context): Promise<void> {
  const include = requestOf(nsid, aud)
  const check = await checkPermissionSet(include, runtime)
  const { error, set, permissions } = check
  const findings = check.findings.map(worded)
  const language = languageOf(io.environment)
  const title = set && inLanguage(set.title, language)
  const detail = set && inLanguage(set.detail, language)
  if (output.json) {
    const { granted, dropped } = set ?? {}
    const task = set && presetOf(set.granted)
    const texts = { include, nsid: nsidOf(include), title, detail }
    await output.data(`${toSafeJson({ ...texts, granted, task, permissions, dropped, findings })}\n`)
  } else {
    const printed = findings.map((finding) => findingLines(finding, output.paint)).join('')
    await output.data(printed + summaryOf(check, [title, detail], output.paint))
  }
  if (error) throw new CliError(error.code, error.message, { facts: error.facts, hint: findings.at(-1)?.fix })
}

/** The permission that requests the set. */
function requestOf(nsid: string, aud: string | undefined): string {
  const alone = setOf(nsid)
  if (aud === undefined) return alone
  try {
    return includeToken(nsid, serviceOf(aud))
  } catch (error) {
    if (!isOAuthError(error)) throw error
    const meant = serviceAt(aud) ?? 'did:web:api.bsky.app#bsky_appview'
    throw new CliError('USAGE', `--aud ${JSON.stringify(aud)} is not a service`, {
      hint: `pass its DID and its name in the DID document, as in: --aud ${meant}`,
      session: 'none',
    })
  }
}

function setOf(nsid: string): string {
  try {
    return includeToken(nsid)
  } catch (error) {
    if (!isOAuthError(error, 'SCOPE_INVALID')) throw error
    throw new CliError(error.code, error.message, { hint: resolveCommandLine(meantSet(nsid)) })
  }
}

/** The permission that was probably meant by something else, or an example. */
function meantSet(text: string): string {
  const include = /^include[:?]/.test(text) ? text : `include:${text}`
  const { meant = include } = faultsOf(include) ?? {}
  if (isInclude(meant)) return meant
  const [name = 'app.bsky.authFullApp'] = /[\w-]+(?:\.[\w-]+)*\.auth[A-Z][A-Za-z0-9]*/.exec(text) ?? []
  return isInclude(`include:${name}`) ? `include:${name}` : 'include:app.bsky.authFullApp'
}

function summaryOf(
  { include, set, permissions = [] }: PermissionSetCheck,
  [title, detail]: readonly (string | undefined)[],
  paint: Paint,
): string {
  if (!set) return ''
  const task = presetOf(set.granted)
  const rows: [name: string, value: string][] = [
    ...(title ? [['title', title] as [string, string]] : []),
    ...(detail ? [['detail', detail] as [string, string]] : []),
    ['request', include],
    ...(permissions.length === 0 ? [['grants', 'nothing'] as [string, string]] : []),
    ...(task ? [['task', `--for ${task} grants the same, also if the set changes later`] as [string, string]] : []),
  ]
  const texts = rows.map(([name, value]) => `${name.padEnd(9)}${sanitize(value, 4000)}\n`).join('')
  const granted = permissions.map((each) => `\n${describedPermission(each, paint).join('\n')}\n`)
  return `\n${texts}${granted.join('')}`
}
