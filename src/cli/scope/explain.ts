/**
 * `scope explain`: what each permission of a scope lets a program do, and what is wrong with it.
 */
import { Command } from 'commander'
import { parseScope, scopeTokens } from '../../protocol/scope/scope.ts'
import type { Context } from '../context.ts'
import type { Runner } from '../invocation.ts'
import type { CommonOptions } from '../options.ts'

export function explainCommand(runner: Runner): Command {
  return new Command('explain')
    .description('Explain what each permission of a scope allows')
    .argument('[scope...]', 'OAuth scope, as one argument or several')
    .action(runner.action(runExplain, 'login'))
}

async function runExplain(words: readonly string[], _: CommonOptions, { output }: Context): Promise<void> {
  await output.data(
    scopeTokens(parseScope(words.join(' ')))
      .map((token) => `${token}\n`)
      .join(''),
  )
}
