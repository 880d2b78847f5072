/**
 * `vault key`: prints the key of the vault, and nothing else.
 */
import { Command } from 'commander'
import { toSafeJson } from '../../text.ts'
import type { Context } from '../context.ts'
import { warnIfReadable } from '../credentials/print.ts'
import type { Runner } from '../invocation.ts'
import type { CommonOptions } from '../options.ts'
import { usedSetting } from './setting.ts'

export function vaultKeyCommand(runner: Runner): Command {
  return new Command('key')
    .description('Print the key of the vault')
    .addHelpText('after', NOTES)
    .action(runner.action(runKey, 'login'))
}

const NOTES = `
The key is a secret. Whoever has it and can read the vault has the sessions in it.

Examples:
  atproto-oauth vault key | gh secret set ATPROTO_OAUTH_VAULT_KEY --repo alice/bot
  atproto-oauth vault key | ssh server atproto-oauth vault use git:https://github.com/alice/bot
`

async function runKey(_: CommonOptions, context: Context): Promise<void> {
  const { io, output } = context
  const { address, key } = await usedSetting(context)
  await output.data(output.json ? `${toSafeJson({ address, key })}\n` : `${key}\n`)
  if (io.stdout.isTTY) output.warn('this key is a secret: whoever has it and can read the vault has the sessions in it')
  warnIfReadable(context)
}
