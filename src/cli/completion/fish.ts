/**
 * The completion script for fish.
 */
import { STORE_ENCRYPTIONS } from '../config/keys.ts'
import {
  accountsCommand,
  everyCommand,
  methodLines,
  type Outline,
  PLACEHOLDERS,
  type SharedOption,
  sharedOptions,
  TARGETS,
  type Taken,
  wrappers,
} from './outline.ts'

export function fishCompletion(name: string, outline: Outline): string {
  const own = `__${name.replaceAll('-', '_')}`
  const all = everyCommand(outline)
  const options = sharedOptions(outline)
  const takers = options.filter(({ value }) => value !== undefined).flatMap(({ flags }) => flags)
  const below = all.filter(({ path }) => path.length > 0)
  const wrapping = wrappers(outline).map(({ path }) => path.join(' '))
  const add = (condition: string, ...words: string[]) =>
    `complete -c ${name} -n ${quoted(condition)} ${words.join(' ')}`
  return `# Completion of ${name} for fish; made by \`${name} completion fish\`.

set -g ${own}_methods ${methodLines().map(quoted).join(' \\\n    ')}

# A line for the command, with those above it, and one for each argument before the cursor.
function ${own}_line
    set -l path
    set -l arguments
    set -l flag
    set -l options yes
    for word in (commandline -opc)[2..-1]
        if set -q arguments[1]; and contains -- (string trim -- "$path") ${wrapping.map(quoted).join(' ')}
            set -a arguments $word
        else if set -q flag[1]; and not string match -qr -- '^-.' $word
            set flag
        else if set -q options[1]; and test "$word" = --
            set options
        else if set -q options[1]; and string match -qr -- '^-.' $word
            set flag
            contains -- $word ${[...new Set(takers)].join(' ')}; and set flag $word
        else if not set -q arguments[1]; and contains -- "$path $word" ${below.map(({ path }) => quoted(` ${path.join(' ')}`)).join(' ')}
            set path "$path $word"
        else
            set -a arguments $word
        end
    end
    string trim -- "$path"
    string join \\n -- $arguments
end

# Whether the command is one of these, and this is not yet an option of another program.
function ${own}_at
    set -l line (${own}_line)
    contains -- "$line[1]" $argv; or return
    not contains -- "$line[1]" ${wrapping.map(quoted).join(' ')}; or test (count $line) -eq 1
end

# Whether it is the command $argv[1], and after it so many arguments, or more if there is a + behind the number.
function ${own}_argument
    set -l line (${own}_line)
    test "$line[1]" = $argv[1]; or return
    set -l count (math (count $line) - 1)
    if string match -q '*+' $argv[2]
        test $count -ge (string trim -c + $argv[2])
    else
        test $count -eq $argv[2]
    end
end

function ${own}_method
    string replace -r ' .*' '' -- $${own}_methods
end

# Files behind what is in front of them.
function ${own}_behind
    set -l beginning (string sub -s (math (string length -- $argv[1]) + 1) -- (commandline -ct))
    for file in $beginning*
        test -d $file; and set file $file/
        echo -- $argv[1]$file
    end
end

function ${own}_field
    set -l key (string match -r '^[^=]*=@?' -- (commandline -ct))
    if not set -q key[1]
        set -l line (${own}_line)
        string match -r '^\\S+=$' -- (string split ' ' -- (string match -e -- "$line[2] " $${own}_methods)[1])
    else if string match -q '*@' -- $key
        ${own}_behind $key
    else
        string join \\n -- $key${PLACEHOLDERS.map(quoted).join(` $key`)}
    end
end

function ${own}_target
    if string match -q 'file:*' -- (commandline -ct)
        ${own}_behind file:
    else
        string join \\n -- ${[...TARGETS.whole, ...TARGETS.prefixes].join(' ')}
    end
end

function ${own}_account
    ${accountsCommand(name)}
end

function ${own}_setting
    set -l line (${own}_line)
    switch "$line[2]"
        case account
            ${own}_account
        case save
            ${own}_target
        case encrypt-store
            string join \\n -- ${STORE_ENCRYPTIONS.join(' ')}
    end
end

# As the other program completes them: all its words are arguments here. $argv[1] is how many come before it.
function ${own}_command
    set -l line (${own}_line)
    set -l count (math (count $line) - 1 - $argv[1])
    set -l words (commandline -opc)
    set words $words[(math (count $words) - $count + 1)..]
    test $count -eq 0; and set words
    complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
end

function ${own}_data
    string match -q '@*' -- (commandline -ct); and ${own}_behind @
end

complete -c ${name} -f
${below
  .map(({ path, about }) =>
    add(`${own}_argument ${quoted(path.slice(0, -1).join(' '))} 0`, '-a', path.at(-1)!, '-d', quoted(about)),
  )
  .join('\n')}
${all
  .flatMap(({ path, arguments: args }) =>
    args
      .map(({ takes, isVariadic }, at) => ({ takes, before: at, at: `${at}${isVariadic ? '+' : ''}` }))
      .filter(({ takes }) => takes !== 'text')
      .map(({ takes, before, at }) =>
        add(`${own}_argument ${quoted(path.join(' '))} ${at}`, ...values(takes, own, before)),
      ),
  )
  .join('\n')}
${options
  .map((option) => add(`${own}_at ${option.paths.map(quoted).join(' ')}`, ...optionWords(option, own)))
  .join('\n')}
`
}

function optionWords({ flags, about, value }: SharedOption, own: string): string[] {
  return [
    ...flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`)),
    ...(value?.isRequired ? ['-r', ...values(value.takes, own)] : []),
    '-d',
    quoted(about),
  ]
}

/** @param before how many arguments come before this one */
function values(takes: Taken, own: string, before = 0): string[] {
  if (takes === 'command') return ['-f', '-a', quoted(`(${own}_command ${before})`)]
  if (takes === 'path') return ['-F']
  if (takes === 'text') return ['-f']
  if (takes === 'folder') return ['-f', '-a', quoted('(__fish_complete_directories (commandline -ct))')]
  return ['-f', '-a', typeof takes === 'string' ? quoted(`(${own}_${takes})`) : quoted(takes.join(' '))]
}

function quoted(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&')}'`
}
