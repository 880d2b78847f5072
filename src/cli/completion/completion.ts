/**
 * `completion`: prints a shell completion script. Pressing TAB starts a program only to list accounts, which sends no
 * request.
 */
import { Argument, Command } from 'commander'
import { CliError } from '../errors.ts'
import type { Runner } from '../invocation.ts'
import type { CommonOptions } from '../options.ts'
import { bashCompletion } from './bash.ts'
import { fishCompletion } from './fish.ts'
import { type Outline, outlineOf } from './outline.ts'
import { zshCompletion } from './zsh.ts'

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const
export type Shell = keyof typeof SCRIPTS
export const SHELLS = Object.keys(SCRIPTS) as Shell[]

export function completionCommand(runner: Runner): Command {
  return new Command('completion')
    .addArgument(new Argument('<shell>', 'Shell to complete in').choices(SHELLS).argParser(parseShell))
    .addHelpText('after', EXAMPLES)
    .action(runner.print((shell: Shell, _: CommonOptions, own: Command) => completionScript(shell, own.parent!)))
}

const EXAMPLES = `
The script completes the command \`atproto-oauth\`, as installed by \`npm install -g\`. It does not work with npx.

Examples:
  eval "$(atproto-oauth completion bash)"             # in ~/.bashrc
  eval "$(atproto-oauth completion zsh)"              # in ~/.zshrc, after compinit
  atproto-oauth completion fish > ~/.config/fish/completions/atproto-oauth.fish

For a faster shell start, write the script to a file and write it again after each update:
  bash with bash-completion: ~/.local/share/bash-completion/completions/atproto-oauth
  zsh: _atproto-oauth in a folder of $fpath
`

function parseShell(name: string): Shell {
  if (Object.hasOwn(SCRIPTS, name)) return name as Shell
  const program = name.replace(/^.*[\\/]/, '').replace(/\.exe$/, '')
  throw new CliError('USAGE', `${JSON.stringify(name)} is not a supported shell`, {
    session: 'none',
    hint: Object.hasOwn(SCRIPTS, program)
      ? `write its name without a path: atproto-oauth completion ${program}`
      : `use one of ${SHELLS.join(', ')}`,
  })
}

/** @param program with all commands loaded, including their options */
export function completionScript(shell: Shell, program: Command): string {
  const outline: Outline = outlineOf(program)
  return SCRIPTS[shell](program.name(), outline)
}
