/**
 * `vault remove`: removes the session of an account from the vault.
 */
import { Command } from 'commander'
import { isOAuthError, type OAuthError } from '../../errors.ts'
import { readContents } from '../../node/vault/inspect.ts'
import type { Sealed } from '../../node/vault/record.ts'
import { removeSession } from '../../node/vault/remove.ts'
import { parseIdentifier } from '../../protocol/identity/syntax.ts'
import { accountOf as didOf } from '../../session/account.ts'
import { toSafeJson } from '../../text.ts'
import type { Context } from '../context.ts'
import { CliError } from '../errors.ts'
import type { Runner } from '../invocation.ts'
import { type CommonOptions, SETTINGS } from '../options.ts'
import { shellQuote } from '../shell.ts'
import { storeOf, usedVault } from './setting.ts'
import { accountOf } from './words.ts'

interface RemoveOptions extends CommonOptions {
  readonly account?: string
  readonly keepAtServer?: boolean
}

export function vaultRemoveCommand(runner: Runner): Command {
  return new Command('remove')
    .description('Remove the ended session of an account from the vault')
    .addOption(
      SETTINGS.account.option({ about: 'Account whose session to remove', isFlagOnly: true }).makeOptionMandatory(),
    )
    .option(
      '--keep-at-server',
      'Remove a session that has not ended: its tokens are lost, and stay valid at the server',
    )
    .addHelpText('after', NOTES)
    .action(runner.action(runRemove, 'login'))
}

const NOTES = `
To end a session, use \`revoke\`. It stays in the vault as ended, so that other machines learn of it. Once they have, it
can be removed. With --keep-at-server, a session that has not ended becomes an ended one in the vault, without tokens.
`

async function runRemove(options: RemoveOptions, context: Context): Promise<void> {
  const { output, runtime } = context
  const account = SETTINGS.account.read(options, {})!
  const identifier = accountIn(account, runtime.settings.dev)
  const vault = await usedVault(context)
  const { sessions } = await readContents(vault.engine, vault.key, vault.memory)
  const records = sessions.map(({ record }) => record.session)
  const did = identifier.kind === 'did' ? identifier.did : await didOf(identifier.handle, records, runtime)
  const sealed = sessions.find(({ record }) => record.session.did === did)
  if (sealed === undefined) throw missing(did, vault.address)
  const isLiving = sealed.record.session.ended === undefined
  if (isLiving && !options.keepAtServer) throw living(sealed)
  const removed = await removeSession(await storeOf(vault, context), sealed)
  if (removed === undefined) throw missing(did, vault.address)
  const wasLiving = removed.record.session.ended === undefined
  if (output.json) await output.data(`${toSafeJson({ did, wasLiving })}\n`)
  output.note(`removed the ${wasLiving ? '' : 'ended '}session of ${accountOf(sealed)} from the vault`)
  if (wasLiving) output.note('It was not revoked: it stays valid on its server until it expires.')
}

function missing(did: string, address: string): OAuthError {
  return new CliError('SESSION_MISSING', `no session of ${did} is in the vault at ${address}`, {
    session: 'none',
    hint: 'list the sessions in the vault: atproto-oauth vault list',
  })
}

function living(sealed: Sealed): OAuthError {
  return new CliError('USAGE', `the session of ${accountOf(sealed)} has not ended`, {
    session: 'alive',
    hint: `end it with: atproto-oauth revoke --account ${shellQuote(accountOf(sealed))}`,
  })
}

/** @throws {OAuthError} `IDENTIFIER_INVALID` */
function accountIn(text: string, dev: boolean) {
  const hint = 'name an account by its DID or handle, as it is listed by: atproto-oauth vault list'
  try {
    const identifier = parseIdentifier(text, dev)
    if (identifier.kind !== 'server') return identifier
  } catch (error) {
    if (!isOAuthError(error, 'IDENTIFIER_INVALID')) throw error
    throw new CliError(error.code, error.message, { cause: error, hint })
  }
  throw new CliError('IDENTIFIER_INVALID', `"${text}" is a server, not an account`, { hint })
}
