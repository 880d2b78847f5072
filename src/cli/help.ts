/**
 * The layout of help: it fits the terminal from 40 columns on, and commands to paste stay whole.
 */
import { Help, type HelpConfiguration } from 'commander'

/** Without a terminal. */
export const USUAL_COLUMNS = 80
const FEWEST_COLUMNS = 40
/** Columns that a description needs beside its term: its longest word is the name of a variable. */
const FEWEST_BESIDE = 32
/** The same in a table that was aligned by hand: its words are shorter. */
const FEWEST_IN_TABLE = 24
const USAGE = 'Usage: '
/** What is indented below these headings is to be pasted. */
const EXAMPLES = /^(?:Examples?|Quick start):$/

/** Some terminals do not know their size, and say 0. */
export function helpColumns({ columns }: { readonly columns?: number | undefined }): number {
  return Math.max(FEWEST_COLUMNS, columns || USUAL_COLUMNS)
}

/** For each command: a command does not inherit the configuration of the program that it is added to. */
export const HELP_LAYOUT: HelpConfiguration = {
  minWidthToWrap: FEWEST_BESIDE,
  subcommandTerm: (command) => `${command.name()} ${command.usage()}`,
  styleUsage(usage) {
    return wrap(usage, this.helpWidth ?? USUAL_COLUMNS, USAGE.length).slice(USAGE.length)
  },
  formatItem(term, termWidth, description, helper) {
    const columns = helper.helpWidth ?? USUAL_COLUMNS
    if (columns - termWidth - '    '.length >= FEWEST_BESIDE) {
      return Help.prototype.formatItem.call(this, term, termWidth, description, helper)
    }
    return description === '' ? wrap(term, columns, 2, 4) : below(term, description, columns)
  },
}

/**
 * Fits text that was wrapped by hand. A paragraph or table that fits is left as it is. Examples are not wrapped, but
 * their comments move above them.
 */
export function reflow(text: string, columns: number): string {
  const fits = (line: string) => line.length <= columns
  let isExample = false
  return blocks(text.split('\n'))
    .flatMap((block) => {
      const [first = ''] = block.lines
      if (block.kind === 'paragraph') isExample = EXAMPLES.test(block.lines.at(-1)!)
      if (block.kind === 'gap') isExample = false
      if (block.lines.every(fits)) return block.lines
      if (block.kind === 'paragraph') return wrap(block.lines.join(' '), columns)
      if (isExample) return examples(block.lines, columns)
      return indented(block.lines, columns, first.length - first.trimStart().length)
    })
    .join('\n')
}

interface Block {
  readonly kind: 'gap' | 'paragraph' | 'indented'
  readonly lines: string[]
}

function blocks(lines: readonly string[]): Block[] {
  const found: Block[] = []
  for (const line of lines) {
    const kind = line === '' ? 'gap' : line.startsWith(' ') ? 'indented' : 'paragraph'
    if (found.at(-1)?.kind === kind) found.at(-1)!.lines.push(line)
    else found.push({ kind, lines: [line] })
  }
  return found
}

/** Not even comments are wrapped: some have a command to paste. */
function examples(lines: readonly string[], columns: number): string[] {
  const commented = /^( *)(.*\S) {2,}(# .*)$/
  if (lines.every((line) => line.length <= columns || !commented.test(line))) return [...lines]
  return lines.map((line) => line.replace(commented, '$1$3\n$1$2'))
}

/** Tables and lists. */
function indented(lines: readonly string[], columns: number, indent: number): string[] {
  const rows = lines.map((line) => line.trim().split(/ {2,}/))
  const widest = Math.max(...rows.map((row) => row.length))
  // A table of several columns becomes a list, read column by column.
  if (widest > 2) {
    const [table, rest] = [rows.filter((row) => row.length > 1), rows.filter((row) => row.length === 1)]
    const list = Array.from({ length: widest }, (_, column) => table.flatMap((row) => row[column] ?? []))
    return [...list.flat(), ...rest.flat()].map((cell) => wrap(cell, columns, indent, indent + 2))
  }
  const result: string[] = []
  let list = ''
  for (const [at, row] of rows.entries()) {
    const [term = '', description] = row
    if (description !== undefined) {
      const beside = lines[at]!.lastIndexOf(description)
      const isNarrow = columns - beside < FEWEST_IN_TABLE
      result.push(isNarrow ? below(term, description, columns) : besides(term, description, columns, beside, indent))
    } else if (term.endsWith(',')) list += `${term} `
    else {
      result.push(wrap(list + term, columns, indent, list === '' ? indent + 2 : indent))
      list = ''
    }
  }
  return result
}

function besides(term: string, description: string, columns: number, at: number, indent: number): string {
  return ' '.repeat(indent) + term.padEnd(at - indent) + wrap(description, columns, at).slice(at)
}

function below(term: string, description: string, columns: number): string {
  return `${wrap(term, columns, 2, 4)}\n${wrap(description, columns, 6)}`
}

/** Indents each line. Breaks at spaces, but not within backquotes: what stands there is to be typed. */
function wrap(text: string, columns: number, indent = 0, indentAfter = indent): string {
  const lines: string[] = []
  let line = ' '.repeat(indent)
  let isEmpty = true
  for (const word of text.match(/(?:`[^`]*`|\S)+/g) ?? []) {
    if (!isEmpty && line.length + 1 + word.length > columns) {
      lines.push(line)
      line = ' '.repeat(indentAfter)
      isEmpty = true
    }
    line += isEmpty ? word : ` ${word}`
    isEmpty = false
  }
  return [...lines, line].join('\n')
}
