/** What a person at Windows reads: commands for cmd and PowerShell, and nothing of modes. */
import { win32 } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { initCommandLine, shellQuote, toWindowsQuoting } from '../../src/cli/shell.ts'
import { withoutOurs } from '../../src/credentials/variables.ts'
import { normalizeTarget } from '../../src/node/save/targets.ts'
import { callbackFor, fakeNodeRuntime, run } from '../support/cli.ts'
import { createFakeWorld } from '../support/fake-atproto.ts'

vi.mock('../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

const HOME = 'C:\\Users\\Ann B\\oauth'
const platform = 'win32'

describe('a command to be pasted', () => {
  test.each([
    ['atproto-oauth status', 'atproto-oauth status'],
    [
      initCommandLine({ handle: 'a.test', scope: 'atproto repo:*' }),
      'atproto-oauth init a.test --scope "atproto repo:*"',
    ],
    [`--home ${shellQuote(HOME)}`, `--home "${HOME}"`],
    [`--state-file ${shellQuote("it's mine.json")}`, `--state-file "it's mine.json"`],
    [`--home ${shellQuote('C:\\a b\\')}`, `--home 'C:\\a b\\'`],
    [`cursor=${shellQuote("$x`y'z")}`, "cursor='$x`y''z'"],
    [`${shellQuote('a"b')} ${shellQuote('c d')}`, `'a"b' "c d"`],
  ])('%s', (posix, windows) => {
    expect(toWindowsQuoting(posix)).toBe(windows)
  })

  test('what a hint, a note and their flags say', async () => {
    const flags = ['--home', HOME]
    const refused = await run(createFakeWorld(), ['call', 'com.atproto.server.getSession', ...flags], { platform })
    expect(refused.stderr).toMatch(/hint: atproto-oauth .* --home "C:\\Users\\Ann B\\oauth"\n/)
    const init = ['init', 'alice.fake.dev', ...flags]
    const there = await run(createFakeWorld(), init, { platform })
    const here = await run(createFakeWorld(), init)
    expect(there.stderr).toContain(`\n  atproto-oauth complete --home "${HOME}"\n`)
    expect(here.stderr).toContain(`\n  atproto-oauth complete --home '${HOME}'\n`)
  })
})

test('printed credentials: how PowerShell takes them', async () => {
  const world = createFakeWorld()
  const { code, stderr } = await run(world, ['complete'], { stdin: `${await callbackFor(world)}\r\n`, platform })
  expect(code).toBe(0)
  expect(stderr).toContain('--format powershell')
  expect(stderr).not.toContain('set -a')
})

describe('save targets', () => {
  test.each([
    ['file:C:\\Users\\Ann\\s.env', 'file:C:\\Users\\Ann\\s.env'],
    ['file:C:/Users/Ann/s.env', 'file:C:\\Users\\Ann\\s.env'],
    ['file:\\\\server\\share\\s.env', 'file:\\\\server\\share\\s.env'],
    ['gh:ann/bot@production', 'gh:ann/bot@production'],
    ['exec:C:\\bin\\keep.exe "a b"', 'exec:C:\\bin\\keep.exe "a b"'],
  ])('%s', (spec, normalized) => {
    expect(normalizeTarget(spec, win32.resolve)).toBe(normalized)
    expect(normalizeTarget(normalized, win32.resolve)).toBe(normalized)
  })

  test.each(['C:\\Users\\Ann\\s.env', 'session.env', 'c:/s.env', '.\\s.env', './s.env', '/tmp/s.env', '..\\s.env'])(
    'a drive or a folder is no scheme: %s',
    (spec) => {
      expect(() => normalizeTarget(spec, win32.resolve)).toThrow(
        expect.objectContaining({ code: 'USAGE', facts: { reason: 'target-malformed', file: spec } }),
      )
    },
  )
})

test('a program does not get our variables, however they are written', () => {
  const given = {
    PATH: '/bin',
    ATPROTO_OAUTH_SESSION: 'secret',
    Atproto_OAuth_Refresh_Token: 'secret',
    MY_ATPROTO: 'x',
  }
  expect(withoutOurs(given)).toStrictEqual({ PATH: '/bin', MY_ATPROTO: 'x' })
})
