/** Each format is read by the very program it is for, and has to come out of it byte for byte. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse as parseWithDotenv } from 'dotenv'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { readCredentials } from '../../src/credentials/read.ts'
import { bundle, credentialEntries, formatCredentials, type TextFormat } from '../../src/credentials/write.ts'
import { OAuthError } from '../../src/errors.ts'
import type { Credentials } from '../../src/model.ts'
import { lacks } from '../support/machine.ts'
import { CREDENTIALS, ENVIRONMENT, set, VSCHARS } from './helpers.ts'

const NO_QUOTE = VSCHARS.replace("'", '')
const NO_EXPANSION = VSCHARS.replace(/["\\$`!]/g, '')
const AWKWARD_CLIENT = "https://app.example/it's/~;*?a=%20%27&b=+$HOME&c=`id`&d=$(id)\\!#end"

const USUAL: Record<string, Credentials> = {
  'usual values': CREDENTIALS,
  'a token of every character but the apostrophe': { ...CREDENTIALS, refreshToken: NO_QUOTE },
  'a token of every character but those of double quotes': { ...CREDENTIALS, refreshToken: NO_EXPANSION },
  'an apostrophe in the client_id': { ...CREDENTIALS, clientId: "https://app.example/it's?a=%20&b=+&c#d;e" },
  'dollars, backticks and backslashes in the client_id': {
    ...CREDENTIALS,
    clientId: 'https://a.example/$HOME`id`\\n\\"x',
  },
}
const AWKWARD: Record<string, Credentials> = {
  ...USUAL,
  'a token of every character': { ...CREDENTIALS, refreshToken: VSCHARS, clientId: AWKWARD_CLIENT },
  'a token that ends in a backslash': { ...CREDENTIALS, refreshToken: "a'\\" },
  'typographic quotes in the client_id': { ...CREDENTIALS, clientId: 'https://a.example/‘a’‚b‛“c”’’' },
}

const TOOLS = mkdtempSync(join(tmpdir(), 'atproto-oauth-print-'))
const PRINT = join(TOOLS, 'print.cjs')
afterAll(() => rmSync(TOOLS, { recursive: true }))
const OURS = `Object.entries(process.env).filter(([name]) => name.startsWith('ATPROTO_OAUTH_'))`
writeFileSync(PRINT, `process.stdout.write(JSON.stringify(Object.fromEntries(${OURS})))`)

/** What a program sees that `argv` starts, with `$FILE` holding `text`, and `$NODE $PRINT` telling it. */
function seenBy(argv: readonly string[], text: string): unknown {
  const folder = mkdtempSync(join(tmpdir(), 'atproto-oauth-format-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'session.env')
  writeFileSync(file, text)
  const env = { PATH: process.env['PATH'], HOME: '/wrong', FILE: file, NODE: process.execPath, PRINT }
  const [program, ...rest] = argv.map((argument) => (argument === '$FILE' ? file : argument))
  return JSON.parse(execFileSync(program!, rest, { encoding: 'utf8', env, stdio: ['ignore', 'pipe', 'inherit'] }))
}

/** The files of `docker run --env-file`: a name, `=`, and the rest of the line as it is. */
function readByDocker(text: string): Record<string, string> {
  const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'))
  return Object.fromEntries(lines.map((line) => [line.split('=', 1)[0]!, line.slice(line.indexOf('=') + 1)]))
}

/** A literal string of PowerShell: two quotes of any kind are one, one is the end (tokenizer.cs, ScanStringLiteral). */
function readByPowerShell(text: string): Record<string, string> {
  const isQuote = (character: string | undefined) => character !== undefined && /['\u2018-\u201b]/.test(character)
  const values: Record<string, string> = {}
  for (const line of text.trimEnd().split('\n')) {
    const [, name, rest] = /^\$env:(\w+) = (.*)$/.exec(line)!
    if (!isQuote(rest![0])) throw new Error('no literal string')
    let value = ''
    let at = 1
    for (; ; at += 1) {
      if (isQuote(rest![at])) {
        if (!isQuote(rest![at + 1])) break
        at += 1
      }
      if (at >= rest!.length) throw new Error('no end')
      value += rest![at]
    }
    if (at !== rest!.length - 1) throw new Error('more than one string')
    values[name!] = value
  }
  return values
}

const SOURCE = 'set -a; . "$FILE"; exec "$NODE" "$PRINT"'
const DOT = '. "$FILE"; exec "$NODE" "$PRINT"'
const EVAL = 'eval "$(cat "$FILE")"; exec "$NODE" "$PRINT"'

/** A consumer: what it is, the format, the values that it has to get, and what reads them. */
const CONSUMERS: [name: string, TextFormat, Record<string, Credentials>, (text: string) => unknown, needs?: string][] =
  [
    ...['bash', 'dash', 'zsh', 'sh'].flatMap((shell): typeof CONSUMERS => {
      const flags = { bash: ['--norc'], zsh: ['-f'] }[shell] ?? []
      const run = (script: string) => (text: string) => seenBy([shell, ...flags, '-c', script], text)
      return [
        [`${shell}, set -a and source`, 'dotenv', USUAL, run(SOURCE), shell],
        [`${shell}, source`, 'export', AWKWARD, run(DOT), shell],
        [`${shell}, eval`, 'export', AWKWARD, run(EVAL), shell],
      ]
    }),
    ['node --env-file', 'dotenv', USUAL, (text) => seenBy([process.execPath, '--env-file', '$FILE', PRINT], text)],
    ['dotenv', 'dotenv', USUAL, parseWithDotenv],
    [
      'fish, source',
      'fish',
      AWKWARD,
      (text) => seenBy(['fish', '-N', '-c', 'source $FILE; $NODE $PRINT'], text),
      'fish',
    ],
    [
      'fish, a pipe',
      'fish',
      AWKWARD,
      (text) => seenBy(['fish', '-N', '-c', 'cat $FILE | source; $NODE $PRINT'], text),
      'fish',
    ],
    ['the rules of PowerShell', 'powershell', AWKWARD, readByPowerShell],
    ['the rules of docker --env-file', 'raw', AWKWARD, readByDocker],
    ['JSON.parse', 'json', AWKWARD, JSON.parse],
  ]

for (const [name, format, values, read, needs] of CONSUMERS) {
  describe.skipIf(needs !== undefined && lacks(needs))(`${format}, read by ${name}`, () => {
    test.each(Object.entries(values))('%s', (_, credentials) => {
      const text = formatCredentials(credentials, format)
      expect(read(text)).toStrictEqual(Object.fromEntries(credentialEntries(credentials)))
      expect(text.endsWith('\n')).toBe(true)
    })
  })
}

describe('bundle, read by us', () => {
  test.each(Object.entries(AWKWARD))('%s', (_, credentials) => {
    const text = formatCredentials(credentials, 'bundle')
    expect(text).toMatch(/^[A-Za-z0-9_-]+\n$/) // no reader has anything to say about these
    expect(set(readCredentials({ ATPROTO_OAUTH_SESSION: text }, false)!)).toMatchObject(credentials)
  })

  test('keeps what the variables have no room for, and no access token', () => {
    const more = { issuer: 'https://as.example.com', scope: 'atproto', thumbprint: 't', createdAt: 1, rotatedAt: 2 }
    const full = { ...CREDENTIALS, ...more, accessToken: 'acc', accessTokenExpiresAt: 3 } as Credentials
    const content = JSON.parse(Buffer.from(bundle(full), 'base64url').toString())
    const { server, ...others } = CREDENTIALS
    expect(content).toStrictEqual({ version: 1, ...others, pdsIssuer: server, ...more })
    expect(readCredentials({ ATPROTO_OAUTH_SESSION: bundle(full) }, false)).toMatchObject(more)
  })
})

describe('what the variables are', () => {
  test('five, in this order, whatever else is known of the session', () => {
    const entries = credentialEntries({ ...CREDENTIALS, accessToken: 'acc', scope: 'atproto' })
    expect(entries).toStrictEqual(Object.entries(ENVIRONMENT))
  })

  test('the key is one line of JSON, with none but its five members', () => {
    const dpopPrivateJwk = { ...CREDENTIALS.dpopPrivateJwk, alg: 'ES256', kid: 'extra' }
    expect(credentialEntries({ ...CREDENTIALS, dpopPrivateJwk })).toStrictEqual(Object.entries(ENVIRONMENT))
  })

  test.each(['json', 'dotenv', 'bundle'] as const)(
    '11.16 without a refresh token there is the access token, %s',
    (format) => {
      const credentials = { ...CREDENTIALS, refreshToken: undefined, accessToken: 'acc-canary' }
      const text = formatCredentials(credentials, format)
      const environment = {
        json: JSON.parse,
        dotenv: parseWithDotenv,
        bundle: (ATPROTO_OAUTH_SESSION: string) => ({ ATPROTO_OAUTH_SESSION }),
      }[format](text)
      expect(set(readCredentials(environment, false)!)).toMatchObject(set(credentials))
    },
  )
})

describe('what a format cannot hold is refused, and not changed', () => {
  test.each([
    ['dotenv', { refreshToken: VSCHARS }],
    ['dotenv', { refreshToken: "it's$5" }],
    ['dotenv', { refreshToken: 'canary\\' }], // godotenv, which gh uses, reads \' as no end
    ['dotenv', { clientId: AWKWARD_CLIENT }],
    ...(['dotenv', 'export', 'fish', 'powershell', 'raw'] as const).flatMap((format) =>
      ['\n', '\r', '\0'].map((end) => [format, { clientId: `https://app.example/${end}canary` }] as const),
    ),
  ] as const)('%s: %j', (format, change) => {
    const attempt = () => formatCredentials({ ...CREDENTIALS, ...change }, format)
    expect(attempt).toThrow(OAuthError)
    expect(attempt).toThrow(expect.objectContaining({ code: 'USAGE', message: expect.not.stringContaining('canary') }))
  })
})
