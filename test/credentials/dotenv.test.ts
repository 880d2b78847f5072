import { parse } from 'dotenv'
import { describe, expect, test } from 'vitest'
import { editDotenv, parseDotenv } from '../../src/credentials/dotenv.ts'

const TOKEN = [['TOKEN', 'new']] as const

describe('editing', () => {
  test.each([
    ['nothing', '', "TOKEN='new'\n"],
    ['a file without a last line end', 'A=1', "A=1\nTOKEN='new'\n"],
    ['CR LF', 'A=1\r\n', "A=1\r\nTOKEN='new'\r\n"],
    ['no quotes', 'TOKEN=old # why\nA=1\n', 'TOKEN=new # why\nA=1\n'],
    ['single quotes', "TOKEN='old'\n", "TOKEN='new'\n"],
    ['double quotes', 'export TOKEN = "old"\n', 'export TOKEN = "new"\n'],
    ['every occurrence', 'TOKEN=a\nTOKEN=b\n', 'TOKEN=new\nTOKEN=new\n'],
    ['a comment', '# TOKEN=old\nTOKEN=old\n', '# TOKEN=old\nTOKEN=new\n'],
    ['what only looks like it', 'X="\nTOKEN=old\n"\nMY_TOKEN=1\n', 'X="\nTOKEN=old\n"\nMY_TOKEN=1\nTOKEN=\'new\'\n'],
    ['an open quote', "TOKEN='old\nA=1\n", 'TOKEN=new\nA=1\n'],
    ['an empty value', 'TOKEN=\nA=1\n', 'TOKEN=new\nA=1\n'],
  ])('%s', (_, before, after) => {
    expect(editDotenv(before, TOKEN)).toBe(after)
  })

  test('what is there already stays as it is written', () => {
    const text = 'TOKEN="new"  # x\n'
    expect(editDotenv(text, TOKEN)).toBe(text)
  })

  test('a value that does not fit its quotes gets others', () => {
    const json = '{"kty":"EC"}'
    for (const quote of ['"', '']) {
      const text = editDotenv(`KEY=${quote}x${quote}\n`, [['KEY', json]])
      expect(parse(text)).toStrictEqual({ KEY: json })
    }
  })
})

test('reading agrees with the dotenv package', () => {
  const text = `# c\nA=1\nexport B = 'two words' # x\nC="three\nlines"\nD=plain # comment\nE=\nF=a=b\n`
  expect(parseDotenv(text)).toStrictEqual(parse(text))
})
