import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { SHELLS } from '../../../src/cli/completion/completion.ts'
import { SETTING_KEYS } from '../../../src/cli/config/keys.ts'
import { TEXT_FORMATS } from '../../../src/credentials/write.ts'
import { PRESET_NAMES } from '../../../src/protocol/scope/presets.ts'
import { run } from '../../support/cli.ts'
import { createFakeWorld } from '../../support/fake-atproto.ts'
import { lacks } from '../../support/machine.ts'
import { ACCOUNTS, ALL, offeredByFish, typed } from '../../support/shells.ts'

const scripts: Record<string, string> = {}
/** With a file `post.json` and a folder `below` in it. */
let folder = ''

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'completion-'))
  await writeFile(join(folder, 'post.json'), '{}')
  await mkdir(join(folder, 'below', 'here'), { recursive: true })
  for (const shell of SHELLS) scripts[shell] = (await run(createFakeWorld(), ['completion', shell])).stdout
})

const COMMANDS = [
  ...['accounts', 'call', 'client', 'complete', 'completion', 'config', 'doctor', 'export', 'import', 'init'],
  ...['lease', 'login', 'proof', 'refresh', 'revoke', 'run', 'scope', 'status', 'vault', 'whoami'],
]
const LIST = 'com.atproto.repo.listRecords'
const CREATE = 'com.atproto.repo.createRecord'
const EVERYWHERE = [
  ...['--dev', '--handle-resolver', '--help', '--home', '--json', '--plc-url', '--quiet', '--verbose'],
  ...['-h', '-q', '-v'],
]
const POST = () => `${folder}/post.json`

/** A line, and all that is offered for its last word. */
const OFFERED: [line: () => string, offered: () => readonly string[]][] = [
  [() => '', () => COMMANDS],
  [() => 'ca', () => ['call']],
  [() => 'client ', () => ['check', 'new']],
  [() => 'vault ', () => ['check', 'destroy', 'key', 'list', 'move', 'new', 'rekey', 'remove', 'use']],
  [
    () => 'vault destroy --',
    () => ['--abandon-sessions', '--yes', ...EVERYWHERE.filter((flag) => flag.startsWith('--'))],
  ],
  [() => 'vault use ', () => []],
  [() => 'status --account ', () => ACCOUNTS],
  [() => 'call --account al', () => ['alice.example']],
  [() => 'refresh --account=w', () => ['--account=work']],
  [() => 'accounts ', () => ['list', 'name', 'use']],
  [() => 'accounts use did:p', () => [ACCOUNTS[1]]],
  [() => 'accounts name ', () => ACCOUNTS],
  [() => 'config ', () => ['get', 'list', 'set', 'unset']],
  [() => 'config get ', () => SETTING_KEYS],
  [() => 'config set cl', () => ['client-id']],
  [() => 'config set encrypt-store ', () => ['keychain', 'off', 'passphrase']],
  [() => 'config set save ', () => ['exec:', 'file:', 'gh:', 'store', 'vault']],
  [() => 'config set save store e', () => ['exec:']],
  [() => 'config set account ', () => ACCOUNTS],
  [() => '--home /x client ', () => ['check', 'new']],
  [() => '--home client ', () => COMMANDS],
  [() => 'status client ', () => []],
  [() => 'init ', () => []],
  [() => 'completion ', () => SHELLS],
  [() => 'revoke -', () => [...EVERYWHERE, '--account', '--others']],
  [() => 'client new --re', () => ['--retire-key']],
  [() => 'client --re', () => []],
  [() => 'complete --format ', () => [...TEXT_FORMATS, 'github']],
  [() => 'client new --format bun', () => []],
  [() => 'lease --format=do', () => ['--format=dotenv']],
  [() => 'init alice.example.com --for p', () => PRESET_NAMES.filter((name) => name.startsWith('p'))],
  [() => 'login --for post --for rea', () => ['read']],
  [() => 'login --scope ', () => []],
  [() => 'call --proxy c', () => ['chat']],
  [() => 'refresh --save ', () => ['exec:', 'file:', 'gh:', 'store', 'vault']],
  [() => `refresh --save file:${folder}/po`, () => [`file:${POST()}`]],
  [() => `call --upload ${folder}/po`, () => [POST()]],
  [() => `call -o ${folder}/be`, () => [`${folder}/below/`]],
  [() => `status --home ${folder}/`, () => [`${folder}/below/`]],
  [() => `call ${CREATE} -d @${folder}/po`, () => [`@${POST()}`]],
  [() => 'call com.atproto.repo.listR', () => [LIST]],
  [() => 'call --home /x com.atproto.repo.listR', () => [LIST]],
  [
    () => `call --list app.bsky.actor.g`,
    () => ['getPreferences', 'getProfile', 'getProfiles', 'getSuggestions'].map((name) => `app.bsky.actor.${name}`),
  ],
  [() => 'call com.atproto.server.createApp', () => []],
  [() => `call ${LIST} `, () => ['repo=', 'collection=', 'limit=', 'cursor=', 'reverse=']],
  [() => `call --pretty ${CREATE} repo={did} re`, () => ['record=', 'repo=']],
  [() => `call ${LIST} repo={h`, () => ['repo={handle}']],
  [() => `call ${CREATE} record=@${folder}/po`, () => [`record=@${POST()}`]],
  [() => 'call com.example.unknown ', () => []],
  [() => 'proof ', () => ['GET', 'POST']],
  [() => 'proof GET https://pds.example.com/xrpc/x -- builti', () => ['builtin']],
  [() => 'run --read', () => ['--read-only']],
  [() => 'run --as goa', () => ['goat']],
  [() => 'run builti', () => ['builtin']],
  [() => 'run --read-only -- builti', () => ['builtin']],
  [() => `run --env A=b cat ${folder}/po`, () => [POST()]],
  [() => `run -- cat --as ${folder}/po`, () => [POST()]],
  [() => 'run cat --read', () => []],
]

/** A folder is a folder, with or without its slash. */
function sorted(words: readonly string[]): string[] {
  return words.map((word) => word.replace(/(?<=.)\/$/, '')).sort()
}

function expectOffered(actual: readonly (readonly string[])[]): void {
  const told = (each: readonly (readonly string[])[]) =>
    OFFERED.map(([line], at) => `atproto-oauth ${line()} → ${sorted(each[at]!).join(' ')}`)
  expect(told(actual)).toStrictEqual(told(OFFERED.map(([, offered]) => offered())))
}

test.for(['bash', 'zsh'] as const)(
  '%s offers what there is, and starts a program for accounts only',
  async (shell, { skip }) => {
    skip(lacks(shell, 'script'))
    const lines = OFFERED.map(([line]) => line())
    const got = await typed(
      shell,
      scripts[shell]!,
      lines.map((line) => `atproto-oauth ${line}${ALL}`),
    )
    // Where nothing is offered, the line stays as it was typed.
    expectOffered(
      got.map((words, at) => {
        const before = lines[at]!.split(' ')
        const last = before.pop()
        const rest = words.slice(before.length)
        return rest.length === 1 && rest[0] === last ? [] : rest
      }),
    )
  },
)

test.skipIf(lacks('fish'))('fish offers what there is, and starts a program for accounts only', async () => {
  expectOffered(
    await offeredByFish(
      scripts.fish!,
      OFFERED.map(([line]) => `atproto-oauth ${line()}`),
      folder,
    ),
  )
})

test.skipIf(lacks('fish'))('fish shows what commands and options do', async () => {
  const path = join(folder, 'shown.fish')
  await writeFile(path, `${scripts.fish}complete -C 'atproto-oauth ca'\ncomplete -C 'atproto-oauth call --dr'\n`)
  const said = execFileSync('fish', ['--no-config', path], { encoding: 'utf8' })
  expect(said).toBe(
    'call\tSend XRPC requests as the signed-in account\n--dry-run\tPrint the request without sending it\n',
  )
})

test.for([
  ['bash', (path: string) => `eval "$(< ${path})"`],
  ['zsh', (path: string) => `autoload -Uz compinit; compinit -u -D; eval "$(< ${path})"`],
] as const)(
  '%s: a line written with TAB alone, its words ended where they are at an end',
  async ([shell, load], { skip }) => {
    skip(lacks(shell, 'script'))
    const home = `${folder}/bel\there/`
    const line = `atproto-oauth cal\t--hom\t${home} com.atproto.repo.createR\trep\t{d\trec\t@${folder}/pos\t--wa\t`
    expect(await typed(shell, scripts[shell]!, [line], { more: load })).toStrictEqual([
      [
        'call',
        ...(shell === 'zsh' ? [`--home=${folder}/below/here/`] : ['--home', `${folder}/below/here/`]),
        CREATE,
        'repo={did}',
        `record=@${POST()}`,
        '--wait',
      ],
    ])
  },
)

test.skipIf(lacks('bash'))(
  'bash with bash-completion: another program is completed by its own completion',
  async () => {
    const path = join(folder, 'offset.bash')
    // What is typed, as bash cuts it, and what the other completion is told: where its command begins.
    await writeFile(
      path,
      `${scripts.bash}
_command_offset() { COMPREPLY=("$1:\${COMP_WORDS[$1]}"); }
tell() {
  COMP_LINE=$1 COMP_POINT=\${#1}; shift
  COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
  _atproto_oauth
  echo "\${COMPREPLY[*]}"
}
tell 'atproto-oauth run git che' atproto-oauth run git che
tell 'atproto-oauth run --env A=b -- git --as che' atproto-oauth run --env A = b -- git --as che
tell 'atproto-oauth run g' atproto-oauth run g
tell 'atproto-oauth run --read' atproto-oauth run --read
`,
    )
    expect(execFileSync('bash', ['--norc', path], { encoding: 'utf8' })).toBe('2:git\n7:git\n2:g\n--read-only\n')
  },
)

test.for([
  ['bash', '-n'],
  ['zsh', '-n'],
  ['fish', '--no-execute'],
] as const)('%s finds nothing wrong with the script', async ([shell, check], { skip }) => {
  skip(lacks(shell))
  const path = join(folder, shell)
  await writeFile(path, scripts[shell]!)
  expect(() => execFileSync(shell, [check, path], { stdio: 'pipe' })).not.toThrow()
})

test('another shell: 2, and which ones there are', async () => {
  const { code, stdout, stderr } = await run(createFakeWorld(), ['completion', 'powershell'])
  expect({ code, stdout }).toStrictEqual({ code: 2, stdout: '' })
  expect(stderr).toContain('[USAGE]\natproto-oauth: hint: ')
  expect(stderr).toContain('hint: use one of bash, zsh, fish\n')
})

test('settings that no other command would start with are not looked at', async () => {
  const env = { ATPROTO_OAUTH_CLIENT_JWK: 'none', ATPROTO_OAUTH_DEV: 'perhaps', ATPROTO_OAUTH_SAVE: 'nowhere' }
  expect(await run(createFakeWorld(), ['completion', 'bash'], { env })).toStrictEqual({
    code: 0,
    stdout: scripts.bash,
    stderr: '',
  })
})
