/**
 * Real shells, with a completion script in them that belongs to a command which prints its arguments.
 */
import { execFile, spawn } from 'node:child_process'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { HANG_MS } from './machine.ts'

const run = promisify(execFile)

/** The accounts and names that the command lists for the script. */
export const ACCOUNTS = ['alice.example', 'did:plc:ewvi7nxzyoun6zhxrhs64oiz', 'work'] as const

/** What ends an answer; the echo of what was typed holds no control characters. */
const [BEGIN, BETWEEN, END] = ['\x02', '\x1f', '\x03']
const PROMPT = 'READY> '
/** @param names the command that lists accounts and names */
const printer = (names = `printf '%s\\n' ${ACCOUNTS.join(' ')}`) => `atproto-oauth() {
  if [ "$1 $2" = 'accounts --names' ]; then ${names}; return; fi
  printf '\\002'; printf '%s\\037' "$@"; printf '\\003'
}`
/** Inserts all that TAB would offer. */
export const ALL = '\x1b*'

const SETUPS = {
  bash: (script: string) => `. ${script}\nbind '"\\e*": insert-completions'\n`,
  // As a function that zsh loads when it is needed.
  zsh: (script: string) => `fpath=(${script.replace(/\/[^/]*$/, '')} $fpath)
autoload -Uz compinit
compinit -u -D
zle -C all complete-word _generic
zstyle ':completion:all:*' completer _all_matches _complete
zstyle ':completion:all:*' insert true
bindkey '\\e*' all
`,
} as const

const STARTS = { bash: 'bash --norc --noprofile -i', zsh: 'zsh -f -i' } as const

/**
 * Types the lines at a terminal, which `script` provides, each when the shell is ready for it. The shell has no PATH.
 *
 * @param more run by the shell before, in the place of what makes it load the script
 * @param names the command that lists accounts and names
 * @returns the arguments that the command got, of each line
 */
export async function typed(
  shell: keyof typeof STARTS,
  script: string,
  lines: readonly string[],
  { more, names }: { more?: (path: string) => string; names?: string } = {},
): Promise<string[][]> {
  const folder = await mkdtemp(join(tmpdir(), 'completion-'))
  const path = join(folder, '_atproto-oauth')
  await writeFile(path, script)
  const setup = more ? `${more(path)}\n` : SETUPS[shell](path)
  await writeFile(join(folder, 'setup'), `${printer(names)}\n${setup}PATH=/nowhere\n`)
  const child = spawn('script', ['-qec', STARTS[shell], '/dev/null'], {
    cwd: folder,
    env: { PATH: process.env.PATH, TERM: 'dumb', PS1: PROMPT, HOME: folder, HISTFILE: '/dev/null', LC_ALL: 'C.UTF-8' },
    stdio: ['pipe', 'pipe', 'ignore'],
    timeout: HANG_MS,
    killSignal: 'SIGKILL',
  })
  const rest = [...lines]
  let screen = ''
  let from = 0
  child.stdin.write(`. ${folder}/setup; atproto-oauth\n`)
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    screen += chunk
    const end = screen.indexOf(END, from)
    if (end < 0 || !screen.includes(PROMPT, end)) continue
    from = end + 1
    const next = rest.shift()
    child.stdin.write(next === undefined ? 'exit\n' : `${next}\n`)
  }
  const answers = screen.split(END).slice(0, -1)
  if (answers.length <= lines.length) throw new Error(`the shell stopped: ${screen.slice(-2000)}`)
  return answers.slice(1).map((answer) =>
    answer
      .slice(answer.indexOf(BEGIN) + 1)
      .split(BETWEEN)
      .slice(0, -1),
  )
}

/** What fish offers for the last word of each line. */
export async function offeredByFish(
  script: string,
  lines: readonly string[],
  cwd: string,
  names = `string join \\n -- ${ACCOUNTS.join(' ')}`,
): Promise<string[][]> {
  const commands = lines.map((line) => `complete -C ${quoted(line)}; echo ${BETWEEN}`)
  const path = join(await mkdtemp(join(tmpdir(), 'completion-')), 'script.fish')
  await writeFile(path, script)
  const accounts = `function atproto-oauth; ${names}; end`
  const source = `source ${quoted(path)}\nset -g PATH /nowhere\n${accounts}\n${commands.join('\n')}`
  const { stdout } = await run('fish', ['--no-config', '-c', source], { cwd, env: { ...process.env, HOME: cwd } })
  return stdout
    .split(`${BETWEEN}\n`)
    .slice(0, -1)
    .map((text) =>
      text
        .split('\n')
        .slice(0, -1)
        .map((line) => line.split('\t')[0]!),
    )
}

function quoted(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&')}'`
}
