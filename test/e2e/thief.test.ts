/**
 * What docs/security.md says about thieves, on the real PDS: the thief is made of jose and fetch, knows the client_id,
 * which is public, and has nothing else but what the test hands him.
 */
import { createHash, randomUUID } from 'node:crypto'
import { cp, readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from 'jose'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { complete } from '../../src/login/complete.ts'
import type { Credentials } from '../../src/model.ts'
import { openSession, openStoredSession } from '../../src/session/open.ts'
import { revoke } from '../../src/session/revoke.ts'
import { saveSession } from '../../src/session/saving.ts'
import { findSecrets } from '../support/scan.ts'
import { asNewProcess, encryptStore, PASSPHRASE } from '../support/store-encryption.ts'
import type { Home } from '../world/cli.ts'
import { type Account, connectWorld } from '../world/world.ts'
import { startRun, tokensAt } from './front-support.ts'
import { callbackFor, GENERIC, library, newHome } from './support.ts'

const world = connectWorld()
const POST = 'repo:app.bsky.feed.post?action=create'

interface Owner {
  readonly account: Account
  readonly home: Home
  readonly credentials: Credentials
}

async function owner(scope = GENERIC): Promise<Owner> {
  const [account, home] = [await world.createAccount(), await newHome()]
  const { credentials } = await complete(await callbackFor(account, home, { scope }), library(world, home))
  return { account, home, credentials }
}

/** With the stolen key, or with one of his own. */
async function thief(stolen?: JWK) {
  const own = stolen ?? (await exportJWK((await generateKeyPair('ES256', { extractable: true })).privateKey))
  const { d: _, ...jwk } = own
  const key = await importJWK(own, 'ES256')
  let nonce: string | undefined
  const proof = (method: string, url: URL, token?: string) => {
    const ath = token && createHash('sha256').update(token).digest('base64url')
    const claims = { jti: randomUUID(), htm: method, htu: url.origin + url.pathname, nonce, ath }
    return new SignJWT(claims).setIssuedAt().setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk }).sign(key)
  }
  const send = async (method: string, path: string, { token, form }: { token?: string; form?: object } = {}) => {
    const url = new URL(path, world.pdsUrl)
    const attempt = async () => {
      const headers = {
        dpop: await proof(method, url, token),
        ...(token && { authorization: `DPoP ${token}` }),
      }
      const body = form && new URLSearchParams(Object.entries(form))
      const response = await fetch(url, { method, headers, ...(body && { body }) })
      const before = nonce
      nonce = response.headers.get('dpop-nonce') ?? nonce
      return { status: response.status, isNew: before !== nonce, body: await response.json() }
    }
    const first = await attempt()
    return first.isNew && first.body.error === 'use_dpop_nonce' ? attempt() : first
  }
  return {
    ask: (token: string, nsid = 'com.atproto.server.getSession') => send('GET', `/xrpc/${nsid}`, { token }),
    token: (form: object) => send('POST', '/oauth/token', { form }),
    revoke: (form: object) => send('POST', '/oauth/revoke', { form }),
  }
}

const isAlive = async ({ credentials, home }: Owner) =>
  openSession(credentials, library(world, home))
    .then((session) => session.refresh())
    .then(
      () => true,
      (error) => {
        expect(error).toMatchObject({ code: 'SESSION_DEAD' })
        return false
      },
    )

const refreshOf = ({ credentials: { refreshToken, clientId } }: Owner) => ({
  grant_type: 'refresh_token',
  refresh_token: refreshToken,
  client_id: clientId,
})

test('a refresh token without its key opens nothing; sending it ends the session', async () => {
  const victim = await owner()
  const { status, body } = await (await thief()).token(refreshOf(victim))
  expect([status, body.error]).toStrictEqual([400, 'invalid_grant'])
  expect(await isAlive(victim)).toBe(false)
})

test('an access token without its key opens nothing', async () => {
  const victim = await owner()
  const { status } = await (await thief()).ask(victim.credentials.accessToken!)
  expect(status).toBe(401)
  expect(await isAlive(victim)).toBe(true)
})

test('a key without a token opens nothing', async () => {
  const victim = await owner()
  const form = { ...refreshOf(victim), refresh_token: `ref-${'0'.repeat(64)}` }
  const { status, body } = await (await thief(victim.credentials.dpopPrivateJwk)).token(form)
  expect([status, body.error]).toStrictEqual([400, 'invalid_grant'])
  expect(await isAlive(victim)).toBe(true)
})

test('token and key together are the session; the second one to refresh ends it for both', async () => {
  const victim = await owner()
  const it = await thief(victim.credentials.dpopPrivateJwk)
  const { status, body } = await it.token(refreshOf(victim))
  expect([status, body.refresh_token]).toStrictEqual([200, expect.any(String)])
  expect(await isAlive(victim)).toBe(false)
  expect((await it.token({ ...refreshOf(victim), refresh_token: body.refresh_token })).status).toBe(400)
})

test('the whole session does what was granted and no more; with the widest scope it is still no password', async () => {
  const [narrow, wide] = await Promise.all([owner(`atproto ${POST}`), owner()])
  const call = async ({ credentials, home }: Owner, nsid: string, body?: object) => {
    const session = await openSession(credentials, library(world, home))
    const { status } = await session.call({ nsid, method: 'POST', ...(body && { body: JSON.stringify(body) }) })
    return status
  }
  const like = { repo: narrow.account.did, collection: 'app.bsky.feed.like', record: {} }
  expect(await call(narrow, 'com.atproto.repo.createRecord', like)).toBe(403)
  const asked = Object.entries({
    'com.atproto.server.createAppPassword': { name: 'mine' },
    'com.atproto.server.updateEmail': { email: 'thief@mail.test' },
    'com.atproto.server.requestAccountDelete': undefined,
    'com.atproto.server.deactivateAccount': {},
    'com.atproto.identity.updateHandle': { handle: 'thief.test' },
  })
  const statuses = await Promise.all(asked.map(([nsid, body]) => call(wide, nsid, body)))
  expect(statuses).toStrictEqual(asked.map(() => 403))
})

test('revoked by its owner, a stolen session ends immediately, also after the thief has refreshed it', async () => {
  const victim = await owner()
  const it = await thief(victim.credentials.dpopPrivateJwk)
  const { access_token, refresh_token } = (await it.token(refreshOf(victim))).body
  expect((await it.ask(access_token)).status).toBe(200)
  const ports = library(world, victim.home)
  const session = await openSession(victim.credentials, ports)
  expect(await revoke(session.record(), ports)).toMatchObject({ outcome: 'revoked' })
  expect((await it.ask(access_token)).status).toBe(401)
  expect((await it.token({ ...refreshOf(victim), refresh_token })).status).toBe(400)
})

test('a lease cannot be refreshed; it works until it expires, and can end the session of a client without a key', async () => {
  const victim = await owner()
  const session = await openSession(victim.credentials, library(world, victim.home))
  const lease = await session.lease(60)
  expect(lease).not.toHaveProperty('refreshToken')
  expect(lease.accessTokenExpiresAt! - Date.now()).toBeLessThanOrEqual(3600 * 1000)
  const it = await thief(lease.dpopPrivateJwk)
  expect((await it.ask(lease.accessToken!)).status).toBe(200)
  const renewed = await it.token({ ...refreshOf(victim), refresh_token: lease.accessToken })
  expect([renewed.status, renewed.body.error]).toStrictEqual([400, 'invalid_grant'])
  expect((await it.revoke({ token: lease.accessToken, client_id: victim.credentials.clientId })).status).toBe(200)
  expect(await isAlive(victim)).toBe(false)
})

describe('the address on which the browser ended', () => {
  const redirect_uri = 'http://127.0.0.1/callback'
  const login = async () => {
    const [account, home] = [await world.createAccount(), await newHome()]
    return { account, home, callback: await callbackFor(account, home) }
  }
  const exchange = async (callback: string) => {
    const code = new URL(callback).searchParams.get('code')
    const client_id = `http://localhost?${new URLSearchParams({ redirect_uri, scope: GENERIC })}`
    const form = { grant_type: 'authorization_code', code, code_verifier: 'v'.repeat(43), client_id, redirect_uri }
    const { status, body } = await (await thief()).token(form)
    expect([status, body.error]).toStrictEqual([400, 'invalid_grant'])
  }

  test('opens nothing without the login that it belongs to; sent before its owner does, it spoils the login', async () => {
    const { home, callback } = await login()
    await exchange(callback)
    await expect(complete(callback, library(world, home))).rejects.toMatchObject({ code: 'EXCHANGE_REFUSED' })
  })

  test('sent after its owner has used it, it ends the session', async () => {
    const { account, home, callback } = await login()
    const { credentials } = await complete(callback, library(world, home))
    await exchange(callback)
    expect(await isAlive({ account, home, credentials })).toBe(false)
  })

  test('with a copy of the login it is the session, until its owner completes the login too', async () => {
    const { account, home, callback } = await login()
    const copy = await newHome()
    // Without the compiled code, which all homes of the tests share.
    await cp(home.path, copy.path, { recursive: true, filter: (path) => basename(path) !== 'code' })
    const stolen = { account, home: copy, ...(await complete(callback, library(world, copy))) }
    await expect(complete(callback, library(world, home))).rejects.toMatchObject({ code: 'EXCHANGE_REFUSED' })
    expect(await isAlive(stolen)).toBe(false)
  })

  test('what is left of a login that was completed is no secret', async () => {
    const { home, callback } = await login()
    await complete(callback, library(world, home))
    const folder = join(home.state, 'pending')
    const [note = '', ...others] = await Promise.all(
      (await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')),
    )
    expect(others).toStrictEqual([])
    const told = ['at', 'codeHash', 'did', 'outcome', 'state', 'status', 'version']
    expect(Object.keys(JSON.parse(note)).sort()).toStrictEqual(told)
  })
})

test('a copy of an encrypted store opens nothing without its passphrase, and has no token or key in it', async () => {
  const [account, home, copy] = [await world.createAccount(), await newHome(), await newHome()]
  const ports = library(world, home)
  const { credentials } = await complete(await callbackFor(account, home), ports)
  await saveSession(credentials, undefined, { ...ports, saving: { ...ports.saving, inStore: true } })
  await encryptStore(home.state, 'passphrase')
  await cp(home.state, copy.state, { recursive: true })
  const { refreshToken, accessToken, dpopPrivateJwk } = credentials
  const secrets = [refreshToken!, accessToken!, dpopPrivateJwk.d, PASSPHRASE]
  expect(await findSecrets([copy.path], secrets)).toStrictEqual([])
  for (const passphrase of [undefined, 'a guess of the thief']) {
    const stolen = library(world, copy)
    asNewProcess(copy.state, { passphrase: async () => passphrase })
    await expect(openStoredSession(undefined, stolen)).rejects.toMatchObject({ code: 'STORE_LOCKED' })
  }
  const session = await openStoredSession(undefined, library(world, await ownedBy(home)))
  await session.refresh()
})

/** Its owner, who knows the passphrase. */
async function ownedBy(home: Home): Promise<Home> {
  vi.stubEnv('ATPROTO_OAUTH_STORE_KEY', PASSPHRASE)
  onTestFinished(() => void vi.unstubAllEnvs())
  return home
}

test('signed headers work once, for one method and one path, with whatever query and body', async () => {
  const { account, home, credentials } = await owner()
  const session = await openSession(credentials, library(world, home))
  const url = `${world.pdsUrl}/xrpc/com.atproto.repo.createRecord`
  const send = async (path: string, headers: HeadersInit, text: string) => {
    const record = { text, createdAt: new Date().toISOString() }
    const body = JSON.stringify({ repo: account.did, collection: 'app.bsky.feed.post', record })
    const init = { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body }
    return (await fetch(path, init)).status
  }
  const headers = Object.fromEntries(new Headers({ ...(await session.proof('POST', url)) }))
  expect(await send(url.replace('create', 'put'), headers, 'elsewhere')).toBe(401)
  expect(await send(`${url}?more`, headers, 'not what was meant')).toBe(200)
  expect(await send(url, headers, 'again')).toBe(401)
})

test('the password of run is its program: within the scope and --allow, and worth nothing when the program has ended', async () => {
  const allow = ['--allow', 'com.atproto.repo.createRecord', '--allow', 'com.atproto.server.createAppPassword']
  const { url, account, home, password, child, env, ended } = await startRun(world, {
    scope: `atproto ${POST}`,
    args: allow,
  })
  const { accessJwt, refreshJwt } = await tokensAt(url, account.did, password)
  const call = async (nsid: string, body?: object, token = accessJwt, server = url, scheme = 'Bearer') => {
    const headers = { authorization: `${scheme} ${token}`, ...(body && { 'content-type': 'application/json' }) }
    const init = body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) }
    return fetch(`${server}/xrpc/${nsid}`, init)
  }
  const record = (collection: string) => ({
    repo: account.did,
    collection,
    record: { $type: collection, text: 'x', createdAt: new Date().toISOString() },
  })
  const create = 'com.atproto.repo.createRecord'
  expect((await call(create, record('app.bsky.feed.post'))).status).toBe(200)
  expect((await call(create, record('com.example.other'))).status).toBe(403) // scope
  expect((await call('com.atproto.repo.applyWrites', {})).status).toBe(403) // --allow
  expect((await call('com.atproto.server.createAppPassword', { name: 'mine' })).status).toBe(403)
  for (const token of [accessJwt, refreshJwt]) {
    for (const scheme of ['Bearer', 'DPoP']) {
      const response = await call('com.atproto.server.getSession', undefined, token, world.pdsUrl, scheme)
      expect([400, 401]).toContain(response.status)
    }
  }
  process.kill(child.pid, 'SIGTERM')
  expect(await ended()).toMatchObject({ code: 143 })
  await expect(call('com.atproto.server.getSession')).rejects.toThrow('fetch failed')
  const next = await startRun(world, { loggedIn: { account, home, env } })
  expect((await call(create, record('app.bsky.feed.post'), accessJwt, next.url)).status).toBe(400)
  await expect(tokensAt(next.url, account.did, password)).rejects.toThrow('401')
})
