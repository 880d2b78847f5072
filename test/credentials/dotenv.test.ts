import { parse } from 'dotenv'
import { describe, expect, test } from 'vitest'
import { editDotenv, parseDotenv } from '../../src/credentials/dotenv.ts'

const TOKEN = [['TOKEN', 'new']] as const

describe('editing', () => {
  test.each([
    ['nothing', '', "TOKEN='new'\n"],
    ['a file without a last line end', 'A=1', "A=1\nTOKEN='new'\n"],
    ['CR LF', 'A=1\r\n', "A=1\r\nTOKEN='new'\r\n"],
    ['CR LF, changed', 'A=1\r\nTOKEN=old\r\nB="x"\r\n', 'A=1\r\nTOKEN=new\r\nB="x"\r\n'],
    ['CR LF, quoted, with a comment', "TOKEN='old' # why\r\nA=1\r\n", "TOKEN='new' # why\r\nA=1\r\n"],
    ['CR LF without a last line end', 'A=1\r\nB=2', "A=1\r\nB=2\r\nTOKEN='new'\r\n"],
    ['a byte order mark', '\ufeffTOKEN=old\r\n', '\ufeffTOKEN=new\r\n'],
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

  test.each([
    ['UTF-16, as of PowerShell 5', Buffer.from('\ufeffA=1\r\n', 'utf16le')],
    ['Latin-1', Buffer.from('A=caf\xe9\n', 'latin1')],
  ])('a file in %s is left alone: it could not be written back', (_, bytes) => {
    expect(() => editDotenv(bytes.toString('utf8'), TOKEN)).toThrow(
      expect.objectContaining({ code: 'SAVE_FAILED', message: expect.stringContaining('not UTF-8') }),
    )
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

test.each(['\n', '\r\n'])('reading agrees with the dotenv package: %j', (lineEnd) => {
  const text =
    `\ufeffZ=1\n# c\nA=1\nexport B = 'two words' # x\nC="three\nlines"\nD=plain # comment\nE=\nF=a=b\n`.replaceAll(
      '\n',
      lineEnd,
    )
  const { C, ...others } = parse(text)
  // A line end within quotes stays as it is here; the package makes it LF.
  expect(parseDotenv(text)).toStrictEqual({ ...others, C: C!.replaceAll('\n', lineEnd) })
})
