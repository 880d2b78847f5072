import { request } from 'node:http'
import { PassThrough } from 'node:stream'
import { describe, expect, test, vi } from 'vitest'
import { fakeNodeRuntime, run } from '../../support/cli.ts'
import { createFakeWorld, type FakeWorld } from '../../support/fake-atproto.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

type Browser = (callback: string) => Promise<void>

/** `login`, with `browser` doing what a browser does once its URL is known. */
async function login(world: FakeWorld, browser: Browser, args: string[] = []) {
  let done: Promise<void> | undefined
  const ran = await run(world, ['login', 'alice.fake.dev', '--no-open', '--format', 'json', ...args], {
    onStderr: (text) => {
      const url = /https:\/\/as\.fake\.dev\/oauth\/authorize\S+/.exec(text)?.[0]
      if (url && !done && /continues when the browser returns/.test(text)) done = browser(world.authorize(url))
    },
  })
  await done
  return ran
}

/** One request to the listener, with whatever headers. */
function ask(
  url: string,
  { method = 'GET', headers = {} } = {},
): Promise<{ status: number; text: string; headers: object }> {
  return new Promise((accept, refuse) => {
    request(url, { method, headers, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk
      })
      response.on('end', () => accept({ status: response.statusCode!, text, headers: response.headers }))
    })
      .on('error', refuse)
      .end()
  })
}

describe.each(['reference', 'cirrus'] as const)('login on a server like %s', (personality) => {
  test('the browser comes back by itself', async () => {
    const world = createFakeWorld({ faults: { personality } })
    const { code, stdout } = await login(world, async (callback) => {
      const page = await ask(callback)
      expect(page).toMatchObject({ status: 200, text: expect.stringContaining('You can close this window') })
      expect(page.headers).toMatchObject({ 'content-security-policy': expect.stringContaining("default-src 'none'") })
    })
    expect(code).toBe(0)
    const { ATPROTO_OAUTH_CLIENT_ID: clientId, ...rest } = JSON.parse(stdout)
    expect(rest).toMatchObject({ ATPROTO_OAUTH_DID: world.alice.did })
    // Declared exactly as it was sent (5.24).
    const declared = new URL(clientId).searchParams.get('redirect_uri')
    expect(declared).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/callback$/)
    expect(new URLSearchParams(world.sent('par')[0]!.body).get('redirect_uri')).toBe(declared)
    expect(world.sessionAlive(world.alice.did)).toBe(true)
  })

  test('somebody pastes, at a terminal', async () => {
    const world = createFakeWorld({ faults: { personality } })
    const terminal = Object.assign(new PassThrough(), { isTTY: true })
    let typed = false
    const { code, stdout } = await run(world, ['login', 'alice.fake.dev', '--no-open', '--format', 'json'], {
      stdin: terminal,
      onStderr: (text) => {
        const url = /https:\/\/as\.fake\.dev\/oauth\/authorize\S+/.exec(text)?.[0]
        if (typed || !url || !text.includes(' left): ')) return
        typed = true
        terminal.write(`${world.authorize(url)}\r`)
      },
    })
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ ATPROTO_OAUTH_DID: world.alice.did })
  })
})

test('8.5 other requests get a response, and change nothing', async () => {
  const world = createFakeWorld()
  const { code } = await login(world, async (callback) => {
    const { origin, search, host } = new URL(callback)
    const wrong: [url: string, options: object, status: number][] = [
      [`${origin}/`, {}, 404],
      [`${origin}/favicon.ico`, {}, 404],
      [`${origin}/callback/x${search}`, {}, 404],
      [callback, { headers: { host: `evil.example:${new URL(callback).port}` } }, 404],
      [callback, { method: 'POST' }, 405],
      [`${origin}/callback?code=cod-evil&state=another&iss=https%3A%2F%2Fas.fake.dev`, {}, 400],
      [`${origin}/callback${search}&state=another`, {}, 400],
      [`${origin}/callback`, {}, 400],
    ]
    for (const [url, options, status] of wrong) expect(await ask(url, options)).toMatchObject({ status })
    expect(host).toContain('127.0.0.1')
    expect(world.sent('token')).toStrictEqual([])
    expect((await ask(callback)).status).toBe(200)
  })
  expect(code).toBe(0)
})

test('a taken port: another one, declared as it is', async () => {
  const [first, second] = [createFakeWorld(), createFakeWorld()]
  const ports: string[] = []
  const { code } = await login(first, async (callback) => {
    ports.push(new URL(callback).port)
    // While the first one waits.
    const other = await run(second, ['login', 'alice.fake.dev', '--no-open', '--format', 'json'], {
      onStderr: (text) => {
        const url = /https:\/\/as\.fake\.dev\/oauth\/authorize\S+/.exec(text)?.[0]
        if (!url || ports.length > 1 || !/continues when the browser returns/.test(text)) return
        const elsewhere = second.authorize(url)
        ports.push(new URL(elsewhere).port)
        void ask(elsewhere)
      },
    })
    expect(other.code).toBe(0)
    await ask(callback)
  })
  expect(code).toBe(0)
  expect(new Set(ports).size).toBe(2)
})

test('a refusal at the browser is told there and here', async () => {
  const world = createFakeWorld()
  const { code, stderr } = await login(world, async (callback) => {
    const denied = new URL(callback)
    denied.searchParams.delete('code')
    denied.searchParams.set('error', 'access_denied')
    expect((await ask(denied.href)).text).toContain('denied')
  })
  expect(code).toBe(4)
  expect(stderr).toContain('[AUTHORIZATION_DENIED]')
  expect(world.sent('token')).toStrictEqual([])
})

test('where the browser cannot come back and nobody can paste, it says what to do instead', async () => {
  const world = createFakeWorld()
  const hosted = ['--client-id', 'https://app.fake.dev/client.json', '--redirect-uri', 'https://app.fake.dev/callback']
  const { code, stderr } = await run(world, ['login', 'alice.fake.dev', ...hosted])
  expect(code).toBe(2)
  expect(stderr).toContain('hint: atproto-oauth init alice.fake.dev')
  expect(world.requests).toStrictEqual([])
})

test('no callback arrives: the login can still be completed', async () => {
  const world = createFakeWorld()
  let callback = ''
  world.faults.mutatePar = (par) => {
    world.advance(999)
    return { ...par, expires_in: 1 }
  }
  const { code, stderr } = await login(world, async (back) => {
    callback = back
  })
  expect(code).toBe(4)
  expect(stderr).toContain('[AUTHORIZATION_EXPIRED]')
  expect(stderr).toContain('atproto-oauth complete')
  expect(await run(world, ['complete'], { stdin: callback })).toMatchObject({ code: 0 })
})
