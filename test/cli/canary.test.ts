/**
 * The canary: every secret there is (codes, verifiers, tokens, private keys, assertions, what the stores held) is looked for
 * in all that a command prints and in all that is thrown, whatever goes wrong.
 */
import { describe, expect, test, vi } from 'vitest'
import { readCredentials } from '../../src/credentials/read.ts'
import { complete } from '../../src/login/complete.ts'
import { init } from '../../src/login/init.ts'
import { openSession } from '../../src/session/open.ts'
import { revoke } from '../../src/session/revoke.ts'
import { callbackFor, fakeNodeRuntime, run, signIn } from '../support/cli.ts'
import { createFakeWorld, type FakeRequest, type FakeWorld, type Fault, json, pathOf } from '../support/fake-atproto.ts'

vi.mock('../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

/** What may go wrong at one path; a server that means harm or well repeats what it was sent. */
const FAULTS: Record<string, (request: FakeRequest) => Fault> = {
  nothing: () => undefined,
  'never arrives': () => 'unreachable',
  'lost before': () => 'lostBefore',
  'lost after': () => 'lostAfter',
  'refused, with all that was sent': (request) =>
    json(400, { error: 'invalid_grant', error_description: echo(request), message: echo(request) }),
  'refused, with the form as it was sent': ({ body }) => json(400, { error: body, error_description: body }),
  'fails, with all that was sent': (request) => json(502, { error: echo(request) }),
  'a page with all that was sent': (request) =>
    new Response(`<p>${echo(request)}</p>`, { status: 500, headers: { 'content-type': 'text/html' } }),
  'a list with all that was sent': (request) => json(200, [echo(request)]),
  'an unusable answer': () => (answer) => rewritten(answer, (body) => ({ ...body, sub: 'nobody', scope: 'x', did: 7 })),
  'an unusable answer, secrets where others belong': () => (answer) =>
    rewritten(answer, (body) => ({ ...body, sub: body['refresh_token'], token_type: body['access_token'] })),
  'half an answer': () => async (answer) => new Response((await answer.text()).slice(0, -9), answer),
}
const METADATA = '/.well-known/oauth-authorization-server'
const PATHS = [METADATA, '/oauth/par', '/oauth/token', '/oauth/revoke', '/xrpc/']

const TOKEN = [METADATA, '/oauth/token']
const LOGIN = [...TOKEN, '/oauth/par']
/** With the paths that they ask, and what they print on purpose. */
const VERBS: {
  args: string[]
  paths: string[]
  prints?: 'everything' | 'what the server says' | 'no refresh token' | 'findings'
}[] = [
  { args: ['refresh'], paths: TOKEN },
  { args: ['refresh', '--format', 'json'], paths: TOKEN, prints: 'everything' },
  { args: ['lease', '--at-least', '59m'], paths: TOKEN, prints: 'no refresh token' },
  { args: ['export'], paths: TOKEN, prints: 'everything' },
  { args: ['call', 'com.atproto.server.getSession'], paths: [...TOKEN, '/xrpc/'], prints: 'what the server says' },
  {
    args: ['proof', 'GET', 'https://pds.fake.dev/xrpc/com.atproto.server.getSession'],
    paths: [...TOKEN, '/xrpc/'],
    prints: 'no refresh token',
  },
  { args: ['status'], paths: [METADATA] },
  { args: ['doctor'], paths: [METADATA, '/oauth/par', '/xrpc/'], prints: 'findings' },
  { args: ['revoke'], paths: [METADATA, '/oauth/revoke'] },
]

/** A part is enough for every run: CI tries all of them once. */
const TRIED = process.env['ATPROTO_OAUTH_TEST_THOROUGH'] === undefined ? 2 : 1

describe.each(Object.entries(FAULTS).filter((_, index) => index % TRIED === 0))('%s', (_, fault) => {
  describe.each(PATHS)('at %s', (path) => {
    const breakAt = (world: FakeWorld) => {
      world.faults.httpFault = (request) => (pathOf(request).includes(path) ? fault(request) : undefined)
    }

    test.each(LOGIN.includes(path) ? ['init, complete'] : [])('%s', async () => {
      const world = createFakeWorld()
      breakAt(world)
      const started = await run(world, ['init', 'alice.fake.dev', '--verbose'])
      expect(found(world, started.stdout + started.stderr)).toStrictEqual([])
      world.faults.httpFault = () => undefined
      const callback = await callbackFor(world)
      breakAt(world)
      const ran = await run(world, ['complete', '--verbose'], { stdin: callback })
      expect(found(world, ran.stderr)).toStrictEqual([])
      if (ran.code !== 0) expect(ran.stdout).toBe('')
    })

    test.each(VERBS.filter(({ paths }) => paths.includes(path)))('$args', async ({ args, prints }) => {
      const world = createFakeWorld()
      const env = await signIn(world)
      breakAt(world)
      const { stdout, stderr, code } = await run(world, [...args, '--verbose'], { env })
      expect(found(world, stderr)).toStrictEqual([])
      if (code !== 0 && prints !== 'findings') expect(stdout).toBe('')
      else if (prints === undefined || prints === 'findings') expect(found(world, stdout)).toStrictEqual([])
      else if (prints === 'no refresh token') expect(stdout).not.toContain('ref-')
      const again = await run(world, [...args, '--json'], { env }) // with what the first run has left behind
      expect(found(world, again.stderr)).toStrictEqual([])
    })

    test('what is thrown, with its causes', async () => {
      const world = createFakeWorld()
      breakAt(world)
      const failures = [await thrown(init('alice.fake.dev', {}, world))]
      world.faults.httpFault = () => undefined
      const { authorizationUrl } = await init('alice.fake.dev', {}, world)
      const callback = world.authorize(authorizationUrl)
      breakAt(world)
      failures.push(await thrown(complete(callback, world)))
      world.faults.httpFault = () => undefined
      const env = await signIn(world)
      breakAt(world)
      const session = await openSession(readCredentials(env, false)!, world)
      failures.push(
        await thrown(session.call({ nsid: 'com.atproto.server.getSession' })),
        await thrown(session.lease(7200)),
        await thrown(session.proof('GET', `${world.pds}/xrpc/com.atproto.server.getSession`)),
        await thrown(session.refresh()),
        await thrown(revoke(session.record(), world)),
      )
      for (const failure of failures) expect(found(world, everything(failure))).toStrictEqual([])
    })
  })
})

test('the canary sings: what is printed on purpose is found', async () => {
  const world = createFakeWorld()
  const env = await signIn(world)
  expect(found(world, JSON.stringify(env)).length).toBeGreaterThanOrEqual(2)
  expect(everything(new Error('x', { cause: { deep: [new Error('y', { cause: env })] } }))).toContain(
    env['ATPROTO_OAUTH_REFRESH_TOKEN'],
  )
})

/** All that a request holds, as a debugging server would show it. */
function echo({ url, headers, body }: FakeRequest): string {
  return JSON.stringify({
    url,
    authorization: headers['authorization'],
    form: Object.fromEntries(new URLSearchParams(body)),
  })
}

async function rewritten(answer: Response, change: (body: Record<string, unknown>) => unknown): Promise<Response> {
  const body = (await answer.json()) as Record<string, unknown>
  return new Response(JSON.stringify(change(body)), answer)
}

/** The secrets of the world that are in `text`, as they are or encoded. */
function found(world: FakeWorld, text: string): string[] {
  const secrets = world.secrets().filter((secret) => secret.length >= 8)
  return secrets.filter((secret) =>
    [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64url')].some((form) => text.includes(form)),
  )
}

async function thrown(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => undefined,
    (error: unknown) => error,
  )
}

/** Every string that can be reached from a value, hidden members and causes included. */
function everything(value: unknown, seen = new Set<unknown>()): string {
  if (typeof value === 'string') return value
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null || seen.has(value)) return ''
  seen.add(value)
  const members = Reflect.ownKeys(value).map((key) => (value as Record<PropertyKey, unknown>)[key])
  return members.map((member) => everything(member, seen)).join('\n')
}
