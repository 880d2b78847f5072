import { execFileSync } from 'node:child_process'
import { parse as parseWithDotenv } from 'dotenv'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { editDotenv, parseDotenv } from '../../src/credentials/dotenv.ts'
import { readCredentials } from '../../src/credentials/read.ts'
import { cleaned, type Environment } from '../../src/credentials/variables.ts'
import {
  bundle,
  credentialEntries,
  formatCredentials,
  TEXT_FORMATS,
  type TextFormat,
} from '../../src/credentials/write.ts'
import { isOAuthError } from '../../src/errors.ts'
import type { Credentials } from '../../src/model.ts'
import { CREDENTIALS, ENVIRONMENT, JWK, set } from '../credentials/helpers.ts'
import { answerOf, anyJson, anyText, holds, spoiled, spoiledDocument } from './support.ts'

const NAMES = [...Object.keys(ENVIRONMENT), 'ATPROTO_OAUTH_SESSION', 'ATPROTO_OAUTH_ACCESS_TOKEN']
const HONEST: Environment = {
  ...ENVIRONMENT,
  ATPROTO_OAUTH_SESSION: bundle(CREDENTIALS),
  ATPROTO_OAUTH_ACCESS_TOKEN: 'acc-canary',
}
/** Pieces of every secret there is in these tests, plain and as base64url. */
const SECRET = /canary|rPQUCt|Dcz3Kf|Y2FuYXJ5/

/** Credentials whose tokens and client_id are of any characters that these may have. */
const credentials: fc.Arbitrary<Credentials> = fc
  .record({
    refreshToken: fc.oneof(
      fc.stringMatching(/^[!-~]([ -~]{0,60}[!-~])?$/),
      fc.stringMatching(/^[\\'"$`!#= a-c]{1,8}$/),
    ),
    clientId: fc.oneof(
      fc.webUrl({ withQueryParameters: true, withFragments: true }),
      fc.stringMatching(/^[\\'"$`!#=&;|<>()~*?{}[\]%^ ‘’‚‛“”é𝒳-]{1,12}$/u).map((text) => `https://app.example/${text}`),
    ),
  })
  // What surrounds a value is taken off by design: tokens do not begin or end in space or quotes.
  .filter((values) => Object.values(values).every((value) => cleaned(value) === value))
  .map((values) => ({ ...CREDENTIALS, ...values }))

describe('reading', () => {
  const value = fc.oneof(anyText, spoiled(...(Object.values(HONEST) as string[])))
  const environment = fc.tuple(fc.subarray(NAMES), fc.dictionary(fc.constantFrom(...NAMES), value, { maxKeys: 3 })).map(
    ([kept, changed]): Environment => ({
      ...Object.fromEntries(kept.map((name) => [name, HONEST[name]])),
      ...changed,
    }),
  )

  test('whatever is in the variables, there are credentials, none, or an error that quotes nothing', () => {
    holds(
      fc.property(environment, fc.boolean(), (variables, dev) => {
        try {
          const read = readCredentials(variables, dev)
          if (read) expect(formatCredentials(read, 'json')).toContain(read.did)
        } catch (error) {
          if (!isOAuthError(error, 'CREDENTIALS_INVALID', 'CREDENTIALS_INCOMPLETE')) throw error
          expect([error.message, JSON.stringify(error.facts), error.stack].join('\n')).not.toMatch(SECRET)
          expect(error.cause).toBeUndefined()
        }
      }),
    )
  })

  test('whatever is in the bundle or the key', () => {
    const content = spoiledDocument({ version: 1, ...CREDENTIALS, createdAt: 1 })
    const key = fc.oneof(spoiledDocument({ ...JWK }), anyJson)
    const encoded = (json: unknown) => Buffer.from(text(json)).toString('base64url')
    holds(
      fc.property(content, key, fc.boolean(), (members, jwk, plain) => {
        answerOf(() => readCredentials({ ATPROTO_OAUTH_SESSION: encoded(members) }, false))
        const ATPROTO_OAUTH_DPOP_PRIVATE_JWK = plain ? text(jwk) : encoded(jwk)
        answerOf(() => readCredentials({ ...ENVIRONMENT, ATPROTO_OAUTH_DPOP_PRIVATE_JWK }, false))
      }),
    )
  })

  test('what secret stores, editors and shells put around a value is taken off again', () => {
    const around = fc.constantFrom(
      ['', '\n'],
      ['', '\r\n'],
      [' ', ' '],
      ['"', '"'],
      ["'", "'\n"],
      ['\ufeff', ''],
      ['"\'', '\'"'],
      ['\ufeff" ', '\t"\r\n'],
    )
    holds(
      fc.property(credentials, fc.array(around, { minLength: 5, maxLength: 5 }), (meant, ends) => {
        const entries = credentialEntries(meant).map(([name, content], index) => [name, ends[index]!.join(content)])
        expect(set(readCredentials(Object.fromEntries(entries), false)!)).toStrictEqual(meant)
      }),
    )
  })
})

describe('round trips: what was written is read byte for byte, or was refused', () => {
  const lines = (written: string, pattern: RegExp, undo: (value: string) => string) =>
    Object.fromEntries(
      written
        .trimEnd()
        .split('\n')
        .map((line) => pattern.exec(line)!)
        .map(([, name, content]) => [name!, undo(content!)]),
    )
  const READERS: Partial<Record<TextFormat, (written: string) => Environment>> = {
    json: JSON.parse,
    raw: (written) => lines(written, /^(\w+)=(.*)$/, (content) => content),
    bundle: (ATPROTO_OAUTH_SESSION) => ({ ATPROTO_OAUTH_SESSION }),
    fish: (written) => lines(written, /^set -gx (\w+) '(.*)'$/, (content) => content.replace(/\\(['\\])/g, '$1')),
    powershell: (written) =>
      lines(written, /^\$env:(\w+) = '(.*)'$/, (content) => content.replace(/(['\u2018-\u201b])\1/g, '$1')),
  }

  test.each(Object.entries(READERS) as [TextFormat, (written: string) => Environment][])('%s', (format, read) => {
    holds(
      fc.property(credentials, (meant) => {
        const written = answerOf(() => formatCredentials(meant, format))
        if (written === undefined) return
        expect(set({ ...readCredentials(read(written), false)!, bundled: undefined })).toStrictEqual(meant)
      }),
    )
  })

  test('dotenv, read by dotenv and by us', () => {
    holds(
      fc.property(credentials, (meant) => {
        const written = answerOf(() => formatCredentials(meant, 'dotenv'))
        if (written === undefined) return
        expect(parseWithDotenv(written)).toStrictEqual(Object.fromEntries(credentialEntries(meant)))
        expect(parseDotenv(written)).toStrictEqual(Object.fromEntries(credentialEntries(meant)))
      }),
    )
  })

  test.each(['dotenv', 'export'] as const)('%s, read by bash: a hundred of them', (format) => {
    const meant: Credentials[] = []
    const script: string[] = []
    holds(
      fc.property(credentials, (one) => {
        const written = meant.length < 100 ? answerOf(() => formatCredentials(one, format)) : undefined
        if (written === undefined) return
        meant.push(one)
        script.push(
          written,
          `printf '%s\\0' ${credentialEntries(one)
            .map(([name]) => `"$${name}"`)
            .join(' ')}`,
        )
      }),
    )
    const printed = execFileSync('bash', ['--norc'], { input: script.join('\n'), encoding: 'utf8' })
    expect(printed.split('\0').slice(0, -1)).toStrictEqual(
      meant.flatMap((one) => credentialEntries(one).map(([, content]) => content)),
    )
    expect(meant).toHaveLength(100)
  })

  test('every format has been looked at', () => {
    expect([...Object.keys(READERS), 'dotenv', 'export'].sort()).toStrictEqual([...TEXT_FORMATS].sort())
  })
})

describe('editing a dotenv file', () => {
  const FILE = `# mine\nFOO='a b' # why\nexport BAR="x\\"y"\r\n\n${formatCredentials(CREDENTIALS, 'dotenv')}EMPTY=\nLONG="one\ntwo"\nTICK=\`z\`\n`
  const line = fc.stringMatching(/^(?:export )?(?:A|B|DID|ATPROTO_OAUTH_DID)[ =]{1,2}[ab=#'"`\\ \r]{0,6}$/)
  const lines = fc.array(line, { maxLength: 4 }).map((parts) => parts.join('\n'))
  const file = fc.oneof(anyText, spoiled(FILE), fc.constant(FILE), lines)

  test('whatever the file is, our variables are in it afterwards and the others are as they were', () => {
    holds(
      fc.property(file, credentials, (before, meant) => {
        const entries = credentialEntries(meant)
        const after = answerOf(() => editDotenv(before, entries))
        if (after === undefined) return
        const ours = Object.fromEntries(entries)
        expect(parseDotenv(after)).toStrictEqual({ ...parseDotenv(before), ...ours })
        expect(editDotenv(after, entries)).toBe(after)
      }),
    )
  })

  test('any text is read without a fault', () => {
    holds(
      fc.property(file, (before) => {
        for (const name of Object.keys(parseDotenv(before))) expect(name).toMatch(/^[A-Za-z_][\w.-]*$/)
      }),
    )
  })
})

function text(json: unknown): string {
  try {
    return JSON.stringify(json) ?? ''
  } catch {
    return '[]'
  }
}
