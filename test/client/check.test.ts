import { beforeAll, describe, expect, test } from 'vitest'
import { brokenClient, checkClient } from '../../src/client/check.ts'
import { loopbackClientId } from '../../src/client/client-id.ts'
import { type ClientDocument, createClientDocument } from '../../src/client/create.ts'
import { OAuthError } from '../../src/errors.ts'
import type { ClientJwk } from '../../src/model.ts'
import { generateClientJwk } from '../../src/protocol/oauth/client-auth.ts'
import { referenceRefuses } from '../support/client-judges.ts'
import { failure } from '../support/failure.ts'
import { createFakeWorld, json } from '../support/fake-atproto.ts'

const HOST = 'https://alice.fake.dev'
const SHARED = {
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  scope: 'atproto repo:*',
  token_endpoint_auth_method: 'none',
  dpop_bound_access_tokens: true,
}
let open: ClientDocument
let confidential: ClientDocument
beforeAll(async () => {
  open = await createClientDocument({ origin: HOST, kind: 'public' }, SHARED)
  confidential = await createClientDocument({ origin: HOST, kind: 'confidential' }, SHARED)
})

interface Case {
  /** What the host answers to a path. */
  readonly answer: (path: string) => Response
  readonly clientJwk?: ClientJwk | undefined
  readonly clientId?: string
  readonly scope?: string
  readonly redirectUri?: string
}

function check({ answer, clientJwk, clientId = open.clientId, ...asked }: Case) {
  const world = createFakeWorld({ settings: { clientJwk } })
  world.serve(HOST, ({ url }) => answer(new URL(url).pathname))
  return checkClient({ clientId, ...asked }, world)
}

/** By the reference server: whatever it refuses is an error. */
const accepted = async (clientId: string, fetched: () => Response, key = confidential.clientJwk!) =>
  !(await referenceRefuses(clientId, fetched, key))

const messages = ({ findings }: Awaited<ReturnType<typeof check>>) => findings.map(({ message }) => message)

describe('5.2 how the document comes', () => {
  const body = () => JSON.stringify(open.document)
  const as = (type: string, text = body()) => new Response(text, { headers: { 'content-type': type } })
  test.each<[string, () => Response, string]>([
    ['404', () => json(404, {}), 'returned 404'],
    ['403', () => json(403, {}), 'returned 403'],
    ['503', () => json(503, {}), 'returned 503'],
    ['201', () => json(201, open.document), 'status 201'],
    ['301', () => json(301, {}, { location: 'https://www.fake.dev/' }), 'redirects to https://www.fake.dev/'],
    ['308', () => json(308, {}), 'redirects to somewhere else'],
    ['as text', () => as('text/plain'), 'text/plain instead of application/json'],
    ['as JSON of another kind', () => as('application/ld+json'), 'application/ld+json'],
    ['as a page', () => as('application/json', '<p>'), 'not a JSON object'],
    ['as a list', () => as('application/json', `[${body()}]`), 'not a JSON object'],
  ])('%s', async (_, answer, why) => {
    const verdict = await check({ answer })
    expect(messages(verdict)).toStrictEqual([expect.stringContaining(why)])
    expect(verdict.findings).toMatchObject([{ level: 'error', fix: expect.stringMatching(/./) }])
    expect(brokenClient(verdict)).toMatchObject({ code: 'CLIENT_BROKEN', session: 'none' })
  })

  test('the media type may have a charset', async () => {
    expect(messages(await check({ answer: () => as('Application/JSON; charset=utf-8') }))).toStrictEqual([])
  })

  test('what is wrong in it is told too, with its consequence and fix', async () => {
    const text = JSON.stringify({ ...open.document, grant_types: ['authorization_code'] })
    const { findings } = await check({ answer: () => as('text/plain', text) })
    expect(findings).toMatchObject([
      { level: 'error', fix: expect.stringContaining('.json') },
      {
        message: 'grant_types lacks refresh_token',
        consequence: expect.stringContaining('end with their first access token'),
      },
    ])
  })

  test('more than 5 KiB is no fault, but worth saying', async () => {
    const answer = () => json(200, { ...open.document, x: 'x'.repeat(5 * 1024) })
    const verdict = await check({ answer })
    expect(await accepted(open.clientId, answer)).toBe(true)
    expect(verdict.findings).toMatchObject([{ level: 'warning', message: expect.stringContaining('5120') }])
    expect(brokenClient(verdict)).toBeUndefined()
  })

  test('a host that cannot be reached is no verdict', async () => {
    const httpFault = () => {
      throw new OAuthError('HOST_NOT_FOUND', 'no such host')
    }
    const world = createFakeWorld({ faults: { httpFault } })
    expect(await failure(checkClient({ clientId: open.clientId }, world))).toMatchObject({ code: 'HOST_NOT_FOUND' })
  })
})

describe('5.1 the client_id itself', () => {
  test.each([
    ['http://alice.fake.dev/c.json', 'an https URL'],
    ['https://alice.fake.dev:8443/c.json', 'must not have a port'],
    ['https://alice.fake.dev/', 'does not end in a slash'],
    ['https://192.0.2.1/c.json', 'a public name'],
    ['https://Alice.fake.dev/c.json', 'canonical form'],
  ])('%s is refused without a request', async (clientId, why) => {
    const world = createFakeWorld()
    const { findings } = await checkClient({ clientId }, world)
    expect(findings).toMatchObject([{ level: 'error', message: expect.stringContaining(why) }])
    expect(world.requests).toStrictEqual([])
  })

  test('a query is advised against', async () => {
    const clientId = `${open.clientId}?v=2`
    const answer = () => json(200, { ...open.document, client_id: clientId })
    expect((await check({ clientId, answer })).findings).toMatchObject([
      { level: 'warning', message: 'client_id has a query' },
    ])
    expect(await accepted(clientId, answer)).toBe(true)
  })
})

describe('16.2 the private key at hand', () => {
  const published = () => json(200, confidential.document)
  test('is one of the published', async () => {
    const verdict = await check({ answer: published, clientJwk: confidential.clientJwk })
    expect(verdict).toMatchObject({ kind: 'confidential', keyMatches: true, kids: confidential.kids, findings: [] })
  })

  test.each<[string, (right: ClientJwk, other: ClientJwk) => ClientJwk, string]>([
    ['another key', (_, other) => other, 'is not among the published keys'],
    ['another key with the same kid', ({ kid }, other) => ({ ...other, kid }), 'differs from the published key'],
    ['the key under another name', (right) => ({ ...right, kid: 'mine' }), 'but has the kid mine'],
  ])('is %s', async (_, change, why) => {
    const clientJwk = change(confidential.clientJwk!, await generateClientJwk())
    const verdict = await check({ answer: published, clientJwk })
    expect(messages(verdict)).toStrictEqual([expect.stringContaining(why)])
    expect(verdict).toMatchObject({ keyMatches: false, findings: [{ level: 'error' }] })
    expect(await accepted(open.clientId, published, clientJwk)).toBe(false)
    expect(JSON.stringify(verdict)).not.toContain(clientJwk.d)
  })

  test('is not there: said, and no fault', async () => {
    const verdict = await check({ answer: published })
    expect(verdict.findings).toMatchObject([
      { level: 'warning', message: expect.stringContaining('no client key is set') },
    ])
  })

  test('is there although the client is public', async () => {
    const { findings } = await check({ answer: () => json(200, open.document), clientJwk: confidential.clientJwk })
    expect(findings).toMatchObject([{ level: 'error', message: expect.stringContaining('is not private_key_jwt') }])
  })

  test('5.7 keys elsewhere are fetched and checked', async () => {
    const { jwks, ...rest } = confidential.document
    const document = { ...rest, jwks_uri: `${HOST}/jwks.json` }
    const at = (keys: () => Response) => (path: string) => (path === '/jwks.json' ? keys() : json(200, document))
    const { clientJwk } = confidential
    const good = await check({ answer: at(() => json(200, jwks as object)), clientJwk })
    expect(good).toMatchObject({ keyMatches: true, findings: [] })
    const leaked = await check({ answer: at(() => json(200, { keys: [clientJwk] })), clientJwk })
    expect(messages(leaked)).toStrictEqual([expect.stringContaining('keys[0] is a private key')])
    expect(messages(await check({ answer: at(() => json(404, {})) }))).toContainEqual(
      expect.stringContaining('jwks_uri: no key set found'),
    )
  })
})

describe('26.8 several keys', () => {
  const two = async (kid?: string) => {
    const { jwks } = confidential.document as { jwks: { keys: object[] } }
    const { d, ...open } = await generateClientJwk()
    return { ...confidential.document, jwks: { keys: [...jwks.keys, kid === undefined ? open : { ...open, kid }] } }
  }

  test('with one kid are an error, as the reference says', async () => {
    const [kid] = confidential.kids
    const document = await two(kid)
    const verdict = await check({ answer: () => json(200, document), clientJwk: confidential.clientJwk })
    expect(verdict.findings).toMatchObject([{ level: 'error', message: `jwks has several keys with the kid ${kid}` }])
  })

  const changed = async (minutesAgo: number, more: { document?: object; date?: number } = {}) => {
    const document = more.document ?? (await two())
    const world = createFakeWorld({ settings: { clientJwk: confidential.clientJwk } })
    const { date = world.now() } = more
    const headers = {
      date: new Date(date).toUTCString(),
      'last-modified': new Date(date - minutesAgo * 60_000).toUTCString(),
    }
    world.serve(HOST, () => json(200, document, headers))
    return (await checkClient({ clientId: open.clientId }, world)).findings
  }

  test('in a document that servers may not have read yet: a warning with the time to wait', async () => {
    expect(await changed(3)).toMatchObject([
      {
        level: 'warning',
        message: expect.stringMatching(/^the document was changed [34] minutes ago$/),
        fix: expect.stringMatching(/^wait [78] minutes before you use a new key/),
      },
    ])
    expect(await changed(3, { date: Date.UTC(2001, 1, 1) })).toHaveLength(1) // by the clock of the host
    expect(await changed(11)).toStrictEqual([])
    expect(await changed(3, { document: confidential.document })).toStrictEqual([]) // its first key
  })
})

test.each([
  ['https://alice.fake.dev/oauth-client-metadata.json', 'alice.fake.dev'],
  ['https://alice.fake.dev/bot/oauth-client-metadata.json', undefined],
  ['https://alice.fake.dev/client.json', undefined],
  ['https://alice.fake.dev/oauth-client-metadata.json?v=2', undefined],
  ['http://localhost?scope=atproto', 'An application on your device'],
])('26.7 what the consent screen shows of %s', async (clientId, shown = clientId) => {
  const answer = () => json(200, { ...open.document, client_id: clientId, client_uri: HOST })
  expect(await check({ clientId, answer })).toMatchObject({ shownAs: shown })
})

describe('5.15 what a login asks for', () => {
  const answer = () => json(200, { ...open.document, scope: 'atproto rpc?lxm=a.b.c&aud=*' })
  test('is declared letter for letter', async () => {
    expect(messages(await check({ answer, scope: 'rpc?lxm=a.b.c&aud=*' }))).toStrictEqual([])
    expect(messages(await check({ answer, scope: 'rpc:a.b.c?aud=*' }))).toStrictEqual([
      'scope does not declare rpc:a.b.c?aud=*',
    ])
  })

  test('returns to a redirect that is declared', async () => {
    expect(messages(await check({ answer, redirectUri: `${HOST}/callback` }))).toStrictEqual([
      `redirect_uris lacks ${HOST}/callback`,
    ])
  })

  test('15.10 a word that no server knows is said', async () => {
    const unknown = () => json(200, { ...open.document, scope: 'atproto transition:all' })
    expect((await check({ answer: unknown })).findings).toMatchObject([
      { level: 'warning', message: expect.stringContaining('transition:all') },
    ])
    expect(await accepted(open.clientId, unknown)).toBe(true)
  })
})

describe('5.20 to 5.25 a loopback client is checked without a request', () => {
  const redirectUri = 'http://127.0.0.1/callback'
  const clientId = loopbackClientId({ redirectUri, scope: 'atproto repo:*' })
  const judged = (id: string, asked: object = {}) => checkClient({ clientId: id, ...asked }, createFakeWorld())

  test('a good one', async () => {
    expect(await judged(clientId, { redirectUri, scope: 'repo:*' })).toMatchObject({
      kind: 'loopback',
      redirectUris: [redirectUri],
      scope: 'atproto repo:*',
      findings: [],
    })
  })

  test.each<[string, string, object, string]>([
    ['a port', 'http://localhost:3000', {}, 'client_id'],
    ['another key', 'http://localhost?name=x', {}, 'client_id'],
    ['a redirect to localhost', 'http://localhost?redirect_uri=http%3A%2F%2Flocalhost%2F', {}, 'client_id'],
    ['an undeclared scope', clientId, { scope: 'blob:*/*' }, 'scope does not declare blob:*/*'],
    ['an undeclared redirect', clientId, { redirectUri: 'http://127.0.0.1/' }, 'redirect_uri'],
    ['its second redirect', 'http://localhost', { redirectUri: 'http://[::1]/' }, 'redirect_uri'],
  ])('%s', async (_, id, asked, why) => {
    const { findings } = await judged(id, asked)
    expect(findings).toMatchObject([{ level: 'error', message: expect.stringContaining(why) }])
  })
})
