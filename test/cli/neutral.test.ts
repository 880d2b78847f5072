/** 20.8: whatever a server says, wherever it can say something, nothing of it reaches the terminal raw. */
import { describe, expect, test, vi } from 'vitest'
import { callbackFor, fakeNodeRuntime, type Ran, run, signIn } from '../support/cli.ts'
import { createFakeWorld, type FakeRequest, type FakeWorld, json, pathOf } from '../support/fake-atproto.ts'

vi.mock('../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

/** Colours, a title, cursor, C1, bidi, invisible, line breaks of every kind, and commands of a CI runner. */
const EVIL =
  'EVIL\u001b[31m\u001b]0;title\u0007\u001b[2J\u0000\b\u007f\u009b31m\u202e\u2066\u200b\ufeff\ue000\ud800' +
  '\n::error::owned\r\n  ::add-mask::x\u2028::stop-commands::y\u0085::z\natproto-oauth: session: still valid'
/** Header values hold no control characters but these. */
const EVIL_HEADER = 'EVIL\u009b31m\u0085::error::x'
const RAW = /[^\P{Cc}\n]|[\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/u

interface Scenario {
  readonly name: string
  /** Turns the world evil. */
  readonly set: (world: FakeWorld) => void
}
const s = (name: string, set: Scenario['set']): Scenario => ({ name, set })
const faulty = (path: string, answer: (request: FakeRequest) => Response) => (world: FakeWorld) => {
  world.faults.httpFault = (request) => (pathOf(request).includes(path) ? answer(request) : undefined)
}
const said = { error: EVIL, error_description: EVIL, message: EVIL }

/** stderr is made of our own lines; none of them is a command, none is forged. */
function checkStderr({ stderr, code }: Ran, expected: { evil?: boolean; body?: boolean; session?: boolean } = {}) {
  expect(stderr).not.toMatch(RAW)
  expect(stderr).not.toMatch(/^\s*::/m)
  if (code !== 0 && !expected.body) {
    const lines = stderr.trimEnd().split('\n')
    expect(lines.filter((line) => !/^atproto-oauth: (?:error|session|hint|warning|debug): /.test(line))).toStrictEqual(
      [],
    )
    expect(lines.filter((line) => line.startsWith('atproto-oauth: session: '))).toHaveLength(
      expected.session === true ? 1 : 0,
    )
  }
  // The evil text did get there, so that the above means something.
  if (expected.evil !== false) expect(stderr.toUpperCase()).toContain('EVIL')
}

/** The same as one JSON object. */
function checkJson({ stderr }: Ran) {
  expect(stderr).not.toMatch(RAW)
  expect(stderr.trimEnd()).not.toContain('\n')
  expect(JSON.parse(stderr)).toMatchObject({ code: expect.not.stringMatching('UNEXPECTED') })
}

describe('init', () => {
  test.each([
    s('a TXT record', (w) => w.identity.txt.set('_atproto.alice.fake.dev', [[`did=${EVIL}`]])),
    s('the failure of DNS', (w) => {
      Object.assign(w, { resolveTxt: () => Promise.reject(new Error(EVIL)) })
      w.identity.wellKnown.clear()
    }),
    s('the DID of a document', (w) => w.identity.editDidDocument(w.alice.did, (d) => ({ ...d, id: EVIL }))),
    s('a PDS', (w) => editPds(w, EVIL)),
    s('a PDS with a harmless beginning', (w) => editPds(w, `https://${EVIL}`)),
    s('resource', (w) => {
      w.faults.mutateProtectedResource = (d) => ({ ...d, resource: EVIL })
    }),
    s('authorization_servers', (w) => {
      w.faults.mutateProtectedResource = (d) => ({ ...d, authorization_servers: [EVIL] })
    }),
    s('two authorization_servers', (w) => {
      w.faults.mutateProtectedResource = (d) => ({ ...d, authorization_servers: [EVIL, EVIL] })
    }),
    s('issuer', (w) => {
      w.faults.mutateAuthorizationServer = (d) => ({ ...d, issuer: EVIL })
    }),
    s('an endpoint', (w) => {
      w.faults.mutateAuthorizationServer = (d) => ({ ...d, token_endpoint: EVIL })
    }),
    s(
      'a media type',
      faulty('oauth-authorization-server', () => new Response('{}', { headers: { 'content-type': EVIL_HEADER } })),
    ),
    s(
      'the refusal of a pushed request',
      faulty('/oauth/par', () => json(400, said)),
    ),
    s(
      'a failure at the pushed request',
      faulty('/oauth/par', () => json(503, said)),
    ),
  ])('$name', async ({ set }) => {
    const world = createFakeWorld()
    set(world)
    for (const more of [['--verbose'], ['--quiet']]) {
      checkStderr(await run(world, ['init', 'alice.fake.dev', ...more]))
    }
    checkJson(await run(world, ['init', 'alice.fake.dev', '--json']))
    for (const more of ['--verbose', '--json']) {
      const { stdout, stderr, code } = await run(world, ['doctor', 'alice.fake.dev', more])
      expect(code).toBe(4)
      expect(stdout.toUpperCase()).toContain('EVIL')
      expect(stdout + stderr).not.toMatch(RAW)
      expect(stdout + stderr).not.toMatch(/^\s*::|^atproto-oauth: session: still valid/m)
    }
  })

  test('the refusal of a handle resolver', async () => {
    const world = createFakeWorld({ settings: { handleResolver: 'https://resolver.fake.dev' } })
    world.serve('https://resolver.fake.dev', () => json(400, said))
    checkStderr(await run(world, ['init', 'alice.fake.dev']))
  })
})

describe('complete', () => {
  const paste = (world: FakeWorld, change: Record<string, string>) => async () => {
    const url = new URL(await callbackFor(world))
    for (const [name, value] of Object.entries(change)) url.searchParams.set(name, value)
    return url.href
  }
  test.each([
    { name: 'error', change: { error: EVIL } },
    { name: 'error_description', change: { error: 'access_denied', error_description: EVIL } },
    { name: 'iss', change: { iss: EVIL } },
    { name: 'state', change: { state: EVIL }, evil: false },
  ])('a callback with $name', async ({ change, evil = true }) => {
    const world = createFakeWorld()
    const callback = await paste(world, change as unknown as Record<string, string>)()
    for (const more of ['--verbose', '--json']) {
      const ran = await run(world, ['complete', callback, more])
      expect(ran.code).toBe(4)
      more === '--json' ? checkJson(ran) : checkStderr(ran, { evil: evil })
    }
  })

  test.each([
    s(
      'the refusal of the code',
      faulty('/oauth/token', () => json(400, said)),
    ),
    s(
      'a failure at the exchange',
      faulty('/oauth/token', () => json(503, said)),
    ),
    s(
      'the token endpoint’s media type',
      faulty('/oauth/token', () => new Response('', { headers: { 'content-type': EVIL_HEADER } })),
    ),
    s('the scope that was granted', (w) => {
      w.faults.mutateToken = (t) => ({ ...t, scope: `atproto ${EVIL}` })
    }),
  ])('$name', async ({ set, name }) => {
    const world = createFakeWorld()
    const callback = await callbackFor(world)
    set(world)
    const ran = await run(world, ['complete', callback, '--verbose', '--format', 'bundle'])
    expect(ran.code === 0).toBe(name.startsWith('the scope'))
    checkStderr(ran, { session: ran.code === 6 })
    // In a note of several lines too, the server has not more than its own.
    expect(ran.stderr).not.toMatch(/^(?!.*EVIL).*still valid/m)
    if (ran.code !== 0) return
    for (const more of ['--quiet', '--json']) {
      const { stdout } = await run(world, ['status', more], { env: { ATPROTO_OAUTH_SESSION: ran.stdout } })
      expect(stdout).toContain('EVIL')
      expect(stdout).not.toMatch(RAW)
    }
  })
})

describe.each([
  { verb: 'refresh', args: ['refresh'] },
  { verb: 'lease', args: ['lease'] },
  { verb: 'export', args: ['export'] },
  { verb: 'call', args: ['call', 'com.atproto.server.getSession'] },
])('$verb', ({ args }) => {
  test.each([
    s(
      'the end of the session',
      faulty('/oauth/token', () => json(400, { ...said, error: 'invalid_grant' })),
    ),
    s(
      'a refusal of the refresh',
      faulty('/oauth/token', () => json(400, said)),
    ),
    s(
      'a failure at the refresh',
      faulty('/oauth/token', () => json(502, said)),
    ),
    s('the issuer of the PDS now', (w) => {
      w.faults.mutateProtectedResource = (d) => ({ ...d, authorization_servers: [EVIL] })
    }),
  ])('$name', async ({ set }) => {
    const world = createFakeWorld()
    const env = await signIn(world)
    set(world)
    checkStderr(await run(world, [...args, '--verbose'], { env }), { session: true })
    checkJson(await run(world, [...args, '--json'], { env }))
    // What was stored of it comes back out here.
    const { stdout, stderr } = await run(world, ['status'], { env })
    expect(stdout + stderr).not.toMatch(RAW)
    expect(stdout + stderr).not.toMatch(/^\s*::/m)
  })
})

describe('call', () => {
  const html = () => new Response(`<h1>${EVIL}</h1>`, { status: 502, headers: { 'content-type': 'text/html' } })
  const scope = { error: 'ScopeMissingError', message: `Missing required scope "${EVIL}"` }
  test.each([
    s(
      'an XRPC error',
      faulty('/xrpc/', () => json(400, said)),
    ),
    s('a page', faulty('/xrpc/', html)),
    s(
      'a missing scope',
      faulty('/xrpc/', () => json(403, scope)),
    ),
    s(
      'a rate limit',
      faulty('/xrpc/', () => json(429, said)),
    ),
    s(
      'an error in a challenge',
      faulty('/xrpc/', () => json(401, said, { 'www-authenticate': `DPoP error="${EVIL_HEADER}"` })),
    ),
    s(
      'deeper than anything can follow',
      faulty('/xrpc/', () => new Response(`${'['.repeat(50_000)}"EVIL"${']'.repeat(50_000)}`, { status: 400 })),
    ),
  ])('$name', async ({ set }) => {
    const world = createFakeWorld()
    const env = await signIn(world)
    set(world)
    const args = ['call', 'com.atproto.server.getSession']
    checkStderr(await run(world, args, { env }), { body: true })
    checkJson(await run(world, [...args, '--json'], { env }))
    // With --include the response is data, and goes to stdout as it came.
    const included = await run(world, [...args, '--include'], { env })
    checkStderr(included, { evil: false, session: true })
    expect(included.stdout).toContain('HTTP/1.1')
  })

  test('--pretty: a response nested too deeply is printed unchanged', async () => {
    const world = createFakeWorld()
    const env = await signIn(world)
    const deep = `{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`
    faulty('/xrpc/', () => new Response(deep, { headers: { 'content-type': 'application/json' } }))(world)
    const { code, stdout } = await run(world, ['call', 'com.atproto.server.getSession', '--pretty'], { env })
    expect({ code, isWhole: stdout === deep }).toStrictEqual({ code: 0, isWhole: true })
  })
})

function editPds({ identity, alice }: FakeWorld, serviceEndpoint: string) {
  const service = [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint }]
  identity.editDidDocument(alice.did, (document) => ({ ...document, service }))
}
