/**
 * `--help` in Markdown: between `<!-- help: init -->` and `<!-- end of help -->` stands what `init --help` says, between
 * `<!-- help: -->` and the end what the program's own does.
 */
import type { Command } from 'commander'
import { GLOBAL_OPTIONS } from '../../src/cli/options.ts'
import { wholeProgram } from './man.ts'

/** What a page of GitHub's shows without a scroll bar. */
const COLUMNS = 96
const BLOCK = /^(<!-- help: ?(.*?) -->\n)[\s\S]*?^(<!-- end of help -->)$/gm
/** The options that all have, with the line before them. */
const COMMON = new RegExp(`\n${GLOBAL_OPTIONS}\n(?: .*\n)+`)

/** The same text with the help of today in its blocks. */
export async function withHelp(markdown: string): Promise<string> {
  let text = ''
  const program = await wholeProgram((part) => {
    text += part
  })
  const helpOf = (command: Command) => {
    text = ''
    command.configureOutput({ getOutHelpWidth: () => COLUMNS, getOutHasColors: () => false })
    command.outputHelp()
    return command === program ? text : text.replace(COMMON, '')
  }
  return markdown.replace(BLOCK, (block, begin: string, name: string, end: string) => {
    if (block.lastIndexOf('<!-- help:') > 0) throw new Error(`the help of "${name}" has no end marker`)
    const help = helpOf(commandNamed(program, name))
    return `${begin}\n\`\`\`text\n${help.trim()}\n\`\`\`\n\n${end}`
  })
}

function commandNamed(program: Command, path: string): Command {
  return path
    .split(' ')
    .filter(Boolean)
    .reduce((command, name) => {
      const found = command.commands.find((own) => own.name() === name)
      if (!found) throw new Error(`there is no command ${path}`)
      return found
    }, program)
}
