/**
 * `accounts name`: tells several sessions of one account apart.
 */
import { Command, Option } from 'commander'
import { isOAuthError, OAuthError } from '../../errors.ts'
import type { SessionRecord } from '../../model.ts'
import { isSessionName, namedSession } from '../../session/choice.ts'
import { openStoredSession } from '../../session/open.ts'
import type { Context } from '../context.ts'
import { CliError } from '../errors.ts'
import type { Runner } from '../invocation.ts'
import type { CommonOptions } from '../options.ts'
import { shellQuote } from '../shell.ts'
import { choices } from './accounts-use.ts'

interface NameOptions extends CommonOptions {
  readonly remove?: boolean
}

export function accountsNameCommand(runner: Runner): Command {
  return new Command('name')
    .description('Name a stored session, to choose it with --account')
    .argument('<account>', 'Handle or DID of a stored session, or its name or key')
    .argument('[name]', 'Name: letters a-z, digits, - and _')
    .addOption(new Option('--remove', 'Remove the name'))
    .addHelpText('after', NOTES)
    .action(runner.action(runName, 'login'))
}

const NOTES = `
An account may have several sessions, for example with different scopes. Its handle selects the newest one. A name
selects one session, also after a refresh. The key of each session is shown by \`status --all\`.

Examples:
  atproto-oauth accounts name alice.bsky.social posts
  atproto-oauth call com.atproto.server.getSession --account posts
`

async function runName(
  account: string,
  name: string | undefined,
  { remove }: NameOptions,
  context: Context,
): Promise<void> {
  const { output, runtime } = context
  if ((name === undefined) !== (remove === true)) {
    // A single word is a name, which the account is still missing for.
    const whose = name === undefined && isSessionName(account) ? 'alice.bsky.social' : shellQuote(account)
    throw new CliError('USAGE', name === undefined ? 'missing argument name' : '--remove cannot be used with a name', {
      hint: `atproto-oauth accounts name ${whose} ${name === undefined ? 'posts' : '--remove'}`,
    })
  }
  if (name !== undefined && !isSessionName(name)) {
    throw new CliError('USAGE', `invalid name ${JSON.stringify(name)}: use a-z, 0-9, - and _, and at most 32 of them`, {
      hint: `atproto-oauth accounts name ${shellQuote(account)} ${proposed(name)}`,
    })
  }
  const { sessions } = runtime.stores
  const record = await storedSession(account, context)
  const all = await sessions.list()
  if (namedSession(account.replace(/^@/, ''), all) === undefined) refuseSeveral(record, all)
  const other = name === undefined ? undefined : namedSession(name, all)
  if (other !== undefined && other.thumbprint !== record.thumbprint) {
    throw new CliError('USAGE', `${name} is the name of another session, of ${other.handle ?? other.did}`, {
      hint: `choose another name, or remove it there: atproto-oauth accounts name ${name} --remove`,
    })
  }
  await sessions.update(record.thumbprint, async ({ stored, commit }) => {
    if (stored === undefined) throw new OAuthError('SESSION_MISSING', `the session of ${record.did} was removed`)
    const { name: _, ...rest } = stored
    await commit(name === undefined ? rest : { ...stored, name })
  })
  const whose = `the session of ${record.handle ?? record.did}`
  output.note(name === undefined ? `${whose} no longer has a name` : `${whose} is named ${name}`)
}

async function storedSession(account: string, context: Context): Promise<SessionRecord> {
  try {
    return (await openStoredSession(account.replace(/^@/, ''), context.runtime)).record()
  } catch (error) {
    if (!isOAuthError(error, 'SESSION_MISSING', 'IDENTIFIER_INVALID')) throw error
    throw new CliError(error.code, error.message, { cause: error, hint: await choices(context, 'name') })
  }
}

function refuseSeveral({ did, handle }: SessionRecord, all: readonly SessionRecord[]): void {
  const ours = all.filter((record) => record.did === did && !record.ended)
  if (ours.length < 2) return
  const list = ours.map(({ scope, thumbprint }) => `${thumbprint} (scope ${scope || 'unknown'})`).join(', ')
  throw new CliError('USAGE', `${handle ?? did} has ${ours.length} sessions: ${list}`, {
    hint: `choose one by its key, as in: atproto-oauth accounts name ${ours[0]!.thumbprint} posts`,
  })
}

/** The same in other letters, if that is a name. */
function proposed(name: string): string {
  const close = name
    .toLowerCase()
    .replace(/[^a-z0-9_-]+/g, '-')
    .replace(/^[-_]+|-+$/g, '')
    .slice(0, 32)
  return isSessionName(close) ? close : 'posts'
}
