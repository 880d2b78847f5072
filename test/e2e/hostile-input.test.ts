/** 1.21, 6.9: input that has broken others, as arguments, stdin and variables of the built CLI. */
import { describe, expect, test } from 'vitest'
import { type CliResult, runCli, runShell } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { expectFailure, newHome, sentByUs } from './support.ts'

const world = connectWorld()
/** The longest argument that Linux takes. */
const ARGUMENT_LONGEST = 131_071
const MEGABYTE = 1_048_576
const RAW = /[^\P{Cc}\n]|[\p{Cf}\p{Cs}]/u

const NASTY: Record<string, string> = {
  'Kelvin sign': '\u212aelly.test',
  'I with a dot': '\u0130stanbul.test',
  traversal: '../../etc/passwd',
  escapes: '\u001b[31malice\u001b]0;x\u0007.test',
  bidi: '\u202etset.ecila',
  'a workflow command': '::error::x',
  'a long label': 'a'.repeat(ARGUMENT_LONGEST),
  'many labels': 'a.'.repeat(ARGUMENT_LONGEST / 2),
  spaces: `${' '.repeat(ARGUMENT_LONGEST - 1)}x`,
}

function expectRefusal(result: CliResult, codes: RegExp) {
  const code = /\[([A-Z_]+)\]/.exec(result.stderr)?.[1] ?? 'none'
  expect(code).toMatch(codes)
  expectFailure(result, code === 'CALLBACK_STATE_UNKNOWN' ? 4 : 2, code)
  expect(result.stderr).not.toMatch(RAW)
  expect(result.stderr).not.toMatch(/^\s*::/m)
}

test('as arguments: refused in the terms of each command, and nothing is sent', async () => {
  const home = await newHome()
  await world.clearRequests()
  const texts = Object.values(NASTY)
  for (const result of await all(texts.map((text) => ['init', text]))) expectRefusal(result, /^IDENTIFIER_INVALID$/)

  const state = `http://127.0.0.1/callback?iss=${encodeURIComponent(world.pdsUrl)}&code=x&state=`
  for (const result of await all(
    ['traversal', 'escapes', 'many labels'].map((name) => [
      'complete',
      (state + NASTY[name]).slice(0, ARGUMENT_LONGEST),
    ]),
  )) {
    expectRefusal(result, /^CALLBACK_(?:STATE_UNKNOWN|UNREADABLE)$/)
  }
  const [scope, redirect] = await all([
    ['init', 'alice.test', '--scope', NASTY['escapes']!],
    ['init', 'alice.test', '--redirect-uri', NASTY['bidi']!],
  ])
  expectRefusal(scope!, /^SCOPE_INVALID$/)
  expectRefusal(redirect!, /^CLIENT_INVALID$/)
  expect(await sentByUs(world)).toStrictEqual([])

  function all(commands: string[][]) {
    return Promise.all(commands.map((args) => runCli(args, { home })))
  }
})

describe('bytes that are no text, and more than an argument holds', () => {
  test('half a surrogate pair and half a character', async () => {
    const bytes = '\\xed\\xa0\\x80\\xff\\xf0\\x9f'
    const result = await runShell(`atproto-oauth init $'ali${bytes}ce.test'`, { home: await newHome() })
    expectRefusal(result, /^IDENTIFIER_INVALID$/)
  })

  test.each(['\u0000', ' '])('a megabyte of %j on stdin', async (piece) => {
    const stdin = `http://127.0.0.1/callback?state=${piece.repeat(MEGABYTE / piece.length)}`
    expectRefusal(await runCli(['complete'], { home: await newHome(), stdin }), /^CALLBACK_UNREADABLE$/)
  })

  test('NUL in a paste', async () => {
    const stdin = `http://127.0.0.1/callback?iss=${world.pdsUrl}\u0000&state=\u0000..%00/etc/passwd&code=x`
    expectRefusal(await runCli(['complete'], { home: await newHome(), stdin }), /^CALLBACK_STATE_UNKNOWN$/)
  })

  test('variables of a hundred kilobytes', async () => {
    for (const name of ['SESSION', 'DPOP_PRIVATE_JWK', 'PLC_URL']) {
      const env = { [`ATPROTO_OAUTH_${name}`]: '["\u202e'.repeat(20_000) }
      expectRefusal(await runCli(['refresh'], { home: await newHome(), env }), /^(?:USAGE|CREDENTIALS_\w+)$/)
    }
  })
})
