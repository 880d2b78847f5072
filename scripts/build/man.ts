/**
 * Generates the text of `--help` and the manual page, for `npm run build` (`man -l dist/atproto-oauth.1`).
 *
 * @see https://man7.org/linux/man-pages/man7/groff_man.7.html
 */
import type { Command } from 'commander'
import { COMMANDS, loadCommands } from '../../src/cli/commands.ts'
import { type OptionOutline, type Outline, outlineOf } from '../../src/cli/completion/outline.ts'
import { USUAL_COLUMNS } from '../../src/cli/help.ts'
import { createProgram } from '../../src/cli/parser.ts'

/** What `--help` prints without a terminal. */
export async function helpText(): Promise<string> {
  let text = ''
  const program = await wholeProgram((part) => {
    text += part
  }, USUAL_COLUMNS)
  program.outputHelp()
  return text
}

/** All commands loaded; they run nothing. By default their texts are wrapped as in the source. */
export async function wholeProgram(write: (text: string) => void, columns = Infinity): Promise<Command> {
  const host = { stdout: { write, columns } } as unknown as Parameters<typeof createProgram>[0]
  const nothing = () => async () => undefined
  const names = COMMANDS.map(({ name }) => name)
  return createProgram(host, await loadCommands(names, { action: nothing, settings: nothing, print: nothing }))
}

/** The manual page as roff, in ASCII. */
export async function manPage(): Promise<string> {
  const program = await wholeProgram(() => undefined)
  const outline = outlineOf(program)
  const name = program.name()
  const leaves = outline.commands.flatMap((each) => (each.commands.length > 0 ? each.commands : [each]))
  const common = commonOptions(leaves)
  const shared = leaves[0]!.options.filter((option) => common.has(JSON.stringify(option)))
  const ofProgram = outline.options.filter(({ flags }) => !shared.some((option) => option.flags.includes(flags[0]!)))
  const lines = [
    `.TH ${code(name.toUpperCase())} 1`,
    '.SH NAME',
    `${code(name)} \\- sign in to AT Protocol (Bluesky) with OAuth and send requests`,
    '.SH SYNOPSIS',
    ...leaves.flatMap((leaf) => [...usage(name, leaf), '.br']),
    ...ofProgram.map(({ flags }) => `\\fB${code(`${name} ${flags.at(-1)}`)}\\fR`),
    '.SH DESCRIPTION',
    prose(outline.about),
    'Commands write data to standard output, and messages to standard error.',
    '.SH COMMANDS',
    ...leaves.flatMap((leaf) => section(name, leaf, common, commandAt(program, leaf.path))),
    '.SH GLOBAL OPTIONS',
    ...optionLines(shared),
    ...afterHelp(program)
      .split(/^(?=\S.*:$)/m)
      .flatMap((text) => {
        const [title = '', ...rest] = text.trim().split('\n')
        return title === '' ? [] : [`.SH ${title.replace(/:$/, '').toUpperCase()}`, ...example(rest.join('\n'))]
      }),
    '',
  ]
  return lines.join('\n')
}

/** The options that all commands share, each as JSON. */
function commonOptions(leaves: readonly Outline[]): ReadonlySet<string> {
  const [first, ...others] = leaves.map(({ options }) => options.map((option) => JSON.stringify(option)))
  return new Set(first!.filter((option) => others.every((each) => each.includes(option))))
}

function commandAt(program: Command, path: readonly string[]): Command {
  return path.reduce((command, name) => command.commands.find((own) => own.name() === name)!, program)
}

function section(name: string, leaf: Outline, common: ReadonlySet<string>, command: Command): string[] {
  return [
    `.SS ${code(leaf.path.join(' '))}`,
    ...usage(name, leaf),
    '.PP',
    prose(`${leaf.about[0]!.toUpperCase()}${leaf.about.slice(1)}.`),
    ...leaf.arguments.flatMap((argument) => ['.TP', `.I ${code(argument.name)}`, prose(argument.about)]),
    ...optionLines(leaf.options.filter((option) => !common.has(JSON.stringify(option)))),
    ...example(afterHelp(command)),
  ]
}

function usage(name: string, { path, options, arguments: args }: Outline): string[] {
  const words = args.map(({ name: what, isRequired, isVariadic }) => {
    const word = `\\fI${code(what)}\\fR${isVariadic ? ' ...' : ''}`
    return isRequired ? word : `[${word}]`
  })
  const own = options.length > 0 ? ['[options]'] : []
  return [`\\fB${code([name, ...path].join(' '))}\\fR ${[...own, ...words].join(' ')}`]
}

function optionLines(options: readonly OptionOutline[]): string[] {
  return options.flatMap(({ flags, about, value }) => {
    const names = flags.map((flag) => `\\fB${code(flag)}\\fR`).join(', ')
    const taken = value && (value.isRequired ? ` \\fI${code(value.name)}\\fR` : `[=\\fI${code(value.name)}\\fR]`)
    const choices = Array.isArray(value?.takes) ? ` (${value.takes.join(', ')})` : ''
    return ['.TP', names + (taken ?? ''), prose(about + choices)]
  })
}

/** The text after the options in `--help`. */
function afterHelp(command: Command): string {
  let text = ''
  const { writeOut } = command.configureOutput()
  command.configureOutput({
    writeOut: (more) => {
      text += more
    },
  })
  command.outputHelp()
  command.configureOutput({ writeOut: writeOut! })
  return text.slice(command.helpInformation().length)
}

/** Preformatted text. */
function example(text: string): string[] {
  const lines = text.replace(/^\n+|\s+$/g, '')
  return lines === '' ? [] : ['.PP', '.EX', code(lines), '.EE']
}

/** Filled text; backquoted words become bold. */
function prose(text: string): string {
  return text
    .split(/`(.*?)`/)
    .map((part, at) => (at % 2 === 0 ? escaped(part) : `\\fB${code(part)}\\fR`))
    .join('')
}

/** Text to type: keeps the ASCII characters that a shell needs. */
function code(text: string): string {
  const marks: Readonly<Record<string, string>> = { '-': '\\-', "'": '\\(aq', '`': '\\(ga', '^': '\\(ha', '~': '\\(ti' }
  return escaped(text).replace(/[-'`^~]/g, (mark) => marks[mark]!)
}

function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replace(/[^\n -~]/gu, (sign) => `\\[u${sign.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}]`)
    .replace(/^[.']/gm, '\\&$&')
}
