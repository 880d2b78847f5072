import { expect, test } from 'vitest'
import { manPage } from '../scripts/build/man.ts'
import { run } from './support/cli.ts'
import { createFakeWorld } from './support/fake-atproto.ts'

const page = await manPage()
const MARKS: Readonly<Record<string, string>> = { '-': '-', e: '\\', '&': '', aq: "'", ga: '`', ha: '^', ti: '~' }
/** Of `.SS` and `.SH`, as a reader of roff shows them. */
const sections = new Map(
  page.split(/^\.S[HS] /m).map((text) => {
    const shown = text
      .replace(/\\f[BIR]|^\.\w+ ?/gm, '')
      .replace(/\\\[u([0-9A-F]+)\]/g, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)))
      .replace(/\\(?:\((..)|([-e&]))/g, (_, name: string, sign: string) => MARKS[name ?? sign]!)
    return [shown.slice(0, shown.indexOf('\n')), shown.slice(shown.indexOf('\n'))]
  }),
)

function words(text: string): Set<string> {
  return new Set(text.toLowerCase().match(/[\w…-]+/g))
}

test('the page is ASCII, and no line of text is taken for a request', () => {
  expect(page).toMatch(/^\.TH ATPROTO\\-OAUTH 1\n/)
  expect(page).not.toMatch(/[^\n -~]/)
  const requests = [...page.matchAll(/^[.'].*/gm)].map(([line]) => line.split(' ')[0])
  expect(new Set(requests)).toStrictEqual(new Set(['.TH', '.SH', '.SS', '.PP', '.TP', '.I', '.br', '.EX', '.EE']))
})

const COMMANDS = [
  ...[
    'init',
    'complete',
    'login',
    'call',
    'status',
    'whoami',
    'accounts list',
    'accounts use',
    'accounts name',
    'refresh',
    'lease',
    'revoke',
    'proof',
    'run',
  ],
  ...['import', 'export', 'scope explain', 'scope resolve', 'client new', 'client check'],
  ...['vault new', 'vault use', 'vault key', 'vault check', 'vault list', 'vault rekey', 'vault move'],
  ...['vault remove', 'vault destroy'],
  ...['config list', 'config get', 'config set', 'config unset'],
  ...['doctor', 'completion'],
]

test('the sections', () => {
  expect([...sections.keys()].slice(1)).toStrictEqual([
    ...['NAME', 'SYNOPSIS', 'DESCRIPTION', 'COMMANDS', ...COMMANDS],
    ...['GLOBAL OPTIONS', 'QUICK START', 'ENVIRONMENT VARIABLES FOR CREDENTIALS', 'EXIT CODES'],
  ])
})

test.each(COMMANDS)('all that `%s --help` says is there', async (command) => {
  const { stdout } = await run(createFakeWorld(), [...command.split(' '), '--help'])
  const there = words(sections.get(command)! + sections.get('GLOBAL OPTIONS')!)
  // Headings, and what commander says of choices.
  const own = ['usage', 'arguments', 'options', 'global', 'batch', 'choices']
  expect([...words(stdout)].filter((word) => !there.has(word) && !own.includes(word))).toStrictEqual([])
})

test('what the program’s own help says is there', async () => {
  const { stdout } = await run(createFakeWorld(), ['--help'])
  const there = words([...sections].flat().join('\n'))
  const guide = stdout.slice(stdout.indexOf('Quick start:'))
  expect([...words(guide)].filter((word) => !there.has(word))).toStrictEqual([])
  expect(there).toContain('--version')
})
