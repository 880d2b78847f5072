import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

/** A flag, a command of ours, a variable of ours: of these only the command line itself knows. */
const COMMAND_LINE =
  /(?<![\w-])--[a-z][\w-]*|\batproto-oauth [a-z<-]|\bATPROTO_OAUTH_\w*|(?<=`)(?:call|complete|doctor|export|import|init|lease|login|proof|refresh|revoke|status)(?=\\?`)/g
/** The command line, and the variables as a format of a session. */
const MAY_NAME_IT = /^(?:cli|credentials)\//
/** Flags of other programs that are run, by file. */
const OF_OTHERS: Readonly<Record<string, readonly string[]>> = {
  'node/keychain/secret-service.ts': ['--label'],
  'node/save/program.ts': ['--env', '--env-file', '--repo'],
  'node/vault/git-cache.ts': ['--bare', '--object-format', '--quiet', '--template'],
  'node/vault/git-objects.ts': ['--batch', '--stdin'],
  'node/vault/git-program.ts': ['--get', '--git-dir', '--version'],
  'node/vault/git-remote.ts': ['--get', '--git-dir', '--push', '--quiet', '--short', '--show-toplevel'],
  'node/vault/git.ts': [
    '--depth',
    '--dry-run',
    '--force-with-lease',
    '--is-ancestor',
    '--no-signed',
    '--no-tags',
    '--no-verify',
    '--porcelain',
    '--quiet',
  ],
}

const FILES = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => file.endsWith('.ts') && !MAY_NAME_IT.test(file))
  .sort()

/** What is named outside of comments, sorted. */
function named(source: string): string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\/|(?<!:)\/\/.*$/gm, '')
  return [...new Set(code.match(COMMAND_LINE) ?? [])].sort()
}

test.each(FILES)('src/%s names no flag, command or variable of the command line', (file) => {
  expect(named(readFileSync(`src/${file}`, 'utf8'))).toStrictEqual(OF_OTHERS[file] ?? [])
})

test('the rule catches what it is for', () => {
  expect(named("hint('add --dev') // not --home")).toStrictEqual(['--dev'])
  expect(named("'run: atproto-oauth init did:plc:…'")).toStrictEqual(['atproto-oauth i'])
  expect(named("'run `init` again'; return `\\`import\\` it`")).toStrictEqual(['import', 'init'])
  expect(named("const name = 'ATPROTO_OAUTH_DID'")).toStrictEqual(['ATPROTO_OAUTH_DID'])
  expect(named("at--; join(tmp, 'atproto-oauth-1.json'); get('https://x.dev/--a')")).toStrictEqual(['--a'])
})
