/** Who else could use a front: pages in a browser, other users of the machine, and what is left of a run that ended. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { promisify } from 'node:util'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { describeInBrowser, launch } from '../browser/chromium.ts'
import { type Site, startSite } from '../browser/site.ts'
import { lacks } from '../support/machine.ts'
import { connectWorld } from '../world/world.ts'
import { signInAt, startRun, tokenAt } from './front-support.ts'

const world = connectWorld()
/** A request that only the PDS can respond to. */
const REACHES_PDS = '/xrpc/com.atproto.server.checkAccountStatus'
const run = promisify(execFile)

async function asked(work: () => Promise<unknown>): Promise<string[]> {
  await world.clearRequests()
  await work()
  return (await world.requests({ server: 'pds' })).map(({ path }) => path)
}

/** As fetch does not allow: with any Host, Origin and Sec-Fetch headers. */
function send(url: string, headers: Record<string, string>, body?: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: body === undefined ? 'GET' : 'POST', headers }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (part: string) => (text += part))
      response.once('end', () => resolve({ status: response.statusCode!, text }))
    })
    sent.once('error', reject)
    sent.end(body)
  })
}

test('requests with another Host, or from a page, are refused even with the token', async () => {
  const { url, account, password } = await startRun(world)
  const authorization = `Bearer ${await tokenAt(url, account.did, password)}`
  const { host } = new URL(url)
  const login = JSON.stringify({ identifier: account.did, password })
  const hostile: Record<string, string>[] = [
    { host: `rebound.example:${new URL(url).port}` },
    { host: 'rebound.example' },
    { host: world.pdsUrl.replace('http://', '') },
    { host, origin: 'https://evil.example' },
    { host, origin: 'null' },
    { host, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' },
  ]
  expect((await send(url + REACHES_PDS, { host, authorization })).status).toBe(200)
  const paths = await asked(async () => {
    for (const headers of hostile) {
      const read = await send(url + REACHES_PDS, { ...headers, authorization })
      expect([headers, read.status]).toStrictEqual([headers, 403])
      expect(read.text).not.toContain(account.did)
      const type = { 'content-type': 'application/json' }
      const signIn = await send(`${url}/xrpc/com.atproto.server.createSession`, { ...headers, ...type }, login)
      expect([headers, signIn.status]).toStrictEqual([headers, 403])
      expect(signIn.text).not.toContain('accessJwt')
    }
  })
  expect(paths).toStrictEqual([])
})

describeInBrowser('a page in a real browser', () => {
  let site: Site
  let browser: Browser
  beforeAll(async () => {
    site = await startSite()
    site.publish('/evil', '<!doctype html><title>evil</title>')
    browser = await launch({ 'evil.test': site.port })
  })
  afterAll(async () => {
    await browser?.close()
    await site?.stop()
  })

  test('on another site gets nothing, though it knows the port, the password and a token', async () => {
    const { url, account, password } = await startRun(world)
    const token = await tokenAt(url, account.did, password)
    const page = await (await browser.newContext()).newPage()
    await page.goto('http://evil.test/evil')
    const given = { url, path: REACHES_PDS, token, did: account.did, password }
    let results: string[] = []
    const paths = await asked(async () => {
      results = await page.evaluate(async ({ url, path, token, did, password }) => {
        const login = `${url}/xrpc/com.atproto.server.createSession`
        const body = JSON.stringify({ identifier: did, password })
        const authorization = `Bearer ${token}`
        const tries: [string, RequestInit][] = [
          [login, { method: 'POST', body, headers: { 'content-type': 'application/json' } }],
          [login, { method: 'POST', body }],
          [login, { method: 'POST', body, mode: 'no-cors' }],
          [url + path, { headers: { authorization } }],
          [url + path, { mode: 'no-cors' }],
        ]
        const outcomes = []
        for (const [target, init] of tries) {
          outcomes.push(
            await fetch(target, init).then(
              (response) => response.text(),
              () => 'failed',
            ),
          )
        }
        return outcomes
      }, given)
    })
    expect(results).toStrictEqual(['failed', 'failed', '', 'failed', ''])
    expect(paths).toStrictEqual([])
  })

  test('whose name leads to the front itself (DNS rebinding) reads nothing', async () => {
    const { url, account, password } = await startRun(world)
    const token = await tokenAt(url, account.did, password)
    const port = Number(new URL(url).port)
    const rebound = await launch({ 'rebound.test': port })
    try {
      const page = await (await rebound.newContext()).newPage()
      const loaded = await page.goto(`http://rebound.test:${port}/xrpc/com.atproto.server.describeServer`)
      expect(loaded!.status()).toBe(403)
      const paths = await asked(async () => {
        const status = await page.evaluate(
          async ([path, bearer]) => (await fetch(path!, { headers: { authorization: bearer! } })).status,
          [REACHES_PDS, `Bearer ${token}`],
        )
        expect(status).toBe(403)
      })
      expect(paths).toStrictEqual([])
    } finally {
      await rebound.close()
    }
  })
})

test('without the password or the token nobody gets through, and no argument shows the password', async () => {
  const { url, account, password, child, cli } = await startRun(world)
  const paths = await asked(async () => {
    for (const guess of ['', account.password, `${password}x`, password.slice(1)]) {
      expect((await signInAt(url, account.did, guess)).status).toBe(401)
    }
    expect((await signInAt(url, 'did:plc:another', password)).status).toBe(401)
    const statuses = []
    for (const authorization of [undefined, `Bearer ${password}`, 'Bearer x.y.z']) {
      const headers = { ...(authorization && { authorization }) }
      statuses.push((await fetch(url + REACHES_PDS, { headers })).status)
    }
    // An invalid token is a bad request, as it is for the reference PDS.
    expect(statuses).toStrictEqual([401, 400, 400])
  })
  expect(paths).toStrictEqual([])
  if (process.platform !== 'linux') return
  for (const pid of [child.pid, cli.pid!]) {
    expect(await readFile(`/proc/${pid}/cmdline`, 'utf8')).not.toContain(password)
  }
})

const isRoot = process.getuid?.() === 0
test.skipIf(!isRoot || lacks('/usr/bin/setpriv', '/usr/bin/curl'))(
  'another user of the machine reaches the front, and gets nothing from it or from its processes',
  async () => {
    const { url, child, cli, password } = await startRun(world)
    const asNobody = (...command: string[]) =>
      run('/usr/bin/setpriv', ['--reuid=65534', '--regid=65534', '--clear-groups', ...command], { cwd: '/' })
    const status = ['-s', '-o', '/dev/null', '-w', '%{http_code}']
    const { stdout } = await asNobody('/usr/bin/curl', ...status, '--noproxy', '*', url + REACHES_PDS)
    expect(stdout).toBe('401')
    for (const pid of [child.pid, cli.pid!]) {
      await expect(asNobody('/bin/cat', `/proc/${pid}/environ`)).rejects.toThrow(/Permission denied/)
      expect((await asNobody('/bin/cat', `/proc/${pid}/cmdline`)).stdout).not.toContain(password)
    }
  },
)

test('a program that outlives run has no front, and a token that is worth nothing at the PDS', async () => {
  const { url, account, password, child, cli, ended } = await startRun(world)
  const token = await tokenAt(url, account.did, password)
  cli.kill('SIGKILL')
  expect(await ended()).toStrictEqual({ code: null, signal: 'SIGKILL' })
  expect(() => process.kill(child.pid, 0)).not.toThrow()
  await expect(signInAt(url, account.did, password)).rejects.toThrow('fetch failed')
  for (const scheme of ['Bearer', 'DPoP']) {
    const response = await fetch(world.pdsUrl + REACHES_PDS, { headers: { authorization: `${scheme} ${token}` } })
    expect([400, 401]).toContain(response.status)
  }
  expect((await signInAt(world.pdsUrl, account.did, password)).status).toBe(401)
})

test('when the program is killed, the front ends with it', async () => {
  const { url, account, password, child, ended } = await startRun(world)
  process.kill(child.pid, 'SIGKILL')
  expect(await ended()).toStrictEqual({ code: 137, signal: null })
  await expect(signInAt(url, account.did, password)).rejects.toThrow('fetch failed')
})

test('the program has none of our credentials in its environment', async () => {
  const { env, child } = await startRun(world)
  const ours = Object.keys(child.env).filter((name) => name.startsWith('ATPROTO_OAUTH_'))
  const told = ['DID', 'HANDLE', 'PASSWORD', 'URL'].map((name) => `ATPROTO_OAUTH_RUN_${name}`)
  expect(ours.toSorted()).toStrictEqual(told)
  const { d } = JSON.parse(env['ATPROTO_OAUTH_DPOP_PRIVATE_JWK']!)
  const everything = JSON.stringify(child.env)
  for (const secret of [d, env['ATPROTO_OAUTH_REFRESH_TOKEN']!]) expect(everything).not.toContain(secret)
})
