import { describe, expect, test } from 'vitest'
import { wholeProgram } from '../../scripts/build/man.ts'
import { helpColumns, reflow } from '../../src/cli/help.ts'
import { withSubcommands } from '../../src/cli/invocation.ts'
import { run } from '../support/cli.ts'
import { createFakeWorld } from '../support/fake-atproto.ts'

const PATHS = withSubcommands(await wholeProgram(() => undefined)).map((command) => {
  const names = []
  for (let each = command; each.parent; each = each.parent) names.unshift(each.name())
  return names
})
const helpAt = async (columns: number | undefined, path: readonly string[]) => {
  const terminal = columns === undefined ? {} : { terminals: ['stdout'] as const, columns }
  return (await run({} as never, [...path, '--help'], terminal)).stdout
}
/** The lines below `Examples:` and its like, with the lines between. */
const EXAMPLES = /^(?:Examples?|Quick start):\n(?: .*\n)+/gm
const commandsIn = (help: string) =>
  (help.match(EXAMPLES) ?? [])
    .join('')
    .split('\n')
    .map((line) => line.replace(/ +# .*$/, ''))
    .filter((line) => line.startsWith(' ') && line.trim() !== '')
const wordsIn = (help: string) => help.replace(EXAMPLES, '').split(/\s+/).filter(Boolean).sort()

describe.each([40, 47, 60, 80, 200])('in %i columns', (columns) => {
  test.each(PATHS.map((path) => [path.join(' '), path] as const))(
    '"%s": help fits, and has all that it has elsewhere',
    async (_, path) => {
      const [help, wide] = [await helpAt(columns, path), await helpAt(500, path)]
      const lines = help.replace(EXAMPLES, '').split('\n')
      // One word may be longer than the terminal is wide: a path.
      expect(lines.filter((line) => line.length > columns && line.trim().includes(' '))).toStrictEqual([])
      expect(wordsIn(help)).toStrictEqual(wordsIn(wide))
      expect(commandsIn(help)).toStrictEqual(commandsIn(wide))
    },
  )
})

test('without a terminal, or one that does not know its size, help has 80 columns', async () => {
  for (const path of PATHS) {
    expect(await helpAt(undefined, path)).toBe(await helpAt(80, path))
    expect(await helpAt(0, path)).toBe(await helpAt(80, path))
  }
})

test('in fewer than 40 columns it is what it is in 40', () => {
  expect([helpColumns({ columns: 12 }), helpColumns({ columns: 41 }), helpColumns({})]).toStrictEqual([40, 41, 80])
})

test('in a narrow terminal a description stands below its term', async () => {
  const help = await helpAt(40, ['init'])
  expect(help).toMatch(/^Usage: atproto-oauth init \[options\]\n {7}<handle\|did\|url>\n\nStart a login/)
  expect(help).toContain('\n  --redirect-uri <uri>\n      Redirect URI that the client\n      declares\n')
  expect(await helpAt(80, ['init'])).toContain(
    '\n  --redirect-uri <uri>        Redirect URI that the client declares\n',
  )
})

test.each([[['accounts', 'use']], [['config', 'set']], [['vault', 'move']]])(
  'help %j is the help of the subcommand',
  async (names) => {
    const asked = await run(createFakeWorld(), ['help', ...names])
    expect(asked).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`Usage: atproto-oauth ${names.join(' ')} `),
    })
    expect(asked.stdout).toBe((await run(createFakeWorld(), [...names, '--help'])).stdout)
  },
)

describe('text that was wrapped by hand', () => {
  test('is as it was where it fits', () => {
    const text = '\nSome lines that\nare short.\n\nTable:\n  a  b  c\n\n'
    expect(reflow(text, 40)).toBe(text)
  })

  test.each([
    [
      'a paragraph',
      'The first line is the longer one of the two,\nso both are joined.',
      ['The first line is the longer one of the', 'two, so both are joined.'],
    ],
    [
      'what stands in backquotes',
      'The credentials are as printed by `complete --format bundle`.',
      ['The credentials are as printed by', '`complete --format bundle`.'],
    ],
    [
      'a table of terms',
      '  one    what is said of the first of the terms\n  other  short',
      ['  one    what is said of the first of', '         the terms', '  other  short'],
    ],
    [
      'a table of terms too long for their descriptions',
      '  an-unusually-long-term  what is said of it',
      ['  an-unusually-long-term', '      what is said of it'],
    ],
    [
      'a table of several columns',
      '  1 one               3 three              5 five\n  2 two               4 four              10 ten\n  and more',
      ['  1 one', '  2 two', '  3 three', '  4 four', '  5 five', '  10 ten', '  and more'],
    ],
    [
      'a list',
      '  ATPROTO_OAUTH_DID, ATPROTO_OAUTH_CLIENT_ID,\n  ATPROTO_OAUTH_SESSION',
      ['  ATPROTO_OAUTH_DID,', '  ATPROTO_OAUTH_CLIENT_ID,', '  ATPROTO_OAUTH_SESSION'],
    ],
    [
      'an example and its comment',
      'Example:\n  atproto-oauth complete --save store    # asks for the callback URL\n  next --command that is longer than the terminal is wide',
      [
        'Example:',
        '  # asks for the callback URL',
        '  atproto-oauth complete --save store',
        '  next --command that is longer than the terminal is wide',
      ],
    ],
    [
      'a long example beside short comments',
      'Examples:\n  short  # comment\n  next --command that is longer than the terminal is wide',
      ['Examples:', '  short  # comment', '  next --command that is longer than the terminal is wide'],
    ],
  ])('%s', (_, text, lines) => {
    expect(reflow(text, 40).split('\n')).toStrictEqual(lines)
  })
})
