/**
 * The completion script for zsh, based on its `_arguments`.
 */
import { singleQuote } from '../../text.ts'
import { STORE_ENCRYPTIONS } from '../config/keys.ts'
import {
  accountsCommand,
  everyCommand,
  methodLines,
  type OptionOutline,
  type Outline,
  PLACEHOLDERS,
  TARGETS,
  type Taken,
} from './outline.ts'

export function zshCompletion(name: string, outline: Outline): string {
  const helper = `_${name.replaceAll('-', '_')}`
  return `#compdef ${name}
# Completion of ${name} for zsh; made by \`${name} completion zsh\`.

${helper}_methods='${methodLines().join('\n')}'

${helper}_method() {
  local expl
  local -a methods
  methods=(\${\${(f)${helper}_methods}%% *})
  _wanted methods expl 'XRPC method' compadd -a methods
}

${helper}_field() {
  local expl
  local -a lines keys
  if compset -P '*=@'; then
    _files
  elif compset -P '*='; then
    # Behind a brace that is open, what is in it is completed.
    if [[ $words[CURRENT] == *={[^}]# ]]; then
      _wanted values expl 'of the account' compadd -S '} ' - ${PLACEHOLDERS.map((word) => word.slice(1, -1)).join(' ')}
      return
    fi
    _wanted values expl 'of the account' compadd -Q - ${PLACEHOLDERS.map(singleQuote).join(' ')}
  else
    lines=(\${(M)\${(f)${helper}_methods}:#$line[1] *})
    keys=(\${=lines[1]#* })
    _wanted keys expl field compadd -S '' -a keys
  fi
}

${helper}_target() {
  local expl ret=1
  if compset -P 'file:'; then
    _files
  else
    _wanted targets expl target compadd -S '' - ${TARGETS.prefixes.join(' ')} && ret=0
    _wanted targets expl target compadd - ${TARGETS.whole.join(' ')} && ret=0
    return ret
  fi
}

${helper}_account() {
  local expl
  local -a accounts
  accounts=(\${(f)"$(${accountsCommand(name)})"})
  _wanted accounts expl account compadd -a accounts
}

${helper}_setting() {
  local expl
  case $line[1] in
    save) ${helper}_target ;;
    account) ${helper}_account ;;
    encrypt-store) _wanted values expl value compadd - ${STORE_ENCRYPTIONS.join(' ')} ;;
    *) _message value ;;
  esac
}

${helper}_data() {
  compset -P '@' && _files
}

${everyCommand(outline)
  .map((each) => commandFunction(name, helper, each))
  .join('\n')}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _${name} "$@"
else
  compdef _${name} ${name}
fi
`
}

function commandFunction(name: string, helper: string, { path, options, arguments: args, commands }: Outline): string {
  const own = [`_${name}`, ...path].join('-')
  const specs = [
    ...options.map((option) => optionSpec(option, helper)),
    ...args.map(({ name: what, isRequired, isVariadic, takes }, at) => {
      // With three colons, the words are only those of the other program.
      if (takes === 'command') return singleQuote(`*:::${message(what)}_normal`)
      const place = isVariadic ? '*:' : `${at + 1}:${isRequired ? '' : ':'}`
      return singleQuote(place + message(what) + action(takes, helper))
    }),
    ...(commands.length === 0 ? [] : ["'1: :->command'", "'*:: :->words'"]),
  ]
  // Options after a command belong to that command, even if they are global.
  const isWrapper = args[0]?.takes === 'command'
  const parse = `_arguments -C -s -S${commands.length === 0 && !isWrapper ? '' : ` -A '-*'`} : \\\n${specs.map((spec) => `    ${spec}`).join(' \\\n')}`
  const locals = `  local curcontext=$curcontext state line\n  local -A opt_args\n`
  if (commands.length === 0) return `${own}() {\n${locals}  ${parse}\n}\n`
  return `${own}() {
  local ret=1
  local -a commands
${locals}  ${parse} && ret=0
  case $state in
    command)
      commands=(
${commands.map((each) => `        ${singleQuote(`${each.path.at(-1)}:${each.about}`)}`).join('\n')}
      )
      _describe -t commands command commands && ret=0 ;;
    words) (( $+functions[${own}-$line[1]] )) && ${own}-$line[1] && ret=0 ;;
  esac
  return ret
}
`
}

function optionSpec({ flags, about, isRepeatable, value }: OptionOutline, helper: string): string {
  const names = flags.map((flag) => (value === undefined ? flag : flag + (flag.startsWith('--') ? '=' : '+')))
  const optional = value?.isRequired === false ? ':' : ''
  const rest = `[${about.replace(/[\\[\]]/g, '\\$&')}]`
  const what = value === undefined ? '' : `:${optional}${message(value.name)}${action(value.takes, helper)}`
  const before = isRepeatable ? '*' : flags.length > 1 ? `(${flags.join(' ')})` : ''
  if (names.length === 1) return singleQuote(before + names[0]! + rest + what)
  return `${singleQuote(before)}{${names.join(',')}}${singleQuote(rest + what)}`
}

/** The message where nothing can be completed. */
function message(text: string): string {
  return `${text.replace(/[\\:]/g, '\\$&')}:`
}

function action(takes: Taken, helper: string): string {
  if (takes === 'path') return '_files'
  if (takes === 'folder') return '_files -/'
  if (takes === 'text') return ' '
  return typeof takes === 'string' ? `${helper}_${takes}` : `(${takes.join(' ')})`
}
