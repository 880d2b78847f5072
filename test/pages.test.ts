import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import packageJson from '../package.json' with { type: 'json' }
import { withHelp } from '../scripts/build/help.ts'
import { readPages } from '../scripts/docs/pages.ts'
import { withPrograms } from '../scripts/docs/programs.ts'
import { nextChangelog, pinned } from '../scripts/release/changelog.ts'
import { COMMANDS } from '../src/cli/commands.ts'
import { GLOBAL_OPTIONS } from '../src/cli/options.ts'
import { blocksOf } from './support/blocks.ts'

const pages = await readPages()
const pageAt = (path: string) => pages.find((page) => page.path === path)!.text
const README = pageAt('README.md')
const SUBCOMMANDS: Readonly<Record<string, readonly string[]>> = {
  accounts: ['accounts list', 'accounts name', 'accounts use'],
  client: ['client new', 'client check'],
  config: ['list', 'get', 'set', 'unset'].map((name) => `config ${name}`),
  scope: ['scope explain', 'scope resolve'],
  vault: ['new', 'use', 'key', 'check', 'list', 'rekey', 'move', 'remove', 'destroy'].map((name) => `vault ${name}`),
}
const names = COMMANDS.flatMap(({ name }) => SUBCOMMANDS[name] ?? [name]).sort()

/** As GitHub makes them of headings. */
const anchors = (text: string) =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  )

describe.each(pages)('$path', ({ path, text }) => {
  test('the help and the tables in it are those of today (else: npm run docs)', async () => {
    expect(withPrograms(await withHelp(text))).toBe(text)
  })

  test('each of its boxes says what it is, and only generated text is not run', () => {
    const helps = [...text.matchAll(/^<!-- help: /gm)].length
    const languages = blocksOf({ path, text, url: new URL(`file:///${path}`) }).map(({ language }) => language)
    expect(languages.filter((language) => language === 'text')).toHaveLength(helps)
    for (const language of languages)
      expect(['sh', 'console', 'yaml', 'js', 'ts', 'python', 'text']).toContain(language)
    expect(text.replace(/^```[\s\S]*?^```$/gm, '')).not.toMatch(/^(?: {4}|\t|~~~|```)/m)
  })
})

test.each([
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
])('the links of %s lead somewhere, its pictures too', (path) => {
  const text = readFileSync(path, 'utf8')
  for (const [, target] of text.matchAll(/\]\(((?!https?:)[^)]*)\)/g)) {
    const [file = '', anchor] = target!.split('#')
    const there = join(dirname(path), file)
    if (file !== '') expect(existsSync(there), target).toBe(true)
    if (anchor) expect(anchors(file === '' ? text : readFileSync(there, 'utf8')), target).toContain(anchor)
  }
})

test('docs/run.md has the table of programs', () => {
  expect(pageAt('docs/run.md')).toContain('| `goat` | ')
})

test('every command is in the table of the README, and has its help in docs/commands.md', () => {
  const [, table = ''] = /^## Commands\n([\s\S]*?)^## /m.exec(README)!
  const listed = [...table.matchAll(/^\| `([a-z]+(?: (?:new|check))?)[ `]/gm)].map(([, name]) => name!)
  const inOneRow = names.filter((name) => !/^(?:accounts|config|scope|vault) /.test(name))
  expect(listed.sort()).toStrictEqual([...inOneRow, 'accounts', 'config', 'scope', 'vault'].sort())
  const helped = [...pageAt('docs/commands.md').matchAll(/^<!-- help: (.+) -->$/gm)].map(([, name]) => name!)
  expect(helped.sort()).toStrictEqual(names)
})

test('the commands’ help is shown without the options that all have, which stand once', () => {
  expect(readFileSync('docs/commands.md', 'utf8').split(GLOBAL_OPTIONS)).toHaveLength(2)
})

test('the README has at most 900 words, as `wc -w` counts them', () => {
  expect(README.trim().split(/\s+/).length).toBeLessThanOrEqual(900)
})

test('the pages are in the package', () => {
  expect(packageJson.files).toContain('docs')
})

describe('npm version', () => {
  const { version, scripts } = packageJson

  test('every page that names a version of the package names this one, the CHANGELOG first', () => {
    for (const { path, text } of pages) expect(pinned(text, version), path).toBe(text)
    expect(readFileSync('CHANGELOG.md', 'utf8')).toMatch(
      new RegExp(`^# Changelog\n\n## ${version.replaceAll('.', '\\.')} \\(`),
    )
  })

  test('moves them, and has everything in its commit', () => {
    expect(pinned('npx atproto-oauth@0.1.0 init; npx --yes atproto-oauth@0.1.0-rc.1', '1.2.3')).toBe(
      'npx atproto-oauth@1.2.3 init; npx --yes atproto-oauth@1.2.3',
    )
    const first = '# Changelog\n\n## 0.1.0 (unreleased)\n\nThe first.\n'
    const released = first.replace('0.1.0 (unreleased)', '0.1.1 (2026-01-02)')
    expect(nextChangelog(first, '0.1.1', '2026-01-02')).toBe(released)
    expect(nextChangelog(released, '0.2.0', '2026-02-03')).toBe(
      released.replace('##', '## 0.2.0 (2026-02-03)\n\n- Nothing that a user would notice.\n\n##'),
    )
    expect(scripts.version).toMatch(
      /^tsx scripts\/release\/version\.ts && .*git add README\.md CHANGELOG\.md docs oauth-templates$/,
    )
  })
})
