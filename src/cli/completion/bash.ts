/**
 * The completion script for bash, 3.2 (macOS) and later.
 */
import { STORE_ENCRYPTIONS } from '../config/keys.ts'
import {
  accountsCommand,
  everyCommand,
  methodLines,
  type Outline,
  PLACEHOLDERS,
  sharedOptions,
  TARGETS,
  type Taken,
} from './outline.ts'

export function bashCompletion(name: string, outline: Outline): string {
  const all = everyCommand(outline)
  const own = `_${name.replaceAll('-', '_')}`
  return `# Completion of ${name} for bash; made by \`${name} completion bash\`.

${own}_methods='${methodLines().join('\n')}'

# What can stand after a command's name, given with those above it: its commands, else its options.
${own}_options() {
  case $1 in
${all.map(({ path, options }) => `    '${path.join(' ')}') echo '${options.flatMap(({ flags }) => flags).join(' ')}' ;;`).join('\n')}
  esac
}

${own}_commands() {
  case $1 in
${all
  .filter(({ commands }) => commands.length > 0)
  .map(
    ({ path, commands }) => `    '${path.join(' ')}') echo '${commands.map((each) => each.path.at(-1)).join(' ')}' ;;`,
  )
  .join('\n')}
  esac
}

# What the value of an option is: of "command --option"; fails if it has none.
${own}_value() {
  case $1 in
${[...valued(outline)].map(([pattern, takes]) => `    ${pattern}) echo '${takes}' ;;`).join('\n')}
    *) return 1 ;;
  esac
}

# What an argument is: of "command position".
${own}_argument() {
  case $1 in
${all
  .flatMap(({ path, arguments: args }) =>
    args.map(({ takes, isVariadic }, at) => {
      const pattern = `${path.join(' ')} ${at}`
      return `    '${pattern}'${isVariadic ? ` | '${path.join(' ')} '*` : ''}) echo '${coded(takes)}' ;;`
    }),
  )
  .join('\n')}
  esac
}

# Adds those of the words that go on from $current.
${own}_add() {
  local word
  for word; do
    [[ $word == "$current"* ]] && COMPREPLY+=("$word")
  done
}

# Adds the files of which $1 is the beginning, with what stands in front of it; $2 is the kind of compgen.
${own}_files() {
  local file
  while IFS= read -r file; do
    [[ -d $file ]] && file=$file/
    COMPREPLY+=("\${current%"$1"}$file")
  done < <(compgen "$2" -- "$1")
  compopt -o filenames 2> /dev/null
}

# $1 is what it is, $2 the method that is called.
${own}_complete() {
  local method keys
  case $1 in
    words:*) ${own}_add \${1#words:} ;;
    path) ${own}_files "$current" -f ;;
    folder) ${own}_files "$current" -d ;;
    target)
      if [[ $current == file:* ]]; then ${own}_files "\${current#file:}" -f
      else ${own}_add ${[...TARGETS.whole, ...TARGETS.prefixes].join(' ')}; fi ;;
    account) ${own}_add $(${accountsCommand(name)}) ;;
    setting)
      case $2 in
        account) ${own}_complete account ;;
        save) ${own}_complete target ;;
        encrypt-store) ${own}_add ${STORE_ENCRYPTIONS.join(' ')} ;;
      esac ;;
    data) [[ $current == @* ]] && ${own}_files "\${current#@}" -f ;;
    method)
      while read -r method keys; do ${own}_add "$method"; done <<< "$${own}_methods" ;;
    field)
      case $current in
        *=@*) ${own}_files "\${current#*=@}" -f ;;
        *=*) ${own}_add ${PLACEHOLDERS.map((word) => `"\${current%%=*}=${word}"`).join(' ')} ;;
        *)
          while read -r method keys; do
            [[ $method == "$2" ]] && ${own}_add $keys
          done <<< "$${own}_methods" ;;
      esac ;;
  esac
}

${own}() {
  local IFS=$' \\t\\n' rest=\${COMP_LINE:0:COMP_POINT} part words=() starts=() i=0 cut=0
  # The words as the program gets them: bash cuts them at = and : and @ as well.
  for part in "\${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
    if [[ $i -eq 0 || $rest == [[:space:]]* ]]; then
      rest=\${rest#"\${rest%%[![:space:]]*}"}
      words+=('')
      starts+=("$cut")
      i=\${#words[@]}
    fi
    cut=$((cut + 1))
    [[ $rest == "$part"* ]] || part=$rest
    rest=\${rest#"$part"}
    words[i-1]+=$part
  done

  local path= position=0 isover= flag= method= current=\${words[i-1]} takes word begin= at=0
  for word in "\${words[@]:1:i-2}"; do
    at=$((at + 1))
    if [[ -n $begin ]]; then continue
    elif [[ -n $flag && $word != -?* ]]; then flag=
    elif [[ -z $isover && $word == -- ]]; then isover=1
    elif [[ -z $isover && $word == -?* ]]; then
      flag=
      ${own}_value "$path $word" > /dev/null && flag=$word
    elif [[ $position -eq 0 && " $(${own}_commands "$path") " == *" $word "* ]]; then path=\${path:+$path }$word
    else
      [[ $position -eq 0 ]] && method=$word
      [[ $(${own}_argument "$path $position") == command ]] && begin=$at
      position=$((position + 1))
    fi
  done

  COMPREPLY=()
  [[ -z $begin && $current != -* && $(${own}_argument "$path $position") == command ]] && begin=$((i - 1))
  if [[ -n $begin && -z $flag ]]; then
    # What another program takes is for its own completion.
    if declare -F _command_offset > /dev/null; then
      _command_offset "\${starts[begin]}"
      return
    elif [[ $begin -eq $((i - 1)) ]]; then
      COMPREPLY=($(compgen -c -- "$current"))
    else ${own}_files "$current" -f; fi
  elif [[ -n $flag && $current != -* ]]; then ${own}_complete "$(${own}_value "$path $flag")"
  elif [[ -z $isover && $current == --*=* ]]; then
    flag=\${current%%=*}
    takes=$(${own}_value "$path $flag") || return
    current=\${current#*=}
    ${own}_complete "$takes"
    COMPREPLY=("\${COMPREPLY[@]/#/$flag=}")
    current=$flag=$current
  elif [[ -z $isover && $current == -* ]]; then ${own}_add $(${own}_options "$path")
  else
    ${own}_add $(${own}_commands "$path")
    ${own}_complete "$(${own}_argument "$path $position")" "$method"
  fi

  [[ \${#COMPREPLY[@]} -gt 0 ]] || return 0
  # What is not the end of a word gets no space, and what bash has cut off is not replaced.
  [[ \${COMPREPLY[0]} == *[=:/] ]] && compopt -o nospace 2> /dev/null
  local breaks=\${COMP_WORDBREAKS//[[:space:]]/}
  part=\${current%"\${current##*[\${breaks//@/}]}"} # an @ it leaves
  COMPREPLY=("\${COMPREPLY[@]#"$part"}")
}

complete -F ${own} ${name}
`
}

function coded(takes: Taken): string {
  return typeof takes === 'string' ? takes : `words:${takes.join(' ')}`
}

/** Patterns of "command --option". An option that takes the same values everywhere is listed once. */
function valued(outline: Outline): Map<string, string> {
  const options = sharedOptions(outline).flatMap(({ flags, paths, value }) =>
    value === undefined ? [] : flags.map((flag) => ({ flag, paths, takes: coded(value.takes) })),
  )
  return new Map(
    options.map(({ flag, paths, takes }) => {
      const isSame = options.every((other) => other.flag !== flag || other.takes === takes)
      return [isSame ? `*' ${flag}'` : paths.map((path) => `'${path} ${flag}'`).join(' | '), takes]
    }),
  )
}
