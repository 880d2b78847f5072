/** What is written in each format is read again, also after what programs on the way do to it. */
import { describe, expect, test } from 'vitest'
import { parseVariables } from '../../src/credentials/parse.ts'
import { readCredentials } from '../../src/credentials/read.ts'
import { bundle, credentialEntries, formatCredentials, TEXT_FORMATS } from '../../src/credentials/write.ts'
import type { Credentials } from '../../src/model.ts'
import { CREDENTIALS, JWK, set, VSCHARS } from './helpers.ts'

const AWKWARD: readonly Credentials[] = [
  CREDENTIALS,
  { ...CREDENTIALS, rotation: 7 },
  { ...CREDENTIALS, refreshToken: VSCHARS.replace("'", '') },
  { ...CREDENTIALS, clientId: "https://app.example/it's?a=%20&b=+&c#d;e" },
  { ...CREDENTIALS, clientId: 'https://a.example/‘a’‚b‛“c”’’' },
  { ...CREDENTIALS, clientId: 'https://a.example/$HOME`id`\\n\\"x' },
]

describe.each(TEXT_FORMATS)('the format %s', (format) => {
  test.each(AWKWARD)('is read byte for byte: %#', (credentials) => {
    const variables = parseVariables(formatCredentials(credentials, format))
    expect(set(readCredentials(variables!, false)!)).toStrictEqual({
      ...set(credentials),
      ...(format === 'bundle' && { bundled: true }),
    })
  })

  test('with a byte order mark, the line ends of Windows, and empty lines around it', () => {
    const text = `\ufeff\r\n${formatCredentials(CREDENTIALS, format).replaceAll('\n', '\r\n')}\r\n`
    expect(readCredentials(parseVariables(text)!, false)).toMatchObject(set(CREDENTIALS))
  })
})

test('every character in the formats of shells, which can write it', () => {
  for (const format of ['export', 'fish', 'powershell', 'json'] as const) {
    const variables = parseVariables(formatCredentials({ ...CREDENTIALS, refreshToken: VSCHARS }, format))
    expect(variables).toMatchObject({ ATPROTO_OAUTH_REFRESH_TOKEN: VSCHARS })
  }
})

test('a bundle in lines of 76 characters, or in quotes', () => {
  const value = bundle(CREDENTIALS)
  for (const text of [value.replace(/.{76}/g, '$&\n'), `"${value}"\n`]) {
    expect(readCredentials(parseVariables(text)!, false)).toMatchObject(set(CREDENTIALS))
  }
})

test('JSON in which the key is an object, as a tool may have parsed it', () => {
  const variables = { ...Object.fromEntries(credentialEntries(CREDENTIALS)), ATPROTO_OAUTH_DPOP_PRIVATE_JWK: JWK }
  expect(readCredentials(parseVariables(JSON.stringify(variables, null, 2))!, false)).toMatchObject(set(CREDENTIALS))
})

test('dotenv with comments and other variables', () => {
  const text = `# alice\nPATH=/bin\n${formatCredentials(CREDENTIALS, 'dotenv')}export OTHER=1\n`
  expect(readCredentials(parseVariables(text)!, false)).toStrictEqual(
    readCredentials(Object.fromEntries(credentialEntries(CREDENTIALS)), false),
  )
})

test.each(['', '{', '{"password": "x"}', '[]', 'error: the item was not found', 'PASSWORD=x\n'])(
  'nothing of ours in %j',
  (text) => {
    expect(parseVariables(text)).toBeUndefined()
  },
)
