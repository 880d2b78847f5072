import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { describe, expect, test } from 'vitest'
import { withLock } from '../../src/node/store/lock.ts'
import { lacks } from '../support/machine.ts'
import { screenOf } from '../support/terminal.ts'
import { runAtTerminal, runCli, runShell, spawnCli } from '../world/cli.ts'
import { signIn } from '../world/person.ts'
import { connectWorld } from '../world/world.ts'
import { CONSENT, callbackFor, expectFailure, keptInStore, logIn, newHome } from './support.ts'

const world = connectWorld()

describe('the prompt of complete', () => {
  test.skipIf(lacks('script'))(
    'asks at a terminal, on stderr, and takes a paste longer than a terminal line',
    async () => {
      const account = await world.createAccount()
      const home = await newHome()
      const callback = `${await callbackFor(account, home)}&padding=${'x'.repeat(2000)}`
      // `script` gives the command a terminal; the credentials go to a file, the prompt does not.
      const command = `(umask 077; atproto-oauth complete > "$HOME/session.env")`
      const result = await runShell(
        `export -f atproto-oauth; script -qec '${command.replaceAll("'", "'\\''")}' /dev/null && cat "$HOME/session.env"`,
        { home, stdin: `${callback}\r`, env: { SHELL: '/bin/bash' } },
      )
      expect(result.code).toBe(0)
      expect(result.stdout).toContain('Callback URL:')
      expect(parse(result.stdout.slice(result.stdout.lastIndexOf('ATPROTO_OAUTH_REFRESH_TOKEN')))).toMatchObject({
        ATPROTO_OAUTH_DID: account.did,
      })
    },
  )

  test.each([
    ['nothing on stdin', undefined],
    ['an empty pipe', ''],
  ])('without a terminal nothing prompts: %s', async (_, stdin) => {
    const result = await runCli(['complete'], { home: await newHome(), ...(stdin !== undefined && { stdin }) })
    expectFailure(result, 2, 'USAGE')
    expect(result.stderr).toContain('callback-url')
  })
})

describe.skipIf(lacks('script'))('at a terminal complete asks where the credentials should go', () => {
  const DOWN = '\x1b[B'
  const WHERE = 'Where should the credentials go?'
  async function answered(...questions: (readonly [string, string])[]) {
    const account = await world.createAccount()
    const home = await newHome()
    const callback = await callbackFor(account, home)
    const result = await runAtTerminal('complete', [['Callback URL:', `${callback}\r`], ...questions], { home })
    return { account, home, ...result }
  }

  test('print them', async () => {
    const { code, screen, account } = await answered([WHERE, '\r'])
    expect(code).toBe(0)
    expect(screen).toContain(`ATPROTO_OAUTH_DID='${account.did}'`)
  })

  test('a file: private, and nothing on the screen', async () => {
    const { code, screen, account, home } = await answered([WHERE, `${DOWN}\r`], ['File:', '\r'])
    expect(code).toBe(0)
    const path = join(home.path, 'session.env')
    expect(parse(await readFile(path))).toMatchObject({ ATPROTO_OAUTH_DID: account.did })
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(screen).toContain(`saved to file:${path}`)
    expect(screen).not.toContain('ref-')
  })

  test('keep them here: call finds them', async () => {
    const { code, screen, home } = await answered([WHERE, `${DOWN}${DOWN}${DOWN}\r`])
    expect(code).toBe(0)
    expect(screen).not.toContain('ref-')
    expect(await runCli(['call', 'com.atproto.server.getSession'], { home })).toMatchObject({ code: 0 })
  })

  test('GitHub, without gh: nothing is lost, it is kept here and the message says so', async () => {
    const questions = [[WHERE, `${DOWN}${DOWN}\r`] as const, ['OWNER/REPO', 'alice/bot\r'] as const]
    const { account, code, screen, home } = await answered(...questions)
    expect(code).toBe(10)
    expect(screen).toContain('command not found: gh')
    expect(screen).toContain('session: still valid')
    const deliver = /hint: atproto-oauth (refresh .+?)\r?\n/.exec(screen)![1]!.split(' ')
    expect((await runCli(['status', '--json'], { home })).stdout).toContain('"undelivered":["gh:alice/bot"]')
    const bin = join(home.path, 'bin')
    await mkdir(bin)
    await writeFile(join(bin, 'gh'), '#!/bin/sh\ncat > "$HOME/delivered"\n', { mode: 0o755 })
    const path = `${bin}:${process.env['PATH']}`
    expect(await runCli(deliver, { home, env: { PATH: path } })).toMatchObject({ code: 0 })
    expect(parse(await readFile(join(home.path, 'delivered')))).toMatchObject({ ATPROTO_OAUTH_DID: account.did })
  })

  test('a wrong paste is asked for again before anything else; with no login it is said at once', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const none = await runAtTerminal('complete', [], { home })
    expect(none).toMatchObject({ code: 4, screen: expect.stringContaining('no login is pending here') })
    expect(none.screen).not.toContain('Callback URL:')
    const callback = await callbackFor(account, home)
    const questions = [
      ['Callback URL:', 'what do I paste here?\r'] as const,
      ['not a callback URL', `${callback.replace(/(?<=state=).{10}/, 'otherotherotherother')}\r`] as const,
      ['matches no login', `\x1b[200~here: ${callback.replace(/.{50}/g, '$&\r')} thanks\x1b[201~\r`] as const,
      [WHERE, '\r'] as const,
    ]
    const { code, screen } = await runAtTerminal('complete', questions, { home })
    expect(code).toBe(0)
    expect(screen.indexOf(WHERE)).toBeGreaterThan(screen.indexOf('matches no login'))
    expect(screen).toContain(`ATPROTO_OAUTH_DID='${account.did}'`)
  })

  test('what is pasted behind the URL does not reach the shell', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const callback = await callbackFor(account, home)
    const lines = `${callback}\rtouch reached\r`
    // What is typed while the command still runs is discarded, so `cat` is answered only when it is there to read.
    const result = await runAtTerminal(
      'complete --save store; echo "shell:$((1 + 1))"; cat',
      [
        ['Callback URL:', lines],
        ['shell:2', '\x04'],
      ],
      { home },
    )
    expect(result.code).toBe(0)
    expect(result.screen.slice(result.screen.indexOf('Next:'))).not.toContain('touch reached')
    expect(existsSync(join(home.path, 'reached'))).toBe(false)
  })

  test('Ctrl-C after the paste: 130, and a session that was received is saved', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const callback = await callbackFor(account, home)
    // The prompt ends with this sequence, and the code is sent soon after it.
    const dialogue = [['Callback URL:', `${callback}\r`] as const, ['\x1b[?2004l', '\x03'] as const]
    const { code, screen } = await runAtTerminal('complete --save store', dialogue, { home })
    const isSaved = (await runCli(['call', 'com.atproto.server.getSession'], { home })).code === 0
    // A key that arrives when all is done interrupts nothing.
    if (!isSaved || code !== 0) expect(code).toBe(130)
    expect(isSaved).toBe(screen.includes('signed in as'))
    if (!isSaved) expect(await runCli(['complete', callback], { home })).toMatchObject({ code: 0 })
  })

  test('login: a wrong paste is asked for again, and a wrapped one completes it', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const questions = [
      ['left): ', 'is it this?\r'] as const,
      [
        'not a callback URL',
        async (screen: string) => {
          const url = /http:\/\/localhost:\d+\/oauth\/authorize\S+/.exec(screen)![0]
          return `${(await signIn(url, account, CONSENT)).replace(/.{50}/g, '$&\r')}\r`
        },
      ] as const,
    ]
    const { code, screen } = await runAtTerminal(`login --no-open --save store ${account.handle}`, questions, { home })
    expect(code).toBe(0)
    expect(screen).toContain(`signed in as ${account.handle}`)
  })

  test('Ctrl-C at the question: the code is not spent', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const callback = await callbackFor(account, home)
    const dialogue = [['Callback URL:', `${callback}\r`] as const, [WHERE, '\x03'] as const]
    expect(await runAtTerminal('complete', dialogue, { home })).toMatchObject({
      code: 130,
      screen: expect.stringContaining('interrupted before the code was sent; there is no session'),
    })
    expect(await runCli(['complete', callback], { home })).toMatchObject({ code: 0 })
  })
})

describe.skipIf(lacks('script'))('the screen', () => {
  /** In a terminal of so many columns. */
  const shown = async (columns: number, args: string, env: Record<string, string | undefined> = {}) => {
    const options = { home: await newHome(), env: { NO_COLOR: undefined, TERM: 'xterm', ...env } }
    const { stdout } = await runShell(
      `export -f atproto-oauth; script -qec 'stty cols ${columns}; atproto-oauth ${args}' /dev/null`,
      { ...options, stdin: '', env: { ...options.env, SHELL: '/bin/bash' } },
    )
    return stdout.replaceAll('\r', '')
  }
  const EXAMPLES = /^(?:Examples?|Quick start):\n(?: .*\n)+/gm

  test.each([40, 60, 80, 200])('help in %i columns', async (columns) => {
    for (const args of ['--help', 'init --help', 'call --help']) {
      const text = await shown(columns, args)
      expect(text).toMatch(/^Usage: atproto-oauth/)
      const lengths = text
        .replace(EXAMPLES, '')
        .split('\n')
        .map((line) => line.length)
      expect(Math.max(...lengths)).toBeLessThanOrEqual(columns)
    }
  })

  test('init: its URL has a colour, and none for TERM=dumb; so has the label of an error', async () => {
    const { handle } = await world.createAccount()
    const coloured = /^\u001b\[36mhttps?:\/\/\S+\u001b\[39m$/m
    expect(await shown(80, `init ${handle}`)).toMatch(coloured)
    const bare = await shown(80, `init ${handle}`, { TERM: 'dumb' })
    expect(bare).toMatch(/^https?:\/\/\S+$/m)
    expect(bare).not.toContain('\u001b')
    expect(await shown(80, 'status')).toContain('atproto-oauth: \u001b[31merror:\u001b[39m ')
  })
})

describe('streams', () => {
  test('sourced by bash, what complete printed arrives byte for byte', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const callback = await callbackFor(account, home)
    const show = `node -p 'JSON.stringify(Object.fromEntries(Object.entries(process.env).filter(([k]) => k.startsWith("ATPROTO_OAUTH_"))))'`
    const result = await runShell(
      `umask 077
       atproto-oauth complete '${callback}' > session.env
       set -a; . ./session.env; set +a
       atproto-oauth call com.atproto.server.getSession > answer.json
       echo "exit $?" >&2
       ${show}`,
      { home },
    )
    expect(result.stderr).toContain('exit 0')
    expect(result.stderr).not.toContain('can read the credentials file')
    const env = JSON.parse(result.stdout)
    expect(JSON.parse(env.ATPROTO_OAUTH_DPOP_PRIVATE_JWK)).toMatchObject({ kty: 'EC', crv: 'P-256' })
    expect(env.ATPROTO_OAUTH_REFRESH_TOKEN).toMatch(/^ref-[0-9a-f]{64}$/)
    expect(env.ATPROTO_OAUTH_CLIENT_ID).toBe(
      'http://localhost?redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback&scope=atproto+transition%3Ageneric',
    )
  })

  test.each(['dotenv', 'export', 'fish', 'powershell', 'raw', 'json', 'bundle'])('--format %s', async (format) => {
    const account = await world.createAccount()
    const home = await newHome()
    const { stdout, code } = await runCli(['complete', await callbackFor(account, home), '--format', format], { home })
    expect(code).toBe(0)
    const first = {
      dotenv: /^ATPROTO_OAUTH_REFRESH_TOKEN='ref-/,
      export: /^export ATPROTO_OAUTH_REFRESH_TOKEN='ref-/,
      fish: /^set -gx ATPROTO_OAUTH_REFRESH_TOKEN 'ref-/,
      powershell: /^\$env:ATPROTO_OAUTH_REFRESH_TOKEN = 'ref-/,
      raw: /^ATPROTO_OAUTH_REFRESH_TOKEN=ref-/,
      json: /^\{\n {2}"ATPROTO_OAUTH_REFRESH_TOKEN": "ref-/,
      bundle: /^[A-Za-z0-9_-]+\n$/,
    }[format]
    expect(stdout).toMatch(first!)
  })

  test('--format github masks first, then writes the files; outside of Actions nothing is spent', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const callback = await callbackFor(account, home)
    expectFailure(await runCli(['complete', callback, '--format', 'github'], { home }), 2, 'USAGE')
    const result = await runShell(`atproto-oauth complete '${callback}' --format github && cat env.txt`, {
      home,
      env: { GITHUB_ENV: `${home.path}/env.txt` },
    })
    expect(result.code).toBe(0)
    const [masks, written] = result.stdout.split(/(?=^ATPROTO_OAUTH_REFRESH_TOKEN<<)/m)
    expect(
      masks!
        .trim()
        .split('\n')
        .every((line) => line.startsWith('::add-mask::')),
    ).toBe(true)
    expect(written).toContain(`ATPROTO_OAUTH_DID<<`)
  })

  test('usage errors, help and version', async () => {
    const home = await newHome()
    for (const args of [
      [],
      ['frobnicate'],
      ['init'],
      ['init', 'a.test', 'b.test'],
      ['call'],
      ['complete', '--format', 'xml'],
    ]) {
      expectFailure(await runCli(args, { home }), 2, 'USAGE')
    }
    for (const args of [['--help'], ['init', '--help'], ['complete', '-h'], ['call', '--help'], ['--version']]) {
      const result = await runCli(args, { home })
      expect([result.code, result.stderr]).toStrictEqual([0, ''])
      expect(result.stdout).not.toBe('')
    }
  })

  test.runIf(existsSync('/dev/full'))('--help that could not be written is no success', async () => {
    const { code, stderr } = await runShell('atproto-oauth --help > /dev/full', { home: await newHome() })
    expect([code, stderr]).toStrictEqual([10, expect.stringContaining('[OUTPUT_FAILED]')])
  })

  test('a reader that stops early is no reason for a stack trace', async () => {
    const { home, env } = await logIn(world)
    const { stderr } = await runShell('atproto-oauth call com.atproto.server.getSession | true', { home, env })
    expect(stderr).not.toContain('    at ')
  })
})

test.skipIf(lacks('script'))('a wait for the lock of a session is on the screen, and gone afterwards', async () => {
  const { account, home } = await keptInStore(world)
  const [name] = await readdir(join(home.state, 'sessions'))
  const lock = join(home.state, 'locks', name!.replace(/\.json$/, ''))
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const seen = async () => {
    release()
    return ''
  }
  const line = `waiting for process ${process.pid}, which is refreshing this session`
  const holding = withLock(lock, () => held)
  const { code, screen } = await runAtTerminal('refresh', [[line, seen]], { home, env: { TERM: 'xterm' } })
  await holding
  await home.remove()
  expect([code, screenOf(screen).at(-2)]).toStrictEqual([0, `${account.did}: refreshed, saved to the per-user store`])
  expect(screenOf(screen).join()).not.toContain('waiting for')
})

describe('signals', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s ends with %i', async (signal, code) => {
    const home = await newHome()
    // A resolver that never answers keeps the process waiting; its request tells that it does.
    const { createServer } = await import('node:http')
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const env = { ATPROTO_OAUTH_HANDLE_RESOLVER: `http://127.0.0.1:${port}` }
    const child = spawnCli(['init', 'alice.test'], { home, env })
    await once(server, 'request')
    child.kill(signal)
    expect(await once(child, 'exit')).toStrictEqual([code, null])
    server.closeAllConnections()
    server.close()
  })
})
