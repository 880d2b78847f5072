/**
 * `scope explain`: what each permission of a scope lets a program do, and what is wrong with it.
 */
import { Command, Option } from 'commander'
import { OAuthError, requestedScope } from '../../errors.ts'
import {
  type ExplainedPermission,
  explainScope,
  isFaulty,
  type ScopeExplanation,
  type ScopeFault,
} from '../../protocol/explain/explain.ts'
import { isInclude } from '../../protocol/scope/permission-set.ts'
import type { Preset } from '../../protocol/scope/presets.ts'
import { presetScope } from '../../protocol/scope/presets.ts'
import { compareScopes } from '../../protocol/scope/scope.ts'
import { toSafeJson } from '../../text.ts'
import type { Paint } from '../colour.ts'
import type { Context } from '../context.ts'
import { CliError, permissionForm } from '../errors.ts'
import type { Runner } from '../invocation.ts'
import { collectPreset, TASKS } from '../login/options.ts'
import { type CommonOptions, SETTINGS } from '../options.ts'
import { sessionFor } from '../session/select.ts'
import { resolveCommandLine } from '../shell.ts'
import { describedPermission, faultRow, row } from './explained.ts'

interface ExplainOptions extends CommonOptions {
  readonly account?: string
  readonly for?: Preset[]
}

export function explainCommand(runner: Runner): Command {
  return new Command('explain')
    .description('Explain what each permission of a scope allows, and correct it')
    .argument('[scope...]', 'OAuth scope, as one argument or several (default: the grant of the session)')
    .addOption(
      new Option('--for <task>', 'Explain the permissions for a task listed below (repeatable)').argParser(
        collectPreset,
      ),
    )
    .addOption(SETTINGS.account.option())
    .addHelpText('after', NOTES)
    .action(runner.action(runExplain))
}

const EXAMPLE = 'atproto-oauth scope explain "atproto repo:app.bsky.feed.post?action=create blob:image/*"'

const NOTES = `${TASKS}
For each permission: what it allows, its limits, and which other permissions cover it. An error is a permission that servers reject or
drop silently, with the way to write it. With a scope, nothing is sent and no session is needed. Without one, the
grant of the session is explained and compared with the requested scope. Exits with 0, or with 2 (SCOPE_INVALID) if
the scope has errors.

Examples:
  atproto-oauth scope explain
  ${EXAMPLE}
  atproto-oauth scope explain --for post-media --json | jq -r .scope
`

async function runExplain(words: readonly string[], options: ExplainOptions, context: Context): Promise<void> {
  if (words.length === 0 && options.for === undefined) return explainGrant(options.account, context)
  if (options.account !== undefined) {
    throw new OAuthError('USAGE', '--account cannot be used with a scope: it is for the grant of a session')
  }
  const { output } = context
  const text = words.join(' ')
  const explanation = explainScope(options.for ? presetScope(options.for, text === '' ? undefined : text) : text)
  await output.data(output.json ? `${toSafeJson(explanation)}\n` : report(explanation, text, output.paint))
  noteSets(explanation.permissions, context)
  if (isFaulty(explanation)) throw faultyScope(explanation)
}

function faultyScope({ scope, permissions, faults }: ScopeExplanation): CliError {
  const isError = ({ level }: ScopeFault) => level === 'error'
  const wrong = permissions.find((each) => each.faults.some(isError))
  const fault = [...faults, ...(wrong?.faults ?? [])].find(isError)!
  const name = wrong?.faults.includes(fault) ? `permission ${JSON.stringify(wrong.permission)}` : 'scope'
  const message = `invalid ${name}: ${fault.message}`
  if (scope !== undefined) return new CliError('SCOPE_INVALID', message, { hint: `write it as --scope "${scope}"` })
  return new CliError('SCOPE_INVALID', message, { hint: (wrong && permissionForm(wrong.permission)) ?? EXAMPLE })
}

/** What the session was granted, beside what its login requested. */
async function explainGrant(account: string | undefined, context: Context): Promise<void> {
  const { output } = context
  const record = (await sessionFor(account, context, false)).record()
  const granted = record.scope
  if (granted === undefined || granted === '') {
    throw new CliError('CREDENTIALS_INCOMPLETE', 'the granted scope is unknown: separate variables do not contain it', {
      hint: 'use a session in the store or in ATPROTO_OAUTH_SESSION, or pass the scope: atproto-oauth scope explain atproto',
    })
  }
  const requested = requestedScope(record) || granted
  const { missingScopes, unsupportedScopes, unaskedScopes } = compareScopes(requested, granted, record.did)
  const missing = explainScope(missingScopes.join(' ')).permissions
  const explanation = explainScope(granted)
  if (output.json) {
    const compared = { granted, requested, missingScopes, unsupportedScopes, unaskedScopes }
    return output.data(`${toSafeJson({ ...explanation, ...compared, missing })}\n`)
  }
  const lines = [
    ...explanation.permissions.map((each) => [
      ...describedPermission(each, output.paint),
      ...(unaskedScopes.includes(each.permission) ? [row('granted', 'although it was not requested')] : []),
    ]),
    ...missing.map((each) => [
      ...describedPermission(each, output.paint),
      row(
        'missing',
        unsupportedScopes.includes(each.permission)
          ? 'requested, and dropped: the server does not support it'
          : 'requested, and not granted',
      ),
    ]),
  ]
  await output.data(`${lines.map((block) => block.join('\n')).join('\n\n')}\n`)
  noteSets([...explanation.permissions, ...missing], context)
}

/** What a permission set contains is known only where it is published. */
function noteSets(permissions: readonly ExplainedPermission[], { output }: Context): void {
  const written = permissions.flatMap(({ permission, corrected = permission }) => corrected.split(' '))
  const commands = new Set(written.filter(isInclude).map((include) => `  ${resolveCommandLine(include)}`))
  if (commands.size > 0) output.note(['To list what a permission set grants:', ...commands].join('\n'))
}

function report({ scope, permissions, faults }: ScopeExplanation, given: string, paint: Paint): string {
  const whole = [
    ...faults.map((fault) => faultRow(fault, paint)),
    ...(scope === undefined || scope === given ? [] : [row('scope', scope)]),
  ]
  return [...permissions.map((each) => describedPermission(each, paint)), ...(whole.length > 0 ? [whole] : [])]
    .map((block) => `${block.join('\n')}\n`)
    .join('\n')
}
