import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runCli, runShell } from '../world/cli.ts'
import { createDid, startHostWithoutOAuth } from '../world/other-hosts.ts'
import { isNewest } from '../world/packages.ts'
import { SignInError, signIn } from '../world/person.ts'
import { connectWorld, uniqueHandle } from '../world/world.ts'
import { CONSENT, callbackFor, expectFailure, logIn, newHome, sentByUs } from './support.ts'

const world = connectWorld()

describe('init', () => {
  test('an unknown handle', async () => {
    const result = await runCli(['init', 'nobody-here.test'], { home: await newHome() })
    expectFailure(result, 4, 'HANDLE_NOT_FOUND')
    expect(result.stderr).toContain('nobody-here.test')
  })

  test('a handle whose DID does not claim it', async () => {
    const other = await startHostWithoutOAuth()
    try {
      const account = await world.createAccount()
      const handle = uniqueHandle('thief')
      other.setHandle(handle, account.did)
      const env = { ATPROTO_OAUTH_HANDLE_RESOLVER: other.url }
      const result = await runCli(['init', handle], { home: await newHome(), env })
      expectFailure(result, 4, 'HANDLE_NOT_CLAIMED')
      expect(result.stderr).toContain(`that account claims ${account.handle}`)
      expect(result.stderr).toContain(`atproto-oauth init ${account.did}`)
    } finally {
      await other.stop()
    }
  })

  test('a PDS without OAuth', async () => {
    const old = await startHostWithoutOAuth()
    try {
      const handle = uniqueHandle('old')
      const did = await createDid(world.plcUrl, { handle, pds: old.url })
      old.setHandle(handle, did)
      const env = { ATPROTO_OAUTH_HANDLE_RESOLVER: old.url }
      for (const identifier of [handle, did, old.url]) {
        const result = await runCli(['init', identifier], { home: await newHome(), env })
        expectFailure(result, 4, 'OAUTH_UNSUPPORTED')
        expect(result.stderr).toContain(`hint: find the cause with: atproto-oauth doctor ${identifier}`)
      }
    } finally {
      await old.stop()
    }
  })

  test('a PDS that is down, for init, complete and call', async () => {
    const pds = await world.startPds()
    const account = await pds.createAccount()
    const env = { ATPROTO_OAUTH_HANDLE_RESOLVER: pds.url }
    const home = await newHome()
    const there = { ...world, handleResolverUrl: pds.url }
    const callback = await callbackFor(account, home, { world: there })
    const other = await newHome()
    const done = await runCli(['complete', await callbackFor(account, other, { world: there })], { home: other, env })
    expect(done.code).toBe(0)
    const session = { ATPROTO_OAUTH_SESSION: undefined, ...env, ...variables(done.stdout) }
    await pds.stop()

    for (const args of [
      ['init', account.did],
      ['init', account.handle],
      ['init', pds.url],
      ['complete', callback],
    ]) {
      const result = await runCli(args, { home, env })
      expectFailure(result, 3, 'NETWORK_UNREACHABLE')
      expect(result.stderr).toContain('connection refused')
    }
    const called = await runCli(['call', 'com.atproto.server.getSession'], { home, env: session })
    expectFailure(called, 3, 'NETWORK_UNREACHABLE')
    expect(called.stderr).toContain('session: still valid')
  })

  test('20.3 the development mode is said each time, and nothing local is reached without it', async () => {
    const account = await world.createAccount()
    const on = await runCli(['init', account.handle], { home: await newHome() })
    expect(on.stderr).toContain('warning: development mode')
    const env = { ATPROTO_OAUTH_DEV: '0', ATPROTO_OAUTH_PLC_URL: undefined, ATPROTO_OAUTH_HANDLE_RESOLVER: undefined }
    await world.clearRequests()
    for (const identifier of [world.pdsUrl, account.handle, 'https://127.0.0.1', 'https://localhost:8443']) {
      const off = await runCli(['init', identifier], { home: await newHome(), env })
      expect([2, 4]).toContain(off.code)
      expect(off.stdout).toBe('')
    }
    expect(await sentByUs(world)).toStrictEqual([])
  })

  test('a scope that the server does not support is rejected by the server; openid is rejected here', async () => {
    const account = await world.createAccount()
    expectFailure(
      await runCli(['init', account.handle, '--scope', 'openid'], { home: await newHome() }),
      2,
      'SCOPE_INVALID',
    )
  })
})

describe('at the browser', () => {
  test('a wrong password: no callback; the same URL in another browser is refused and says so', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const url = (await runCli(['init', account.handle], { home })).stdout.trim()
    await expect(signIn(url, { ...account, password: 'wrong' }, CONSENT)).rejects.toThrow(SignInError)

    const pasted = await runCli(['complete', url], { home })
    expectFailure(pasted, 2, 'CALLBACK_UNREADABLE')
    expect(pasted.stderr).toContain('this is the sign-in URL')

    const refused = await runCli(['complete', await signIn(url, account, CONSENT)], { home })
    expectFailure(refused, 4, 'AUTHORIZATION_DENIED')
    expect(refused.stderr).toContain('initiated from another device')
    expect(refused.stderr).toContain(`hint: atproto-oauth init ${account.handle}`)
  })

  test('a refused consent', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const callback = await callbackFor(account, home, { decision: { refuse: true } })
    await world.clearRequests()
    const result = await runCli(['complete', callback], { home })
    expectFailure(result, 4, 'AUTHORIZATION_DENIED')
    expect(result.stderr).toContain('The user rejected the request')
    expect(await sentByUs(world)).toStrictEqual([])
  })

  test('an expired request, as the server reports it and as we know it ourselves', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const callback = new URL(await callbackFor(account, home))
    callback.searchParams.delete('code')
    callback.searchParams.set('error', 'access_denied')
    callback.searchParams.set('error_description', 'This request has expired')
    const reported = await runCli(['complete', callback.href], { home })
    expectFailure(reported, 4, 'AUTHORIZATION_DENIED')
    expect(reported.stderr).toContain('This request has expired')

    const later = await newHome()
    const late = await callbackFor(account, later)
    await agePending(later.state, 2 * 3_600_000)
    await world.clearRequests()
    const known = await runCli(['complete', late], { home: later })
    expectFailure(known, 4, 'AUTHORIZATION_EXPIRED')
    expect(known.stderr).toContain('2 hours ago')
    expect(await sentByUs(world)).toStrictEqual([])
  })

  test('a callback of another account', async () => {
    const [one, two] = [await world.createAccount(), await world.createAccount()]
    const home = await newHome()
    const url = (await runCli(['init', one.handle], { home })).stdout.trim()
    const callback = await signIn(url, two, CONSENT)
    const result = await runCli(['complete', callback], { home })
    expectFailure(result, 4, 'ACCOUNT_MISMATCH')
    expect(result.stderr).toContain(two.did)
  })
})

describe('complete', () => {
  test('a bad paste costs nothing and sends nothing', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const callback = await callbackFor(account, home)
    await world.clearRequests()
    const bad: [paste: string, exit: number, code: string][] = [
      [callback.slice(0, callback.indexOf('&')), 2, 'CALLBACK_INCOMPLETE'],
      ['not a url at all', 2, 'CALLBACK_UNREADABLE'],
      [new URL(callback).searchParams.get('code')!, 2, 'CALLBACK_UNREADABLE'],
      [callback.replace(/state=[^&]+/, 'state=..%2F..%2Fetc%2Fpasswd'), 4, 'CALLBACK_STATE_UNKNOWN'],
      [callback.replace('127.0.0.1', '127.0.0.2'), 4, 'CALLBACK_REFUSED'],
      [`${callback}&state=x`, 4, 'CALLBACK_REFUSED'],
      [`${callback}x`.replace(/iss=[^&]+/, 'iss=https%3A%2F%2Fevil.example.com'), 4, 'CALLBACK_REFUSED'],
    ]
    for (const [paste, exit, code] of bad) expectFailure(await runCli(['complete', paste], { home }), exit, code)
    expect(await sentByUs(world)).toStrictEqual([])

    // As a terminal, a mail program and a shell may have left it.
    const [head, tail] = [callback.slice(0, 50), callback.slice(50)]
    const spoiled = `\n  "${head}\n${tail.replaceAll('&', '&amp;')}"  \n`
    expect((await runCli(['complete'], { home, stdin: spoiled })).code).toBe(0)
  })

  test('a second run says what happened, sends nothing, and the session lives on', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const callback = await callbackFor(account, home)
    const { stdout } = await runCli(['complete', callback], { home })
    await world.clearRequests()
    const again = await runCli(['complete', callback], { home })
    expectFailure(again, 4, 'CODE_USED', 'alive')
    expect(again.stderr).toContain('session: still valid')
    expect(await sentByUs(world)).toStrictEqual([])
    expect((await runCli(['call', 'com.atproto.server.getSession'], { home, env: variables(stdout) })).code).toBe(0)
  })

  test('a stdout that cannot be written: the session is kept in the store, and works from there', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const callback = await callbackFor(account, home)
    const { code, stderr } = await runShell(`atproto-oauth complete '${callback}' > /dev/full`, { home })
    expect(stderr).toContain('[SAVE_FAILED]')
    expect(code).toBe(10)
    const called = await runCli(['call', 'com.atproto.server.getSession'], { home })
    expect(JSON.parse(called.stdout)).toMatchObject({ did: account.did })
  })
})

describe('call', () => {
  test('usage: nothing is sent', async () => {
    const { home, env } = await logIn(world)
    await world.clearRequests()
    const wrong: [args: string[], code: string][] = [
      [['call', 'getSession'], 'NSID_INVALID'],
      [['call', '//evil.example.com/x'], 'NSID_INVALID'],
      [['call', 'com.atproto.sync.subscribeRepos'], 'USAGE'],
      [['call', 'com.atproto.server.getSession', 'limit'], 'USAGE'],
      [['call', 'com.atproto.repo.createRecord', '-d', '{"repo":'], 'USAGE'],
      [['call', 'com.atproto.repo.createRecord', '-d', '@/does/not/exist'], 'USAGE'],
      [['call', 'com.atproto.server.getSession', '-X', 'GET', '-d', '{}'], 'USAGE'],
      [['call', 'com.atproto.server.getSession', '-H', 'Authorization: Bearer x'], 'USAGE'],
      [['call', 'com.atproto.server.getSession', '--no-such'], 'USAGE'],
    ]
    for (const [args, code] of wrong) expectFailure(await runCli(args, { home, env }), 2, code)
    expect(await sentByUs(world)).toStrictEqual([])
  })

  test('no credentials, and some of them', async () => {
    const { env } = await logIn(world)
    const home = await newHome()
    expectFailure(await runCli(['call', 'com.atproto.server.getSession'], { home }), 5, 'SESSION_MISSING')
    const { ATPROTO_OAUTH_CLIENT_ID: _, ...python } = env
    const incomplete = await runCli(['call', 'com.atproto.server.getSession'], { home, env: python })
    expectFailure(incomplete, 2, 'CREDENTIALS_INCOMPLETE')
    expect(incomplete.stderr).toContain('ATPROTO_OAUTH_CLIENT_ID')
  })

  test('XRPC errors: 8 with the body on stderr, or with --include on stdout', async () => {
    const { home, env } = await logIn(world)
    const args = ['call', 'com.atproto.identity.resolveHandle', 'handle=nobody.test']
    const plain = await runCli(args, { home, env })
    expectFailure(plain, 8, 'XRPC_ERROR')
    const error = isNewest ? 'HandleNotFound' : 'InvalidRequest'
    expect(plain.stderr).toContain(`{"error":"${error}","message":"Unable to resolve handle"}`)
    const included = await runCli([...args, '-i'], { home, env })
    expect(included.code).toBe(8)
    expect(included.stdout).toMatch(/^HTTP\/1\.1 400 [\s\S]*Unable to resolve handle/)
    const json = await runCli([...args, '--json'], { home, env })
    expect(JSON.parse(json.stderr)).toMatchObject({
      code: 'XRPC_ERROR',
      exit: 8,
      session: 'alive',
      body: { error },
    })
  })

  test('a missing permission: 7, with the scope that would do', async () => {
    const { account, home, env } = await logIn(world, 'atproto')
    const body = JSON.stringify({ repo: account.did, collection: 'app.bsky.feed.post', record: { text: 'x' } })
    const result = await runCli(['call', 'com.atproto.repo.createRecord', '-d', body], { home, env })
    expectFailure(result, 7, 'PERMISSION_MISSING')
    expect(result.stderr).toContain('repo:app.bsky.feed.post?action=create')
  })

  test('a refresh token that was used elsewhere: the session has ended, and the next run says so without traffic', async () => {
    const { env } = await logIn(world)
    const [here, there] = [await newHome(), await newHome()]
    expect((await runCli(['call', 'com.atproto.server.getSession'], { home: here, env })).code).toBe(0)
    const dead = await runCli(['call', 'com.atproto.server.getSession'], { home: there, env })
    expectFailure(dead, 5, 'SESSION_DEAD')
    expect(dead.stderr).toContain('Refresh token replayed')
    await world.clearRequests()
    expectFailure(await runCli(['call', 'com.atproto.server.getSession'], { home: there, env }), 5, 'SESSION_DEAD')
    expect(await sentByUs(world)).toStrictEqual([])
  })

  test('secrets of two sessions mixed up: noticed where one of them is known, and nothing is sent', async () => {
    const [one, two] = [await logIn(world), await logIn(world)]
    const home = one.home
    for (const { env } of [one, two]) await runCli(['call', 'com.atproto.server.getSession'], { home, env })
    await world.clearRequests()
    const mixed = { ...one.env, ATPROTO_OAUTH_DPOP_PRIVATE_JWK: two.env['ATPROTO_OAUTH_DPOP_PRIVATE_JWK'] }
    expectFailure(
      await runCli(['call', 'com.atproto.server.getSession'], { home, env: mixed }),
      2,
      'CREDENTIALS_MISMATCH',
    )
    expect(await sentByUs(world)).toStrictEqual([])
    for (const { env } of [one, two]) {
      expect((await runCli(['call', 'com.atproto.server.getSession'], { home, env })).code).toBe(0)
    }
  })
})

function variables(dotenv: string): Record<string, string> {
  return Object.fromEntries([...dotenv.matchAll(/^(\w+)='(.*)'$/gm)].map(([, name, value]) => [name!, value!]))
}

async function agePending(state: string, milliseconds: number): Promise<void> {
  const folder = join(state, 'pending')
  for (const file of await readdir(folder)) {
    const record = JSON.parse(await readFile(join(folder, file), 'utf8'))
    for (const field of ['createdAt', 'requestExpiresAt', 'expiresAt']) record[field] -= milliseconds
    await writeFile(join(folder, file), JSON.stringify(record))
  }
}
