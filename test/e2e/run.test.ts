import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { parse } from 'dotenv'
import { describe, expect, test } from 'vitest'
import { lacks } from '../support/machine.ts'
import { masked, readByRunner } from '../support/runner-files.ts'
import { type Home, LAUNCHER, runAtTerminal, runCli, runShell, spawnCli, talkToShell } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { tokenAt } from './front-support.ts'
import { expectFailure, keptInStore, logIn, newHome, sentByUs } from './support.ts'
import { newVault, vaultSession } from './vault-support.ts'

const world = connectWorld()
const GET_SESSION = 'com.atproto.server.getSession'

/** A program that knows only passwords: without any of our code. */
const CLIENT = `
  const { ATPROTO_OAUTH_RUN_URL: url, ATPROTO_OAUTH_RUN_HANDLE: identifier, ATPROTO_OAUTH_RUN_PASSWORD: password } = process.env
  export async function send(method, nsid, body, token) {
    const headers = { 'content-type': 'application/json', ...(token && { authorization: 'Bearer ' + token }) }
    const response = await fetch(url + '/xrpc/' + nsid, { method, headers, ...(body && { body: JSON.stringify(body) }) })
    return { status: response.status, body: await response.json().catch(() => undefined) }
  }
  export async function signIn() {
    const { status, body } = await send('POST', 'com.atproto.server.createSession', { identifier, password })
    if (status !== 200) throw new Error(status + JSON.stringify(body))
    return body
  }
  export function post(session, text) {
    const record = { $type: 'app.bsky.feed.post', text, createdAt: new Date().toISOString() }
    const body = { repo: session.did, collection: 'app.bsky.feed.post', record }
    return send('POST', 'com.atproto.repo.createRecord', body, session.accessJwt)
  }
  const LIST = 'com.atproto.repo.listRecords?collection=app.bsky.feed.post&repo='
  export const list = (session) => send('GET', LIST + session.did, undefined, session.accessJwt)
`

/** Writes a program that may use the client. @returns its name, in the current directory of commands */
async function program(home: Home, code: string): Promise<string> {
  await writeFile(join(home.path, 'client.mjs'), CLIENT)
  const imports = `import * as client from './client.mjs'\nimport { appendFileSync, writeFileSync } from 'node:fs'\n`
  await writeFile(join(home.path, 'program.mjs'), imports + code)
  return 'program.mjs'
}

/** How many records the account has. */
async function postsOf(did: string, home: Home): Promise<string[]> {
  const args = ['call', 'com.atproto.repo.listRecords', `repo=${did}`, 'collection=app.bsky.feed.post']
  const { stdout } = await runCli(args, { home })
  return JSON.parse(stdout).records.map(({ value }: { value: { text: string } }) => value.text)
}

describe('a program', () => {
  test('signs in and posts; its arguments, streams and exit code are its own, and no secret of ours is in it', async () => {
    const { account, home, env } = await logIn(world)
    const name = await program(
      home,
      `const session = await client.signIn()
       const { status } = await client.post(session, 'from a program')
       process.stdin.setEncoding('utf8')
       let typed = ''
       for await (const chunk of process.stdin) typed += chunk
       const ours = Object.entries(process.env).filter(([name]) => name.startsWith('ATPROTO_OAUTH_'))
       console.log(JSON.stringify({ session, status, typed, ours, args: process.argv.slice(2), env: process.env }))
       console.error('its own words')
       process.exit(7)`,
    )
    const args = [
      '--env',
      'HOST_OF_PDS={host}',
      '--env',
      'NODE_USE_ENV_PROXY=1',
      '--save',
      'store',
      'node',
      name,
      '{did}',
      '{"a":{"b":"{handle}"}}',
      '{{did}}',
    ]
    // Nothing listens at this proxy.
    const given = { ...env, HTTP_PROXY: 'http://127.0.0.1:1', no_proxy: 'localhost', GITHUB_TOKEN: 'theirs' }
    const result = await runCli(['run', '--quiet', ...args, '--json', '-q', '--'], { home, env: given, stdin: 'in' })
    expect(result.code).toBe(7)
    expect(result.stderr.replace(/^atproto-oauth: warning: development mode.*\n/m, '')).toBe('its own words\n')
    const seen = JSON.parse(result.stdout)
    expect(seen.session).toMatchObject({ did: account.did, handle: account.handle })
    expect(seen).toMatchObject({ status: 200, typed: 'in' })
    expect(seen.args).toStrictEqual([account.did, `{"a":{"b":"${account.handle}"}}`, '{did}', '--json', '-q', '--'])
    expect(Object.fromEntries(seen.ours)).toStrictEqual({
      ATPROTO_OAUTH_RUN_URL: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
      ATPROTO_OAUTH_RUN_HANDLE: account.handle,
      ATPROTO_OAUTH_RUN_DID: account.did,
      ATPROTO_OAUTH_RUN_PASSWORD: expect.stringMatching(/^[a-z2-7]{4}(?:-[a-z2-7]{4}){3}$/),
    })
    expect(seen.env.HOST_OF_PDS).toBe(new URL(seen.env.ATPROTO_OAUTH_RUN_URL).host)
    expect(seen.env).toMatchObject({ GITHUB_TOKEN: 'theirs', no_proxy: 'localhost,127.0.0.1' })
    for (const secret of [env['ATPROTO_OAUTH_REFRESH_TOKEN']!, JSON.parse(env['ATPROTO_OAUTH_DPOP_PRIVATE_JWK']!).d]) {
      expect(result.stdout + result.stderr).not.toContain(secret)
    }
    expect(await postsOf(account.did, home)).toStrictEqual(['from a program'])
  })

  test('in many processes at once, from credentials that need a refresh: one refresh for all of them', async () => {
    const { home, env } = await logIn(world)
    const name = await program(
      home,
      `const session = await client.signIn()
       const all = await Promise.all(Array.from({ length: 25 }, () => client.list(session)))
       appendFileSync('seen', all.map(({ status }) => status + '\\n').join(''))`,
    )
    await world.clearRequests()
    const line = `for i in 1 2 3 4; do node ${name} & done; wait`
    expect(await runCli(['run', 'sh', '-c', line], { home, env })).toMatchObject({ code: 0 })
    expect(await readFile(join(home.path, 'seen'), 'utf8')).toBe('200\n'.repeat(100))
    expect((await sentByUs(world)).filter((sent) => sent === 'POST pds /oauth/token')).toHaveLength(1)
  })

  test('goes on after another command has refreshed the same session, which ends the token of the front', async () => {
    const { home } = await keptInStore(world)
    try {
      const name = await program(
        home,
        `const session = await client.signIn()
         const { execFileSync } = await import('node:child_process')
         execFileSync(process.execPath, ['${LAUNCHER}', 'refresh'], { env: { ...process.env, ...JSON.parse(process.argv[2]) } })
         console.log((await client.post(session, 'after')).status)`,
      )
      const { plcUrl, handleResolverUrl } = world
      const env = {
        ATPROTO_OAUTH_HOME: home.state,
        ATPROTO_OAUTH_DEV: '1',
        ATPROTO_OAUTH_PLC_URL: plcUrl,
        ATPROTO_OAUTH_HANDLE_RESOLVER: handleResolverUrl,
      }
      const result = await runCli(['run', 'node', name, JSON.stringify(env)], { home })
      expect(result).toMatchObject({ code: 0, stdout: '200\n' })
      expect(await runCli(['call', GET_SESSION], { home })).toMatchObject({ code: 0 })
    } finally {
      await home.remove()
    }
  })

  test('whose session ends meanwhile: its exit code stays, and stderr says what to do', async () => {
    const { home, env } = await logIn(world)
    const name = await program(
      home,
      `const session = await client.signIn()
       const { execFileSync } = await import('node:child_process')
       execFileSync(process.execPath, ['${LAUNCHER}', 'revoke'], { env: { ...process.env, ...JSON.parse(process.argv[2]) }, stdio: 'ignore' })
       const { status, body } = await client.post(session, 'after')
       console.log(status)
       console.error('program: ' + body.error + ': ' + body.message)
       await client.post(session, 'after')
       process.exit(3)`,
    )
    const { plcUrl, handleResolverUrl } = world
    const settings = {
      ATPROTO_OAUTH_HOME: home.state,
      ATPROTO_OAUTH_DEV: '1',
      ATPROTO_OAUTH_PLC_URL: plcUrl,
      ATPROTO_OAUTH_HANDLE_RESOLVER: handleResolverUrl,
    }
    const result = await runCli(['run', 'node', name, JSON.stringify(settings)], { home, env })
    expect(result.code, result.stderr).toBe(3)
    expect(result.stdout).toMatch(/^[45]\d\d\n$/)
    expect(result.stderr).toMatch(
      /error: .* was revoked here .*\[SESSION_DEAD\]\natproto-oauth: session: ended\natproto-oauth: hint: atproto-oauth init .*\nprogram: \w+: .* was revoked here/,
    )
    expect(result.stderr.match(/SESSION_DEAD/g), 'once').toHaveLength(1)
  })

  test('narrowed by --read-only and --allow: a refused method is said once', async () => {
    const { account, home, env } = await logIn(world)
    const name = await program(
      home,
      `const session = await client.signIn()
       for (const _ of [1, 2]) console.log((await client.post(session, 'no')).status, (await client.list(session)).status)`,
    )
    const refused = await runCli(['run', '--read-only', 'node', name], { home, env })
    expect(refused).toMatchObject({ code: 0, stdout: '403 200\n403 200\n' })
    expect(refused.stderr.match(/com\.atproto\.repo\.createRecord was refused, because of --read-only/g)).toHaveLength(
      1,
    )
    const other = ['run', '--allow', 'app.bsky.*', '--allow', 'com.atproto.repo.listRecords', '--', 'node', name]
    const narrow = await runCli(other, { home, env })
    expect(narrow).toMatchObject({ code: 0, stdout: '403 200\n403 200\n' })
    expect(narrow.stderr).toContain('to pass it on, add --allow com.atproto.repo.createRecord')
    expect(await postsOf(account.did, home)).toStrictEqual([])
  })

  test('a service token for a method that no --allow names: the warning does not ask for what is allowed', async () => {
    const { home, env } = await logIn(world)
    const query = 'aud=did:web:x.fake.dev&lxm=com.atproto.repo.uploadBlob'
    const name = await program(
      home,
      `const { accessJwt } = await client.signIn()
       console.log((await client.send('GET', 'com.atproto.server.getServiceAuth?${query}', undefined, accessJwt)).status)`,
    )
    const { stdout, stderr } = await runCli(['run', '--allow', 'com.atproto.server.*', 'node', name], { home, env })
    expect(stdout).toBe('403\n')
    expect(stderr).toContain('add --allow for the method that its token authorizes (lxm)')
    expect(stderr).not.toContain('add --allow com.atproto.server.getServiceAuth')
  })

  test('with a scope that lacks the permission: the PDS refuses, and the warning has the login that adds it', async () => {
    const { account, home, env } = await logIn(world, 'atproto repo:app.bsky.feed.like')
    const name = await program(home, `console.log((await client.post(await client.signIn(), 'no')).status)`)
    const result = await runCli(['run', 'node', name], { home, env })
    expect(result).toMatchObject({ code: 0, stdout: '403\n' })
    expect(result.stderr).toContain('the PDS refused com.atproto.repo.createRecord')
    expect(result.stderr).toContain(`sign in again with atproto-oauth init ${account.did} --scope 'atproto `)
    expect(result.stderr).toContain('repo:app.bsky.feed.post?action=create')
  })
})

describe('before it starts', () => {
  /** What would leave a trace. */
  const START = ['sh', '-c', 'echo started > started']

  test.each([
    ['no session', {}, 'SESSION_MISSING'],
    ['a CI job that would lose the rotated token', { CI: 'true' }, 'SAVE_TARGET_MISSING'],
  ])('%s: 125, and the code on stderr', async (_, env, code) => {
    const { home, env: session } = await logIn(world)
    const given = code === 'SESSION_MISSING' ? env : { ...env, ...session }
    const result = await runCli(['run', ...START], { home, env: given })
    expectFailure(result, 125, code)
    const json = await runCli(['run', '--json', ...START], { home, env: given })
    expect(json.code).toBe(125)
    expect(JSON.parse(json.stderr.trim().split('\n').at(-1)!)).toMatchObject({ code, exit: 125 })
    expect(existsSync(join(home.path, 'started'))).toBe(false)
  })

  test('a session that was revoked elsewhere: 125, although its access token has not expired', async () => {
    const { home, env } = await logIn(world)
    expect(await runCli(['call', GET_SESSION], { home, env })).toMatchObject({ code: 0 })
    const elsewhere = await newHome()
    const [record] = await readdir(join(home.state, 'sessions'))
    const stored = JSON.parse(await readFile(join(home.state, 'sessions', record!), 'utf8'))
    const current = { ...env, ATPROTO_OAUTH_REFRESH_TOKEN: stored.refreshToken }
    expect(await runCli(['revoke'], { home: elsewhere, env: current })).toMatchObject({ code: 0 })
    expectFailure(await runCli(['run', ...START], { home, env }), 125, 'SESSION_DEAD')
    expect(existsSync(join(home.path, 'started'))).toBe(false)
  })

  test('a command that cannot be started: 126, or 127 if there is none', async () => {
    const { home, env } = await logIn(world)
    await writeFile(join(home.path, 'script.py'), 'print(1)')
    await writeFile(join(home.path, 'bad'), '#!/nowhere/interpreter\n', { mode: 0o755 })
    const cases: [words: string[], exit: number, says: RegExp][] = [
      [['nosuchprogram'], 127, /command not found: "nosuchprogram"[\s\S]*hint: check the spelling/],
      [['./nosuch'], 127, /command not found: ".\/nosuch"[\s\S]*hint: check the path/],
      [['\u2014', 'node'], 127, /hint: write two hyphens before the command: --/],
      [[''], 127, /command not found: ""[\s\S]*was its variable not set\?/],
      [['node program.mjs'], 127, /hint: omit the quotes around the command: node program\.mjs$/m],
      [['a && b'], 127, /hint: run a line of shell with: sh -c 'a && b'$/m],
      [['A=b', 'node'], 127, /hint: set variables with --env, before the command: --env A=b$/m],
      [['script.py'], 127, /hint: for a file in this directory, write \.\/script\.py$/m],
      [
        ['./script.py', 'a b'],
        126,
        /permission denied[\s\S]*hint: write its interpreter before it: python3 \.\/script\.py 'a b'$/m,
      ],
      [
        ['./bad'],
        127,
        /the interpreter in its first line was not found[\s\S]*hint: correct the first line of \.\/bad$/m,
      ],
      [['/'], 126, /cannot start "\/": permission denied[\s\S]*hint: name a program in this directory/],
    ]
    for (const [words, exit, says] of cases) {
      const result = await runCli(['run', '--', ...words], { home, env })
      expect({ words, code: result.code, stdout: result.stdout }).toStrictEqual({ words, code: exit, stdout: '' })
      expect(result.stderr).toMatch(says)
    }
  })
})

describe('signals', () => {
  /** Counts the signals that it gets, says each, and ends at SIGTERM after another. */
  const COUNTING = `
    for (const signal of ['SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGTERM']) {
      process.on(signal, () => {
        console.log(signal)
        if (signal === 'SIGTERM') setImmediate(() => process.exit(9))
      })
    }
    console.log('ready')
    setInterval(() => {}, 1000)`

  test('those that are sent to this process alone reach the program, once each', async () => {
    const { home, env } = await logIn(world)
    const child = spawnCli(['run', '--', 'node', await program(home, COUNTING)], { home, env, detached: true })
    const closed = once(child, 'close')
    child.stderr.resume()
    let said = ''
    const signals: NodeJS.Signals[] = ['SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGINT', 'SIGQUIT', 'SIGTERM']
    const waiting = [...signals]
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      for (const _ of text.matchAll(/\n/g)) {
        const next = waiting.shift()
        if (next) child.kill(next)
      }
      said += text
    })
    expect(await closed).toStrictEqual([9, null])
    expect(said.trim().split('\n')).toStrictEqual(['ready', ...signals])
  })

  test.each([
    ['SIGTERM', 143],
    ['SIGINT', 130],
    ['SIGKILL', 137],
    ['SIGSEGV', 139],
  ])('a program that ends by %s: %i', async (signal, code) => {
    const { home, env } = await logIn(world)
    const args = ['run', '--', 'node', '-e', `process.kill(process.pid, '${signal}'); setInterval(() => {}, 1000)`]
    expect(await runCli(args, { home, env })).toMatchObject({ code, signal: null, stdout: '' })
  })

  test('killed ourselves: the program that stays has an address where nothing listens, and the session lives', async () => {
    const { home, env } = await logIn(world)
    const name = await program(
      home,
      `const session = await client.signIn()
       console.log('ready')
       for (;;) {
         try { await client.list(session) } catch { break }
       }
       writeFileSync('gone', 'yes')
       console.log('gone')`,
    )
    const child = spawnCli(['run', 'node', name], { home, env })
    child.stderr.resume()
    child.stdout.setEncoding('utf8').on('data', (text: string) => text.includes('ready') && child.kill('SIGKILL'))
    await once(child, 'close') // also of the program, which has the same stdout
    expect(await readFile(join(home.path, 'gone'), 'utf8')).toBe('yes')
    expect(await runCli(['call', GET_SESSION], { home, env })).toMatchObject({ code: 0 })
  })

  test('what the program leaves behind cannot use the front any more', async () => {
    const { home, env } = await logIn(world)
    const name = await program(
      home,
      `if (process.argv[2] === 'behind') {
         const session = await client.signIn()
         process.send('signed in')
         process.disconnect()
         for (;;) {
           try { if ((await client.list(session)).status !== 200) break } catch { break }
         }
         console.log('gone')
       } else {
         const { fork } = await import('node:child_process')
         const other = fork('./program.mjs', ['behind'], { detached: true })
         other.once('message', () => process.exit(0))
       }`,
    )
    expect(await runCli(['run', 'node', name], { home, env })).toMatchObject({ code: 0, stdout: 'gone\n' })
  })
})

/** An hour later, once there is a file `late`: the access token has expired. */
const LATER = `import { existsSync } from 'node:fs'
  const now = Date.now
  Date.now = () => now() + (existsSync('late') ? 3_600_000 : 0)`
const PRELOAD = `--import=data:text/javascript,${encodeURIComponent(LATER)}`

test('a save that fails while the program runs: its exit code stays, and stderr says where the tokens are', async () => {
  const { home, env } = await logIn(world)
  expect(await runCli(['call', GET_SESSION], { home, env })).toMatchObject({ code: 0 })
  const name = await program(
    home,
    `const session = await client.signIn()
     writeFileSync('late', '')
     console.log((await client.post(session, 'not sent')).status >= 400)
     process.exit(4)`,
  )
  // Targets are tried with the old credentials first.
  const target = 'exec:if [ -e tried ]; then exit 1; else cat > tried; fi'
  const result = await runCli(['run', '--save', target, 'node', name], { home, env: { ...env, NODE_OPTIONS: PRELOAD } })
  expect(result).toMatchObject({ code: 4, stdout: 'true\n' })
  expect(result.stderr).toMatch(/error: .*\[SAVE_FAILED\]\natproto-oauth: session: still valid\natproto-oauth: hint: /)
  expect((await runCli(['status', '--json'], { home })).stdout).toContain('"undelivered":["exec:')
})

describe.skipIf(lacks('mkfifo'))('a refresh that is in progress when the program ends', () => {
  /** Targets are tried with the old credentials first. The second time, this one waits between two pipes. */
  const SLOW = 'exec:if [ -e tried ]; then cat > saved; echo > began; cat go; else cat > tried; fi'

  test.each(['SIGTERM', 'SIGHUP', 'SIGINT'] as const)('is finished and saved, also after %s', async (signal) => {
    const { account, home, env } = await logIn(world)
    expect(await runCli(['call', GET_SESSION], { home, env })).toMatchObject({ code: 0 })
    const name = await program(
      home,
      `for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT']) process.on(signal, () => {})
       const session = await client.signIn()
       writeFileSync('late', '')
       void client.post(session, 'never arrives').catch(() => {})
       const { readFile } = await import('node:fs/promises')
       await readFile('began')
       console.log('saving')
       process.exit(4)`,
    )
    await runShell('mkfifo began go', { home })
    const child = spawnCli(['run', '--save', SLOW, 'node', name], {
      home,
      env: { ...env, NODE_OPTIONS: PRELOAD },
      detached: true,
    })
    const errors = buffer(child.stderr)
    const closed = once(child, 'close')
    await once(child.stdout, 'data')
    child.kill(signal)
    await writeFile(join(home.path, 'go'), '')
    expect(await closed, (await errors).toString()).toStrictEqual([4, null])
    const saved = parse(await readFile(join(home.path, 'saved'), 'utf8'))
    expect(saved).toMatchObject({ ATPROTO_OAUTH_DID: account.did })
    const elsewhere = await newHome()
    expect(await runCli(['call', GET_SESSION], { home: elsewhere, env: saved })).toMatchObject({ code: 0 })
  })

  test('whose save fails after the program has ended: stderr says it, with the way out', async () => {
    const { home, env } = await logIn(world)
    expect(await runCli(['call', GET_SESSION], { home, env })).toMatchObject({ code: 0 })
    const name = await program(
      home,
      `const session = await client.signIn()
       writeFileSync('late', '')
       void client.post(session, 'never arrives').catch(() => {})
       const { readFile } = await import('node:fs/promises')
       await readFile('began')
       process.exit(4)`,
    )
    await runShell('mkfifo began go', { home })
    const target = 'exec:if [ -e tried ]; then echo > began; cat go; exit 1; else cat > tried; fi'
    const cli = spawnCli(['run', '--save', target, 'node', name], { home, env: { ...env, NODE_OPTIONS: PRELOAD } })
    const errors = buffer(cli.stderr)
    const closed = once(cli, 'close')
    await writeFile(join(home.path, 'go'), '')
    expect(await closed).toStrictEqual([4, null])
    const said = (await errors).toString()
    expect(said).toMatch(/^atproto-oauth: error: cannot save to exec:.* \[SAVE_FAILED\]$/m)
    expect(said).toMatch(/^atproto-oauth: hint: .*--save store/m)
  })
})

describe.skipIf(lacks('script'))('at a terminal', () => {
  // Other shells stay between the terminal and the command, and have an exit code of their own.
  const SHELL = '/bin/bash'

  test('Ctrl-C reaches the program once, and its exit code stays', async () => {
    const { home, env } = await logIn(world)
    const name = await program(
      home,
      `let count = 0
       process.on('SIGINT', () => {
         count += 1
         console.log('interrupt ' + count)
         setTimeout(() => process.exit(40 + count), 300) // for a second one to arrive
       })
       console.log('ready')
       setInterval(() => {}, 1000)`,
    )
    const { code, screen } = await runAtTerminal(`run node ${name}`, [['ready', '\x03']], {
      home,
      env: { ...env, SHELL },
    })
    expect(code).toBe(41)
    expect(screen.match(/interrupt \d/g)).toStrictEqual(['interrupt 1'])
  })

  test('Ctrl-C reaches a program in a session of its own once, too', async () => {
    const { home, env } = await logIn(world)
    const name = await program(
      home,
      `let count = 0
       process.on('SIGINT', () => {
         console.log('interrupt ' + ++count)
         if (count === 1) setTimeout(() => process.exit(40 + count), 300) // for a second one to arrive
       })
       console.log('ready')
       setInterval(() => {}, 1000)`,
    )
    const { code, screen } = await runAtTerminal(`run setsid node ${name}`, [['ready', '\x03']], {
      home,
      env: { ...env, SHELL },
    })
    expect(code).toBe(41)
    expect(screen.match(/interrupt \d/g)).toStrictEqual(['interrupt 1'])
  })

  test('Ctrl-C and Ctrl-\\ end a program that does not listen: 130 and 131', async () => {
    const { home, env } = await logIn(world)
    const waiting = `run -- node -e "console.log('ready'); setInterval(() => {}, 1000)"`
    expect(await runAtTerminal(waiting, [['ready', '\x03']], { home, env: { ...env, SHELL } })).toMatchObject({
      code: 130,
    })
    expect(await runAtTerminal(waiting, [['ready', '\x1c']], { home, env: { ...env, SHELL } })).toMatchObject({
      code: 131,
    })
  })

  test('Ctrl-Z stops both, and the shell prompts; after fg the program goes on with the front', async () => {
    const { account, home, env } = await logIn(world)
    const name = await program(
      home,
      `const session = await client.signIn()
       console.log('ready')
       process.stdin.setEncoding('utf8')
       for await (const line of process.stdin) {
         if (line.trim() === 'go') break
       }
       console.log('posted ' + (await client.post(session, 'after fg')).status)
       process.exit(5)`,
    )
    const { screen } = await talkToShell(
      [
        ['READY> ', `atproto-oauth run node ${name}\r`],
        ['ready\r', '\x1a'],
        ['READY> ', 'jobs -l\r'],
        ['READY> ', 'fg\r'],
        [`run node ${name}`, 'go\r'],
        ['READY> ', 'echo code:$?\r'],
        ['code:5', 'exit\r'],
      ],
      { home, env },
    )
    expect(screen).toMatch(/Stopped/)
    expect(screen).toContain('posted 200')
    expect(await postsOf(account.did, home)).toStrictEqual(['after fg'])
  })

  test('Ctrl-C ends a loop around it, too', async () => {
    const { home, env } = await logIn(world)
    const { screen } = await talkToShell(
      [
        ['READY> ', `for i in 1 2; do atproto-oauth run sh -c 'echo be""gun; exec sleep 1000'; done\r`],
        ['begun', '\x03'],
        ['READY> ', 'echo code:$?\r'],
        ['code:130', 'exit\r'],
      ],
      { home, env },
    )
    expect(screen.match(/begun/g)).toHaveLength(1)
  })

  test('warnings wait for the end of the program', async () => {
    const { home, env } = await logIn(world)
    const name = await program(
      home,
      `await client.post(await client.signIn(), 'no')
       console.log('last line of the program')`,
    )
    const { code, screen } = await runAtTerminal(`run --read-only node ${name}`, [], { home, env: { ...env, SHELL } })
    expect(code).toBe(0)
    expect(screen.indexOf('was refused')).toBeGreaterThan(screen.indexOf('last line of the program'))
  })
})

describe('without a program', () => {
  test('prints the variables, and keeps the front until it is interrupted', async () => {
    const { account, home, env } = await logIn(world)
    const name = await program(home, `console.log((await client.post(await client.signIn(), 'from beside')).status)`)
    const child = spawnCli(['run', '--env', 'BSKY_HOST={url}'], { home, env })
    const errors = buffer(child.stderr)
    const closed = once(child, 'close')
    let printed = ''
    await new Promise<void>((resolve) => {
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        printed += text
        if (printed.includes('BSKY_HOST')) resolve()
      })
    })
    expect(printed).toMatch(/^(?:export \w+='[^']*'\n){5}$/)
    await writeFile(join(home.path, 'front.sh'), printed)
    const used = await runShell(`. ./front.sh; echo "$BSKY_HOST"; node ${name}`, { home })
    expect(used.stdout).toMatch(/^http:\/\/127\.0\.0\.1:\d+\n200\n$/)
    child.kill('SIGINT')
    expect(await closed).toStrictEqual([130, null])
    expect((await errors).toString()).toContain(`signed in as ${account.handle}; the front runs until Ctrl-C`)
    expect(await postsOf(account.did, home)).toStrictEqual(['from beside'])
  })
})

test.each([
  [
    '',
    /^error: .* was revoked here .*\[SESSION_DEAD\]\natproto-oauth: session: ended\natproto-oauth: hint: atproto-oauth init /,
  ],
  ['--json', /^\{"code":"SESSION_DEAD",.*"hint":"atproto-oauth init .*"exit":130/],
])('without a program, a session that ends is said once, with what to type: %s', async (flag, says) => {
  const { account, home, env } = await logIn(world)
  const child = spawnCli(['run', '--format', 'json', ...(flag ? [flag] : [])], { home, env })
  const errors = buffer(child.stderr)
  const closed = once(child, 'close')
  const [printed] = (await once(child.stdout.setEncoding('utf8'), 'data')) as [string]
  const { ATPROTO_OAUTH_RUN_URL: url, ATPROTO_OAUTH_RUN_PASSWORD: password } = JSON.parse(printed)
  const headers = { authorization: `Bearer ${await tokenAt(url, account.did, password)}` }
  expect((await runCli(['revoke'], { home, env })).code).toBe(0)
  for (const _ of [1, 2]) {
    const response = await fetch(`${url}/xrpc/com.atproto.server.checkAccountStatus`, { headers })
    expect(await response.json()).toMatchObject({ message: expect.stringContaining('was revoked here') })
    expect(response.status).toBe(401)
  }
  child.kill('SIGINT')
  expect(await closed).toStrictEqual([130, null])
  const text = (await errors).toString().replace(/^atproto-oauth: warning: development mode.*\n/m, '')
  expect(text.slice(text.search(/error: |\{/))).toMatch(says)
  expect(text.match(/SESSION_DEAD/g)).toHaveLength(1)
})

test('--format github masks the password of the front, and neither its URL nor the account', async () => {
  const { account, home, env } = await logIn(world)
  const file = join(home.path, 'github-env')
  const given = { ...env, GITHUB_ENV: file }
  const args = ['run', '--format', 'github', '--save', 'store', '--env', 'PAIR={handle}:{password}']
  const child = spawnCli(args, { home, env: given })
  const closed = once(child, 'close')
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text))
  let noted = ''
  await new Promise<void>((resolve) => {
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      noted += text
      if (noted.includes('until Ctrl-C')) resolve()
    })
  })
  child.kill('SIGTERM')
  expect(await closed).toStrictEqual([143, null])
  const written = readByRunner(await readFile(file, 'utf8'))
  const { ATPROTO_OAUTH_RUN_PASSWORD: password } = written
  expect(written).toMatchObject({ ATPROTO_OAUTH_RUN_HANDLE: account.handle, ATPROTO_OAUTH_RUN_DID: account.did })
  expect(written).toMatchObject({ PAIR: `${account.handle}:${password}` })
  expect(new Set(masked(printed))).toStrictEqual(new Set([password, `${account.handle}:${password}`]))
})

describe('where the session is', () => {
  test('--save has the rotated token before the program starts', async () => {
    const { home, env } = await logIn(world)
    const args = ['run', '--save', 'file:session.env', '--', 'cat', 'session.env']
    const { code, stdout } = await runCli(args, { home, env })
    expect(code).toBe(0)
    expect(stdout).toMatch(/^ATPROTO_OAUTH_REFRESH_TOKEN='ref-[0-9a-f]+'$/m)
    expect(stdout).not.toContain(env['ATPROTO_OAUTH_REFRESH_TOKEN'])
  })

  test('in a vault: two machines run programs at once', async () => {
    const vault = await newVault()
    const account = await vaultSession(world, vault)
    const homes = [await newHome(), await newHome()]
    const code = `
      const session = await client.signIn()
      const all = await Promise.all(Array.from({ length: 10 }, () => client.list(session)))
      console.log(all.every(({ status }) => status === 200), session.did)
      console.log(Object.keys(process.env).some((name) => name.includes('VAULT')))`
    const results = await Promise.all(
      homes.map(async (home) => runCli(['run', '--', 'node', await program(home, code)], { home, env: vault.env })),
    )
    for (const { code: exit, stdout, stderr } of results) {
      expect({ exit, stdout }, stderr).toStrictEqual({ exit: 0, stdout: `true ${account.did}\nfalse\n` })
    }
  })
})
