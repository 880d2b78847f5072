/**
 * `vault check`: checks the vault, its service and its key, as `doctor` does for servers.
 */
import { Command } from 'commander'
import { isOAuthError, OAuthError } from '../../errors.ts'
import { readContents, readOwed, type VaultContents } from '../../node/vault/inspect.ts'
import { isMovedError } from '../../node/vault/moved.ts'
import type { Sealed } from '../../node/vault/record.ts'
import type { Finding } from '../../ports.ts'
import type { Context } from '../context.ts'
import { concludeFindings, printFindings } from '../findings.ts'
import type { Runner } from '../invocation.ts'
import type { CommonOptions } from '../options.ts'
import { shellQuote } from '../shell.ts'
import { type UsedVault, usedVault } from './setting.ts'
import { accountOf, claimText, counted } from './words.ts'

export function vaultCheckCommand(runner: Runner): Command {
  return new Command('check')
    .description('Check the vault, its service and its key, and suggest fixes')
    .addHelpText('after', NOTES)
    .action(runner.action(runCheck, 'login'))
}

const NOTES = `
Changes nothing, and sends no token. Results are written to stdout, one per line: ok, !! (warning) or xx (broken).
With --json, each line is a JSON object. The exit code is 0 if nothing is broken, and 4 otherwise.
`

async function runCheck(_: CommonOptions, context: Context): Promise<void> {
  const { output } = context
  const vault = await usedVault(context)
  concludeFindings(await printFindings(findings(vault, context), output), output)
}

async function* findings(vault: UsedVault, { runtime }: Context): AsyncGenerator<Finding> {
  const { address, source, engine, key, memory } = vault
  const from = source === 'environment' ? 'ATPROTO_OAUTH_VAULT' : 'kept on this machine'
  yield finding('vault', 'ok', `${address} (${from})`)
  const started = runtime.now()
  const facts = await engine.describe()
  for (const fact of facts) yield { ...fact, milliseconds: 0 }
  let contents: VaultContents
  try {
    contents = await readContents(engine, key, memory)
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    const { message } = error
    const isOfService = isOAuthError(error, 'VAULT_UNREACHABLE', 'VAULT_REFUSED')
    // The service has said so already.
    if (facts.some(({ verdict, detail }) => verdict === 'broken' && (isOfService || detail === message))) return
    const topic = isMovedError(error) ? 'vault' : isOfService ? 'service' : 'key'
    yield { ...finding(topic, 'broken', message), fix: error }
    return
  }
  yield { ...finding('key', 'ok', 'opens the vault'), milliseconds: runtime.now() - started }
  if (contents.isRekeying) {
    const fix = 'once all machines and jobs have the new key: atproto-oauth vault rekey --finish'
    yield { ...finding('key', 'warning', 'is being replaced by a new one'), fix }
  }
  yield* recordFindings(contents)
  yield* owedFindings(vault, contents)
}

function* recordFindings({ sessions, others, unreadable }: VaultContents): Generator<Finding> {
  const living = sessions.filter(({ record }) => record.session.ended === undefined).length
  const ended = sessions.length - living
  const parts = [
    counted(living, 'session'),
    ...(ended > 0 ? [`${ended} ended`] : []),
    ...(others > 0 ? [counted(others, 'client key')] : []),
  ]
  yield finding('records', 'ok', parts.join(', '))
  if (unreadable.length > 0) {
    const detail = `${counted(unreadable.length, 'record')} cannot be read: damaged, or left by an earlier vault: ${unreadable.join(', ')}`
    const fix = { code: 'VAULT_INVALID', facts: { reason: 'vault-damaged' } } as const
    yield { ...finding('records', 'broken', detail), fix }
  }
  const claimed = sessions.filter(({ record }) => record.claim !== undefined)
  if (claimed.length === 0) yield finding('claims', 'ok', 'none')
  for (const sealed of claimed)
    yield finding('claims', 'ok', `${accountOf(sealed)}: ${claimText(sealed.record.claim!)}`)
  for (const sealed of sessions.filter(isUnanswered)) yield unansweredFinding(sealed)
}

function isUnanswered({ record: { claim, sentBy, session } }: Sealed): boolean {
  return claim === undefined && sentBy !== undefined && session.intent !== undefined && session.ended === undefined
}

function unansweredFinding(sealed: Sealed): Finding {
  const { label } = sealed.record.sentBy!
  return {
    ...finding('claims', 'warning', `${accountOf(sealed)}: ${label} sent a token, and has stored no response`),
    fix: { code: 'REFRESH_AMBIGUOUS', facts: { reason: 'tokens-elsewhere', label } },
  }
}

async function* owedFindings({ engine, key, memory }: UsedVault, contents: VaultContents): AsyncGenerator<Finding> {
  const { ahead, later } = await readOwed(engine, key, contents, memory)
  if (ahead.length === 0 && later.length === 0) {
    yield finding('this machine', 'ok', 'has nothing that is missing in the vault')
    return
  }
  if (ahead.length > 0) {
    const detail = `has new tokens of ${counted(ahead.length, 'session')} that are not in the vault yet`
    const fix = 'use the session on this machine, as in: atproto-oauth status'
    yield { ...finding('this machine', 'warning', detail), fix }
  }
  for (const sealed of later) {
    const detail = `has a newer copy of the session of ${accountOf(sealed)}: the vault has lost a change`
    const fix = `store it there again: atproto-oauth refresh --account ${shellQuote(accountOf(sealed))}`
    yield { ...finding('this machine', 'warning', detail), fix }
  }
}

function finding(topic: string, verdict: Finding['verdict'], detail: string): Finding {
  return { topic, verdict, detail, milliseconds: 0 }
}
