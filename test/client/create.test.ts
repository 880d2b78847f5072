import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { checkClient } from '../../src/client/check.ts'
import {
  addClientKey,
  type ClientKind,
  createClientDocument,
  type NewClient,
  retireClientKey,
} from '../../src/client/create.ts'
import { clientKeyName } from '../../src/protocol/oauth/client-auth.ts'
import { cirrusRefuses, referenceRefuses } from '../support/client-judges.ts'
import { failure } from '../support/failure.ts'
import { createFakeWorld, json } from '../support/fake-atproto.ts'

const TEMPLATE = JSON.parse(readFileSync('oauth-templates/oauth-client-metadata.json', 'utf8'))
const ORIGIN = 'https://alice.fake.dev/bot'
const create = (choice: Partial<NewClient> = {}, earlier?: object) =>
  createClientDocument({ origin: ORIGIN, kind: 'public', ...choice }, TEMPLATE, earlier as never)

describe('a document of each kind is made', () => {
  test.each<[ClientKind, object]>([
    [
      'public',
      {
        application_type: 'web',
        token_endpoint_auth_method: 'none',
        redirect_uris: [`${ORIGIN}/callback/`],
      },
    ],
    [
      'native',
      {
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        redirect_uris: ['http://127.0.0.1/callback'],
      },
    ],
    [
      'confidential',
      {
        application_type: 'web',
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        redirect_uris: [`${ORIGIN}/callback/`],
      },
    ],
  ])('5.3 to 5.10 %s: no fault in it, and both servers take it', async (kind, fields) => {
    const made = await create({ kind })
    const { clientId, document, clientJwk } = made
    expect(document).toMatchObject({ client_id: `${ORIGIN}/oauth-client-metadata.json`, client_uri: ORIGIN, ...fields })
    expect(clientJwk !== undefined).toBe(kind === 'confidential')
    expect(JSON.stringify(document)).not.toContain('"d":')

    const world = createFakeWorld({ settings: { clientJwk } })
    const published = () => json(200, JSON.parse(JSON.stringify(document)))
    world.serve('https://alice.fake.dev', published)
    const verdict = await checkClient({ ...made, scope: 'transition:generic' }, world)
    expect(verdict).toMatchObject({ kind: kind === 'confidential' ? kind : 'public', findings: [] })
    expect(verdict.keyMatches).toBe(clientJwk ? true : undefined)
    const stranger = clientJwk ?? (await create({ kind: 'confidential' })).clientJwk!
    expect(await referenceRefuses(clientId, published, stranger)).toBe(false)
    expect(await cirrusRefuses(clientId, published, stranger)).toBe(false)
  })

  test('5.7 the key is named by its thumbprint, and published without its private half', async () => {
    const { clientJwk, document, kids } = await create({ kind: 'confidential' })
    const { d, ...open } = clientJwk!
    expect(await clientKeyName({ clientId: '', clientJwk })).toStrictEqual({ kid: open.kid, thumbprint: open.kid })
    expect(document.jwks).toStrictEqual({ keys: [{ ...open, alg: 'ES256', use: 'sig' }] })
    expect(kids).toStrictEqual([open.kid])
    expect((await create({ kind: 'confidential' })).clientJwk!.d).not.toBe(d)
  })

  test('the origin of a whole host, with the slash that people copy', async () => {
    const { clientId, redirectUri, document } = await create({ origin: 'https://alice.fake.dev/' })
    expect(clientId).toBe('https://alice.fake.dev/oauth-client-metadata.json')
    expect(redirectUri).toBe('https://alice.fake.dev/callback/')
    expect(document.client_name).toBe('alice.fake.dev')
  })

  test('atproto is put in front of a scope without it', async () => {
    expect((await create({ scope: 'repo:app.bsky.feed.post', name: 'Bot' })).document).toMatchObject({
      scope: 'atproto repo:app.bsky.feed.post',
      client_name: 'Bot',
    })
  })
})

describe('nothing is made that the rules refuse', () => {
  test.each([
    ['http://alice.fake.dev', 'https URL'],
    ['alice.fake.dev', 'https URL'],
    ['https://alice.fake.dev:8443', 'must not have a port'],
    ['https://alice.fake.dev:443', 'canonical'],
    ['https://u:p@alice.fake.dev', 'must not have a port, credentials'],
    ['https://ALICE.fake.dev', 'canonical'],
    ['https://alice.fake.dev/a/../b', 'canonical'],
    ['https://alice.fake.dev/a b', 'canonical'],
    ['https://192.0.2.1', 'public name'],
    ['https://[::1]', 'public name'],
    ['https://alice', 'public name'],
    ['https://localhost', 'a public host name'],
    ['https://alice.test', 'a public host name'],
    ['https://alice.example.com', 'a public host name'],
    ['https://alice.fake.dev/bot?', 'must not have a query'],
    ['https://alice.fake.dev/#bot', 'a query or a fragment'],
    ['https://alice.fake.dev//', 'the folder'],
    ['https://alice.fake.dev/oauth-client-metadata.json', 'the folder'],
    ['https://alice.fake.dev/callback/index.html', 'the folder'],
  ])('5.1 the origin %s', async (origin, why) => {
    expect(await failure(create({ origin }))).toMatchObject({
      code: 'CLIENT_INVALID',
      message: expect.stringContaining(why),
    })
  })

  test.each(['repo:a.b.*', 'transition:everything', 'atproto  repo:*', 'rpc:*', 'a"b', 'openid'])(
    '15.1 the scope %s',
    async (scope) => {
      expect(await failure(create({ scope }))).toMatchObject({ code: 'SCOPE_INVALID' })
    },
  )

  test.each(['', ' ', 'two\nlines', '\u202eevil'])('a name that no page can show: %j', async (name) => {
    expect(await failure(create({ name }))).toMatchObject({ code: 'CLIENT_INVALID' })
  })

  test('5.12 a field of an earlier document that servers refuse', async () => {
    const earlier = { ...(await create()).document, logo_uri: 'http://alice.fake.dev/logo.png' }
    expect(await failure(create({}, earlier))).toMatchObject({
      code: 'CLIENT_INVALID',
      message: expect.stringContaining('logo_uri is not an https URL'),
    })
  })
})

describe('a document that is there already', () => {
  test('16.7 keeps its keys, and the fields that somebody has added', async () => {
    const first = await create({ kind: 'confidential', scope: 'repo:*', name: 'Bot' })
    const earlier = { ...first.document, logo_uri: 'https://alice.fake.dev/logo.png' }
    const again = await create({ kind: 'confidential' }, earlier)
    expect(again.clientJwk).toBeUndefined()
    expect(again.document).toStrictEqual(earlier)
    const wider = await create({ kind: 'confidential', scope: 'repo:* blob:*/*' }, earlier)
    expect(wider.document).toStrictEqual({ ...earlier, scope: 'atproto repo:* blob:*/*' })
  })

  test('16.7 does not lose its keys by becoming a public one', async () => {
    const { document } = await create({ kind: 'confidential' })
    for (const kind of ['public', 'native'] as const) {
      expect(await failure(create({ kind }, document))).toMatchObject({ code: 'CLIENT_INVALID' })
    }
  })

  test('a public one becomes confidential', async () => {
    const { document } = await create()
    const { clientJwk, kids } = await create({ kind: 'confidential' }, document)
    expect(kids).toStrictEqual([clientJwk!.kid])
  })

  test('16.7 gets a second key, and loses the first', async () => {
    const first = await create({ kind: 'confidential' })
    const [a] = first.kids
    const second = await addClientKey({ ...first.document, logo_uri: 'https://alice.fake.dev/logo.png' })
    const b = second.clientJwk!.kid
    expect(second.kids).toStrictEqual([a, b])
    expect(second.document).toMatchObject({ logo_uri: 'https://alice.fake.dev/logo.png', scope: first.scope })
    for (const key of [first.clientJwk!, second.clientJwk!]) {
      expect(await referenceRefuses(second.clientId, () => json(200, second.document), key)).toBe(false)
    }
    const last = retireClientKey(second.document, a!)
    expect(last.kids).toStrictEqual([b])
    expect(await referenceRefuses(last.clientId, () => json(200, last.document), first.clientJwk!)).toBe(true)
    expect(() => retireClientKey(last.document, b)).toThrow('the only key')
    expect(() => retireClientKey(second.document, 'other')).toThrow(`it has ${a} and ${b}`)
  })

  test('a public one has no keys to add to', async () => {
    const { document } = await create()
    expect(await failure(addClientKey(document))).toMatchObject({ code: 'CLIENT_INVALID' })
  })
})
