/**
 * Errors of the command line: commander's messages in our words, and what was meant by the slips that people make.
 */
import type { Command, CommanderError } from 'commander'
import { OAuthError } from '../errors.ts'
import { asHandle, isDid } from '../protocol/identity/syntax.ts'
import { isAtprotoToken } from '../protocol/scope/permission.ts'
import { isPreset } from '../protocol/scope/presets.ts'
import { findMethod } from '../protocol/xrpc/lexicons.ts'
import { CliError } from './errors.ts'
import { shellQuote } from './shell.ts'

export function usageError(error: CommanderError, program: Command, words: readonly string[]): OAuthError {
  if (error.code === 'commander.help') return new OAuthError('USAGE', 'a command is missing')
  const message = unknownOfGroup(error, program) ?? reworded(error.message)
  const hint = hintFor(error, program, words)
  if (hint === undefined) return new OAuthError('USAGE', message)
  // A name that only looks similar would contradict the hint.
  return new CliError('USAGE', message.replace(/: did you mean [^?]*\?$/, ''), { hint })
}

/** Commander takes it for an argument of the default command. */
function unknownOfGroup({ code }: CommanderError, program: Command): string | undefined {
  const accounts = program.commands.find((command) => command.name() === 'accounts')
  const [word] = accounts?.args ?? []
  if (code !== 'commander.excessArguments' || word === undefined || isCommand(word, accounts!)) return undefined
  return word.startsWith('-') ? undefined : `unknown command ${JSON.stringify(word)}`
}

/** Commander's messages in the form of ours: the value in double quotes, one sentence, no full stop. */
function reworded(message: string): string {
  return message
    .replace(/^error: /, '')
    .replace(
      /^option '(?:-\w, )?(--[\w-]+).*?' argument '([\s\S]*)' is invalid\. (?:(Allowed choices are )|It )([\s\S]*)\.$/,
      (_, flag, value, choices, rule) =>
        `invalid value ${JSON.stringify(value)} for ${flag}: ${choices ? 'use one of ' : 'it '}${rule}`,
    )
    .replace(/^option '(?:-\w, )?(--[\w-]+).*' argument missing$/, '$1 needs a value')
    .replace(/^missing required argument '(.*)'$/, 'missing argument $1')
    .replace(
      /^too many arguments for '(.*)'\. Expected (.*) but got (\d+)\.$/,
      'too many arguments for $1: expected $2, got $3',
    )
    .replace(/^option '(.*?)(?: <.*?>)?' cannot be used with option '(.*?)(?: <.*?>)?'$/, '$1 cannot be used with $2')
    .replace(/^unknown (option|command) '([^']*)'/, (_, what, value) => `unknown ${what} ${JSON.stringify(value)}`)
    .replace(/\s*\(Did you mean (.*)\?\)$/, ': did you mean $1?')
}

function hintFor({ code, message }: CommanderError, program: Command, words: readonly string[]): string | undefined {
  const [, unknown = ''] = /^error: unknown (?:command|option) '([^']*)'/.exec(message) ?? []
  const command = program.commands.find(({ args }) => args.length > 0) ?? named(program, words)
  switch (code) {
    case 'commander.unknownCommand':
      return commandHint(unknown, program, words)
    case 'commander.unknownOption':
      return optionHint(unknown, command, program, words)
    case 'commander.excessArguments':
      return command && excessHint(command, words)
    case 'commander.missingArgument': {
      const [url = ''] = command?.name() === 'proof' ? command.args : []
      return /^https?:[^@]*$/i.test(url) ? `atproto-oauth proof GET ${shellQuote(url)}` : undefined
    }
    case 'commander.invalidArgument':
      return choiceHint(message)
    default:
      return undefined
  }
}

/** The command whose name comes first. */
function named(program: Command, words: readonly string[]): Command | undefined {
  const name = words.find((word) => isCommand(word, program))
  return program.commands.find((command) => command.name() === name)
}

function isCommand(word: string, { commands }: Command): boolean {
  return commands.some((command) => command.name() === word)
}

function commandHint(unknown: string, program: Command, words: readonly string[]): string | undefined {
  if (Object.hasOwn(OTHER_NAMES, unknown)) return `atproto-oauth ${OTHER_NAMES[unknown]}`
  const lower = unknown.toLowerCase()
  const group = words.find((word) => isCommand(word, program))
  if (group === 'config' && Object.hasOwn(OF_CONFIG, lower)) return `atproto-oauth config ${OF_CONFIG[lower]}`
  if (group === 'scope' && /^(?:check|describe|list|ls|show)$/.test(lower)) return 'atproto-oauth scope explain'
  if (group === 'scope' && isAtprotoToken(unknown.split(/[\s,+]/)[0]!)) {
    const scope = words.slice(words.indexOf(unknown)).filter((word) => !word.startsWith('-'))
    return `atproto-oauth scope explain ${shellQuote(scope.join(' '))}`
  }
  if (isCommand(lower, program)) return `atproto-oauth ${lower}${words.length > 1 ? ' --help' : ''}`
  // A line that was copied with its prompt, or behind an alias.
  if (!/^(?:npx|sudo|\$|atproto-oauth(?:@.*)?)$/.test(unknown)) return undefined
  const next = words.find((word) => isCommand(word, program))
  return next && `begin with the command itself: atproto-oauth ${next} --help`
}

function optionHint(
  unknown: string,
  command: Command | undefined,
  program: Command,
  words: readonly string[],
): string | undefined {
  const flag = unknown.replace(/=.*/s, '')
  if (unknown !== flag && SWITCHES.has(flag)) return `omit the value: ${flag}`
  const options = command?.options ?? []
  const doubled = /^-\w{2,}$/.test(flag) ? `-${flag}` : flag
  const known = options.find(({ long, short }) => long === doubled || short === flag)
  if (known !== undefined && doubled !== flag) return `write it with two hyphens: ${doubled}`
  if (known !== undefined && words.indexOf(unknown) < words.indexOf(command!.name())) {
    return `write the options of ${command!.name()} after it: atproto-oauth ${command!.name()} ${flag}`
  }
  const inGroup = subcommandIn(command, program, words.slice(words.indexOf(unknown)))
  if (inGroup !== undefined && program.options.some(({ long, short }) => long === doubled || short === flag)) {
    return writtenAfter(inGroup, command!, flag)
  }
  const settings = command?.commands.find((each) => each.name() === 'set')?.registeredArguments[0]?.description ?? ''
  if (command?.name() === 'config' && settings.split(/[ ,]+/).includes(flag.slice(2))) {
    return `write the name of a setting without hyphens: ${flag.replace(/^--/, '')}`
  }
  if (command?.name() === 'proof' && words.includes('curl')) return 'write -- before curl'
  if (NAMES_ACCOUNT.has(flag) || NAMES_SERVER.has(flag)) return accountHint(flag, command)
  const own = OWN_OPTIONS[command?.name() ?? '']
  if (own !== undefined && Object.hasOwn(own, flag)) return own[flag]
  if (Object.hasOwn(OTHER_OPTIONS, flag)) return OTHER_OPTIONS[flag]
  const method = findMethod(words.find((word) => findMethod(word) !== undefined) ?? '')
  const field = [...(method?.parameters ?? []), ...(method?.input?.fields ?? [])].find(
    ({ name }) => `--${name}` === flag,
  )
  return field && `write fields without hyphens: ${field.name}=value`
}

function writtenAfter(name: string, group: Command, option: string): string {
  return `write options after ${name}: atproto-oauth ${group.name()} ${name} ${option}`
}

/** The subcommand in a line that has an option before it. */
function subcommandIn(command: Command | undefined, program: Command, words: readonly string[]): string | undefined {
  const { commands = [] } = program.commands.find((each) => each === command) ?? {}
  return words.find((word) => commands.some((each) => each.name() === word))
}

/** What other programs call the account or its server. */
const NAMES_ACCOUNT: ReadonlySet<string> = new Set([
  ...['--handle', '--identifier', '--login', '--user', '--username', '--profile', '-u'],
])
const NAMES_SERVER: ReadonlySet<string> = new Set(['--endpoint-url', '--host', '--pds', '--pds-host', '--server'])

function accountHint(flag: string, command: Command | undefined): string | undefined {
  const name = command?.name() ?? 'init'
  if (command?.options.some(({ long }) => long === '--account')) {
    return NAMES_SERVER.has(flag)
      ? 'omit it: requests go to the PDS of the account'
      : 'choose the session with --account'
  }
  if (!['init', 'login', 'doctor'].includes(name)) return undefined
  return NAMES_SERVER.has(flag)
    ? `write the URL of the server in place of the handle, as in: atproto-oauth ${name} https://bsky.social`
    : `write the handle without a flag, as in: atproto-oauth ${name} alice.bsky.social`
}

/** Global options without a value. */
const SWITCHES: ReadonlySet<string> = new Set(['--dev', '--help', '--json', '--quiet', '--verbose', '--version'])

function excessHint(command: Command, words: readonly string[]): string | undefined {
  const { args } = command
  const line = (changed: readonly string[]) => `atproto-oauth ${changed.map(shellQuote).join(' ')}`
  const withFlag = (flag: string, meant: readonly string[]) =>
    line(
      words.flatMap((each, index) =>
        meant.includes(each) && words[index - 1] !== flag ? [flag, each.replace(/^@/, '')] : [each],
      ),
    )
  const dash = args.find((word) => /^[\u2010-\u2015\u2212]/.test(word))
  if (dash !== undefined)
    return `begin options with two hyphens: --${dash.replace(/^[\u2010-\u2015\u2212-]+/, '').replace(/=.*/s, '')}`
  const at = words.indexOf('--scope')
  const permissions = at < 0 ? [] : words.slice(at + 1)
  const end = permissions.findIndex((word) => !isAtprotoToken(word))
  const scope = end < 0 ? permissions : permissions.slice(0, end)
  if (scope.length > 1 && args.includes(scope[1]!)) {
    return line([...words.slice(0, at + 1), scope.join(' '), ...words.slice(at + 1 + scope.length)])
  }
  const { parent: program } = command
  if (program && args.some((word) => isCommand(word, program))) return 'run one command at a time'
  if (command.name() === 'accounts') {
    const name = args.find((each) => !each.startsWith('-')) ?? ''
    // An option before the name: commander takes the name as an argument of the default command.
    if (isCommand(name, command)) return name === args[0] ? undefined : writtenAfter(name, command, args[0]!)
    if (Object.hasOwn(OF_ACCOUNTS, name)) return `atproto-oauth ${OF_ACCOUNTS[name]}`
    if (args.length > 1) return 'atproto-oauth accounts --help'
  }
  const tasks = args.filter(isPreset)
  if (tasks.length > 0 && command.options.some(({ long }) => long === '--for')) return withFlag('--for', tasks)
  const [word, ...rest] = args
  if (word === undefined || rest.length > 0) return undefined
  if (command.name() === 'accounts')
    return LISTS.has(word)
      ? 'atproto-oauth accounts'
      : `to use this account by default: ${line(['accounts', 'use', word.replace(/^@/, '')])}`
  if (command.name() === 'lease' && /^\d+[smhd]$/.test(word)) return withFlag('--at-least', [word])
  if (/\.(?:json|env|txt)$/.test(word))
    return `redirect stdout to write a file: atproto-oauth ${command.name()} > ${shellQuote(word)}`
  // The only argument of a command that takes the account as an option.
  const takesAccount = command.options.some(({ long }) => long === '--account')
  if (!takesAccount || !(isDid(word) || asHandle(word.replace(/^@/, '')))) return undefined
  return withFlag('--account', [word])
}

/** Values joined by commas, or in other letters. */
function choiceHint(message: string): string | undefined {
  const [, flag, value = '', choices = ''] =
    /^error: option '(?:-\w, )?(--[\w-]+).*?' argument '([\s\S]*)' is invalid\. Allowed choices are ([\s\S]*)\.$/.exec(
      message,
    ) ?? []
  const meant = value.split(/[\s,;]+/).map((each) => choices.split(', ').find((one) => one === each.toLowerCase()))
  if (flag === undefined || meant.includes(undefined)) return undefined
  return meant.length > 1
    ? `repeat the option: ${meant.map((one) => `${flag} ${one}`).join(' ')}`
    : `write it as ${flag} ${meant[0]}`
}

const PERMISSIONS_OF_LOGIN =
  'permissions are requested at the login, as in: atproto-oauth login alice.bsky.social --for post'

/** What other programs call these commands. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  api: 'call --list',
  auth: 'login --help',
  authorize: 'login --help',
  configure: 'config --help',
  list: 'accounts',
  exec: 'run --help',
  'log-in': 'login --help',
  'log-out': 'revoke',
  logout: 'revoke',
  ls: 'accounts',
  permissions: 'scope explain --help',
  profiles: 'accounts',
  proxy: 'run --help',
  renew: 'refresh',
  request: 'call --list',
  rotate: 'refresh',
  scopes: 'scope explain --help',
  sessions: 'accounts',
  settings: 'config list',
  'sign-in': 'login --help',
  'sign-out': 'revoke',
  signin: 'login --help',
  signout: 'revoke',
  switch: 'accounts use',
  token: 'lease',
  version: '--version',
  xrpc: 'call --list',
}

/** Slips in `accounts list`. */
const LISTS: ReadonlySet<string> = new Set(['all', 'ls', 'lsit', 'lst', 'show'])

/** What other programs call the commands of `accounts`. */
const OF_ACCOUNTS: Readonly<Record<string, string>> = {
  add: 'login --help',
  default: 'accounts use --help',
  delete: 'revoke --help',
  login: 'login --help',
  logout: 'revoke --help',
  remove: 'revoke --help',
  rename: 'accounts name --help',
  rm: 'revoke --help',
  select: 'accounts use --help',
  set: 'accounts use --help',
  switch: 'accounts use --help',
}

/** What other programs call the commands of `config`. */
const OF_CONFIG: Readonly<Record<string, string>> = {
  add: 'set --help',
  delete: 'unset --help',
  edit: 'set --help',
  ls: 'list',
  path: 'list --json',
  remove: 'unset --help',
  rm: 'unset --help',
  show: 'list',
}

const NO_PASSWORD = 'omit the password: it is typed on the sign-in page of the server, in the browser'
const NO_SECRETS =
  'set a variable instead, because other users can see command lines; its name is in: atproto-oauth --help'
const TO_FILE = 'redirect stdout to write a file, or add --json for JSON'
const NO_QUESTIONS = 'omit it: nothing is asked for confirmation'

/** What other programs call these options, or what takes their place here. */
const OTHER_OPTIONS: Readonly<Record<string, string>> = {
  '--access-token': NO_SECRETS,
  '--app-password': NO_PASSWORD,
  '--color': 'set FORCE_COLOR=1',
  '--debug': 'add --verbose',
  '--env-file': 'load the file first: set -a; . ./session.env; set +a',
  '--insecure': 'set NODE_EXTRA_CA_CERTS to a PEM file with the certificate of the CA',
  '--no-color': 'set NO_COLOR=1',
  '--non-interactive': NO_QUESTIONS,
  '--password': NO_PASSWORD,
  '--refresh-token': NO_SECRETS,
  '--silent': 'add --quiet',
  '--token': NO_SECRETS,
  '--yes': NO_QUESTIONS,
  '-k': 'set NODE_EXTRA_CA_CERTS to a PEM file with the certificate of the CA',
  '-y': NO_QUESTIONS,
}

/** The same for single commands. */
const OWN_OPTIONS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  call: {
    '--data-binary': 'send a file with --upload, or JSON with -d @FILE',
    '--data-raw': 'send JSON with -d',
    '--data-urlencode': 'write each field as key=value',
    '--form': 'send a file with --upload',
    '--jq': 'pipe the response into jq',
    '--upload-file': 'send a file with --upload',
    '-F': 'send a file with --upload, or write each field as key=value',
    '-L': 'omit it: redirects are not followed',
    '-T': 'send a file with --upload',
    '-f': 'write each field as key=value',
    '-s': 'add --quiet',
  },
  complete: { '--output': TO_FILE, '-o': TO_FILE },
  export: { '--format': 'omit it: the session is always JSON', '--output': TO_FILE, '-o': TO_FILE },
  init: { '-p': NO_PASSWORD },
  lease: { '--expires-in': 'add --at-least 30m', '--output': TO_FILE, '--ttl': 'add --at-least 30m', '-o': TO_FILE },
  login: {
    '--browser': 'set BROWSER to the program',
    '--no-browser': 'use the two commands init and complete instead',
    '--port': 'omit it: a free port is used',
    '-p': NO_PASSWORD,
  },
  refresh: {
    '--force': 'omit it: the tokens are always refreshed, unless --if-older-than is given',
    '--output': TO_FILE,
    '-f': 'omit it: the tokens are always refreshed, unless --if-older-than is given',
  },
  revoke: {
    '--all': 'revoke the session with revoke, and earlier ones with revoke --others',
    '--force': NO_QUESTIONS,
    '-f': NO_QUESTIONS,
  },
  run: {
    '--app-password': 'omit it: the program gets a password for this run',
    '--env-file': 'load the file first: set -a; . ./bot.env; set +a',
    '--environment': 'set variables with --env NAME=VALUE',
    '--for': PERMISSIONS_OF_LOGIN,
    '--password': 'omit it: the program gets a password for this run',
    '--port': 'choose the port with --listen 8080',
    '--readonly': 'add --read-only',
    '--scope': PERMISSIONS_OF_LOGIN,
    '-e': 'set variables with --env NAME=VALUE',
    '-l': 'choose the port with --listen 8080',
    '-p': 'choose the port with --listen 8080',
  },
  status: {
    '-a': 'add --all',
    '--format': 'add --json',
    '--output': 'add --json',
    '--watch': 'use watch: watch atproto-oauth status',
    '-o': 'add --json',
  },
}
