import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { describe, expect, test } from 'vitest'
import { runCli } from '../world/cli.ts'
import { signIn } from '../world/person.ts'
import { type Account, connectWorld } from '../world/world.ts'
import { CONSENT, callbackFor, GENERIC, logIn, newHome, sentByUs } from './support.ts'

const world = connectWorld()

describe('init', () => {
  test('prints the URL alone, says the rest on stderr, in at most seven requests', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    await world.clearRequests()
    const result = await runCli(['init', `@${account.handle.toUpperCase()}`], { home })
    expect(result.code).toBe(0)
    expect(result.stdout).toMatch(/^http:\/\/localhost:\d+\/oauth\/authorize\?client_id=\S+&request_uri=\S+\n$/)
    for (const said of [account.handle, account.did, world.pdsUrl, 'cannot load', 'atproto-oauth complete']) {
      expect(result.stderr).toContain(said)
    }
    const sent = await sentByUs(world)
    const checked = [
      'GET pds /xrpc/com.atproto.identity.resolveHandle',
      `GET plc /${account.did}`,
      'GET pds /.well-known/oauth-protected-resource',
      'GET pds /.well-known/oauth-authorization-server',
    ]
    expect(sent.filter((request) => request.startsWith('GET')).sort()).toStrictEqual(checked.toSorted())
    // Once more if the nonce took longer than the checks.
    const posted = sent.filter((request) => request.startsWith('POST'))
    expect([...new Set(posted)].sort()).toStrictEqual(['POST pds /oauth/par', 'POST pds /oauth/token for a nonce'])
    expect(sent.indexOf('POST pds /oauth/par')).toBeGreaterThan(sent.indexOf(checked.at(-1)!))
    expect(sent.length).toBeLessThanOrEqual(checked.length + 3)
  })

  test('starts from a DID, a PDS and an authorization server too', async () => {
    const account = await world.createAccount()
    for (const identifier of [account.did, world.pdsUrl, `${world.pdsUrl}/`]) {
      const home = await newHome()
      const { stdout, code } = await runCli(['init', identifier, '--quiet'], { home })
      expect(code).toBe(0)
      const callback = await signIn(stdout.trim(), account, CONSENT)
      const completed = await runCli(['complete', callback], { home })
      expect(parse(completed.stdout)['ATPROTO_OAUTH_DID']).toBe(account.did)
    }
  })

  test('keeps several logins at once, in files nobody else can read', async () => {
    const [one, two] = [await world.createAccount(), await world.createAccount()]
    const home = await newHome()
    const begin = async (account: Account) => {
      const { stdout } = await runCli(['init', account.handle], { home })
      return signIn(stdout.trim(), account, CONSENT)
    }
    const first = await begin(one)
    const second = await begin(two)
    const files = await readdir(join(home.state, 'pending'))
    expect(files).toHaveLength(2)
    for (const file of files) expect((await stat(join(home.state, 'pending', file))).mode & 0o777).toBe(0o600)
    for (const folder of [home.state, join(home.state, 'pending')]) {
      expect((await stat(folder)).mode & 0o777).toBe(0o700)
    }
    const completed = await runCli(['complete', second], { home })
    expect(parse(completed.stdout)['ATPROTO_OAUTH_DID']).toBe(two.did)
    expect(parse((await runCli(['complete', first], { home })).stdout)['ATPROTO_OAUTH_DID']).toBe(one.did)
  })

  test('--json gives facts on stdout and keeps stderr for errors', async () => {
    const account = await world.createAccount()
    const result = await runCli(['init', account.handle, '--json'], { home: await newHome() })
    expect(JSON.parse(result.stdout)).toMatchObject({
      authorizationUrl: expect.stringContaining('request_uri='),
      did: account.did,
      handle: account.handle,
      scope: 'atproto',
    })
    expect(Object.keys(JSON.parse(result.stderr))).toStrictEqual(['warnings'])
  })
})

describe('complete', () => {
  test('prints the variables, in four requests: two for the exchange, two for the account', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const callback = await callbackFor(account, home)
    await world.clearRequests()
    const result = await runCli(['complete', '-'], { home, stdin: `${callback}\n` })
    expect(result.code).toBe(0)
    expect(result.stdout.split('\n').map((line) => line.split('=')[0])).toStrictEqual([
      'ATPROTO_OAUTH_REFRESH_TOKEN',
      'ATPROTO_OAUTH_DPOP_PRIVATE_JWK',
      'ATPROTO_OAUTH_PDS_ISSUER',
      'ATPROTO_OAUTH_DID',
      'ATPROTO_OAUTH_CLIENT_ID',
      'ATPROTO_OAUTH_ROTATION',
      '',
    ])
    const sent = await sentByUs(world)
    expect(sent.slice(0, -1).sort()).toStrictEqual(
      [
        'GET pds /.well-known/oauth-authorization-server',
        'GET pds /.well-known/oauth-protected-resource',
        `GET plc /${account.did}`,
      ].sort(),
    )
    expect(sent.at(-1)).toBe('POST pds /oauth/token')
    const env = parse(result.stdout)
    for (const secret of [env['ATPROTO_OAUTH_REFRESH_TOKEN']!, JSON.parse(env['ATPROTO_OAUTH_DPOP_PRIVATE_JWK']!).d]) {
      expect(result.stderr).not.toContain(secret)
    }
  })

  test('keeps nothing secret on this machine', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const env = parse((await runCli(['complete', await callbackFor(account, home)], { home })).stdout)
    expect(Object.keys(env)).toHaveLength(6)
    const entries = await readdir(home.state, { recursive: true, withFileTypes: true })
    const files = entries.filter((entry) => entry.isFile() && !entry.parentPath.includes(join('locks', 'logins')))
    expect(files).toHaveLength(1) // the journal of the code
    const { ATPROTO_OAUTH_DID, ATPROTO_OAUTH_ROTATION, ...others } = env
    expect(ATPROTO_OAUTH_ROTATION).toBe('0')
    for (const file of files) {
      const text = await readFile(join(file.parentPath, file.name), 'utf8')
      for (const value of Object.values(others)) {
        expect(text).not.toContain(value)
      }
      expect(text).not.toContain(JSON.parse(env['ATPROTO_OAUTH_DPOP_PRIVATE_JWK']!).d)
    }
  })

  test('finishes on another machine what init --state-file began', async () => {
    const account = await world.createAccount()
    const [here, there] = [await newHome(), await newHome()]
    const file = join(here.path, 'login.json')
    const started = await runCli(['init', account.handle, '--state-file', file], { home: here })
    expect(started.stderr).toContain(`atproto-oauth complete --state-file ${file}`)
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect(await readdir(here.path)).not.toContain('state')
    const callback = await signIn(started.stdout.trim(), account, CONSENT)
    const completed = await runCli(['complete', callback, '--state-file', file], { home: there })
    expect(completed.code).toBe(0)
    expect(await readFile(file, 'utf8')).not.toContain('codeVerifier')
  })

  test('a narrowed consent is told', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const callback = await callbackFor(account, home, { decision: { consent: true, scope: 'atproto' } })
    const result = await runCli(['complete', callback], { home })
    expect(result.code).toBe(0)
    expect(result.stderr).toContain('not granted: transition:generic')
  })
})

describe('call', () => {
  test('credentials alone, on a machine that has nothing else: one refresh, then one request a call', async () => {
    const { account, env } = await logIn(world)
    const home = await newHome()
    const first = await runCli(['call', 'com.atproto.server.getSession'], { home, env })
    expect(first.code).toBe(0)
    expect(JSON.parse(first.stdout)).toMatchObject({ did: account.did, handle: account.handle })

    await world.clearRequests()
    const warm = await runCli(['call', 'com.atproto.server.getSession'], { home, env })
    expect(warm.stdout).toBe(first.stdout)
    expect(await sentByUs(world)).toStrictEqual(['GET pds /xrpc/com.atproto.server.getSession'])
  })

  test('creates a record, lists it, reads a profile through the PDS, and keeps the session through all of it', async () => {
    const { account, home, env } = await logIn(world)
    const record = { $type: 'app.bsky.feed.post', text: 'héllo \u{1F44B}', createdAt: new Date().toISOString() }
    const body = JSON.stringify({ repo: account.did, collection: 'app.bsky.feed.post', record })
    const created = await runCli(['call', 'com.atproto.repo.createRecord', '-d', '@-'], { home, env, stdin: body })
    expect(created.code).toBe(0)

    const listed = await runCli(
      ['call', 'com.atproto.repo.listRecords', 'repo={did}', 'collection=app.bsky.feed.post', 'limit=5'],
      { home, env },
    )
    expect(JSON.parse(listed.stdout).records).toMatchObject([{ uri: JSON.parse(created.stdout).uri, value: record }])

    const profile = await runCli(['call', 'app.bsky.actor.getProfile', 'actor={did}'], { home, env })
    expect(JSON.parse(profile.stdout)).toMatchObject({ did: account.did, verified: { iss: account.did } })
    expect(JSON.parse(profile.stdout).verified.lxm).toBe('app.bsky.actor.getProfile')
  })

  test('the body is the server’s, byte for byte', async () => {
    const { account, home, env } = await logIn(world)
    const path = `/xrpc/com.atproto.sync.getRepo?did=${account.did}`
    const expected = Buffer.from(await (await fetch(world.pdsUrl + path)).arrayBuffer())
    const result = await runCli(['call', 'com.atproto.sync.getRepo', 'did={did}'], { home, env })
    expect(result.stdoutBytes.equals(expected)).toBe(true)
  })

  test('the bundle alone is enough, and the store alone afterwards', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const callback = await callbackFor(account, home)
    const bundle = (await runCli(['complete', callback, '--format', 'bundle'], { home })).stdout
    const first = await runCli(['call', 'com.atproto.server.getSession'], {
      home,
      env: { ATPROTO_OAUTH_SESSION: bundle },
    })
    expect(JSON.parse(first.stdout)).toMatchObject({ did: account.did })
    for (const args of [[], ['--account', account.did], ['--account', account.handle]]) {
      const stored = await runCli(['call', 'com.atproto.server.getSession', ...args], { home })
      expect(stored.stdout).toBe(first.stdout)
    }
  })

  test('a file of the store is private', async () => {
    const { home, env } = await logIn(world)
    await runCli(['call', 'com.atproto.server.getSession'], { home, env })
    const entries = await readdir(home.state, { recursive: true, withFileTypes: true })
    for (const entry of entries) {
      const { mode } = await stat(join(entry.parentPath, entry.name))
      expect([entry.name, mode & 0o077]).toStrictEqual([entry.name, 0])
    }
  })

  test('--include shows status and headers', async () => {
    const { home, env } = await logIn(world)
    const result = await runCli(['call', 'com.atproto.server.getSession', '--include'], { home, env })
    const [head, body] = result.stdout.split('\r\n\r\n')
    expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(head).toMatch(/^content-type: application\/json/m)
    expect(JSON.parse(body!)).toHaveProperty('did')
  })

  test('-H reaches the server, -X makes a procedure without a body', async () => {
    const { home, env } = await logIn(world, GENERIC)
    const upload = await runCli(['call', 'com.atproto.repo.uploadBlob', '-H', 'Content-Type: text/plain', '-d', '@-'], {
      home,
      env,
      stdin: 'not json',
    })
    expect(JSON.parse(upload.stdout)).toMatchObject({ blob: { mimeType: 'text/plain', size: 8 } })
    await world.clearRequests()
    await runCli(['call', 'com.atproto.server.requestEmailConfirmation', '-X', 'POST'], { home, env })
    expect(await sentByUs(world)).toContain('POST pds /xrpc/com.atproto.server.requestEmailConfirmation')
  })
})
