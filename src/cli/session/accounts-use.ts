/**
 * `accounts use`: the account that commands use by default.
 */
import { Command, Option } from 'commander'
import { variable } from '../../credentials/variables.ts'
import { isOAuthError, OAuthError } from '../../errors.ts'
import type { SessionRecord } from '../../model.ts'
import { changeConfig } from '../../node/config/write.ts'
import { accountsOf, chooseSession, describeAccount } from '../../session/choice.ts'
import { openStoredSession } from '../../session/open.ts'
import { placeOf } from '../config/values.ts'
import type { Context } from '../context.ts'
import { CliError } from '../errors.ts'
import type { Runner } from '../invocation.ts'
import { type CommonOptions, holdsSession, SETTINGS } from '../options.ts'
import { shellQuote } from '../shell.ts'
import { handleOf } from './select.ts'

interface UseOptions extends CommonOptions {
  readonly none?: boolean
}

export function accountsUseCommand(runner: Runner): Command {
  return new Command('use')
    .description('Set the account that commands use by default')
    .argument('[account]', 'Handle or DID of a stored session, or its name')
    .addOption(new Option('--none', 'Use no account by default'))
    .addHelpText('after', NOTES)
    .action(runner.action(runUse, 'login'))
}

const NOTES = `
Writes the setting \`account\`, as \`config set account\` does, but only for an account with a session. --account,
ATPROTO_OAUTH_ACCOUNT and credentials in the environment override it.

Examples:
  atproto-oauth accounts use alice.bsky.social
  atproto-oauth accounts use --none
`

async function runUse(account: string | undefined, { none }: UseOptions, context: Context): Promise<void> {
  const { io, output } = context
  if ((account === undefined) !== (none === true)) {
    throw new CliError(
      'USAGE',
      account === undefined ? 'missing argument account' : '--none cannot be used with an account',
      {
        hint: account === undefined ? await choices(context) : `atproto-oauth accounts use ${shellQuote(account)}`,
      },
    )
  }
  const place = placeOf(context)
  if (account === undefined) {
    await changeConfig(place, { account: undefined })
    output.note(`no account is used by default: the setting was removed from ${place.path}`)
    return
  }
  const record = await storedSession(account, context)
  const value = await settingFor(record, context)
  await changeConfig(place, { account: value })
  output.note(`commands use ${describeAccount(accountsOf([record])[0]!)} by default: ${place.path}`)
  const { variable: name } = SETTINGS.account
  if (name !== undefined && variable(io.environment, name) !== undefined) {
    output.warn(`${name} is set, and overrides this setting`)
  } else if (holdsSession(io.environment)) {
    output.warn('the environment has a session, which is used instead unless --account is given')
  }
}

async function storedSession(account: string, context: Context): Promise<SessionRecord> {
  const { runtime } = context
  try {
    const record = (await openStoredSession(account.replace(/^@/, ''), runtime)).record()
    if (!record.ended) return record
    throw new OAuthError('SESSION_MISSING', `the session of ${record.did} has ended: ${record.ended.reason}`)
  } catch (error) {
    if (!isOAuthError(error, 'SESSION_MISSING', 'IDENTIFIER_INVALID')) throw error
    const proposed = error.facts.reason === 'identifier-meant' ? error.facts.identifier : undefined
    const stored = await runtime.stores.sessions.list().catch(() => [])
    const meant = handleOf(account, stored) ?? proposed
    if (meant !== undefined && !meant.startsWith('https:')) return storedSession(meant, context)
    throw new CliError(error.code, error.message, { cause: error, hint: await choices(context) })
  }
}

/** The DID: it is looked up without a request, and does not change its owner. A name, if the DID means another session. */
async function settingFor(record: SessionRecord, { runtime }: Context): Promise<string> {
  const { did, name, thumbprint } = record
  if (chooseSession(did, await runtime.stores.sessions.list())?.thumbprint === thumbprint) return did
  if (name !== undefined) return name
  throw new CliError(
    'USAGE',
    `${did} has a newer session, which its DID and handle select: to choose this one, give it a name`,
    {
      hint: `atproto-oauth accounts name ${thumbprint} older`,
    },
  )
}

/** What can be used. */
export async function choices(context: Context, command: 'use' | 'name' = 'use'): Promise<string> {
  const records = (await context.runtime.stores.sessions.list().catch(() => [])).filter(({ ended }) => !ended)
  const accounts = accountsOf(records)
  if (accounts.length === 0) return 'sign in first: atproto-oauth init alice.bsky.social'
  const words = accounts.flatMap(({ did, handle, names }) => [handle ?? did, ...names])
  const others = words.length > 10 ? ', and others in the list of `accounts`' : ''
  return `there are sessions of ${words.slice(0, 10).join(', ')}${others}; choose one, as in: atproto-oauth accounts ${command} ${shellQuote(words[0]!)}${command === 'name' ? ' posts' : ''}`
}
