import { describe, expect, test } from 'vitest'
import type { ErrorCode } from '../../src/errors.ts'
import { complete } from '../../src/login/complete.ts'
import { failure } from '../support/failure.ts'
import { consented, refused, stageOf, steadyWorld } from './flows.ts'

type Spoil = (url: URL) => string | URL
const set =
  (name: string, value: string): Spoil =>
  (url) => {
    url.searchParams.set(name, value)
    return url
  }
const drop =
  (name: string): Spoil =>
  (url) => {
    url.searchParams.delete(name)
    return url
  }
const add =
  (text: string): Spoil =>
  (url) =>
    url.href + text
const at =
  (base: string): Spoil =>
  (url) =>
    base + url.search
const iss = (value: string) => set('iss', value)

const MUTATIONS: [string, Spoil, ErrorCode][] = [
  ['9.1 another code in the fragment', add('#code=cod-evil'), 'CALLBACK_REFUSED'],
  [
    '9.1 the code in the fragment, the rest in the query',
    (url) => `${drop('code')(url)}#code=cod-x`,
    'CALLBACK_REFUSED',
  ],
  ['9.1 an error in the fragment', add('#error=access_denied'), 'CALLBACK_REFUSED'],
  ['9.2 two codes', add('&code=cod-evil'), 'CALLBACK_REFUSED'],
  ['9.2 two states', add('&state=AAAAAAAAAAAAAAAAAAAAAA'), 'CALLBACK_REFUSED'],
  ['9.2 two issuers', add('&iss=https%3A%2F%2Fevil.fake.dev'), 'CALLBACK_REFUSED'],
  ['9.2 two errors', add('&error=a&error=b'), 'CALLBACK_REFUSED'],
  ['9.2 two descriptions', add('&error_description=a&error_description=b'), 'CALLBACK_REFUSED'],
  ['9.3 another path', at('http://127.0.0.1/callback/x'), 'CALLBACK_REFUSED'],
  ['9.3 another port', at('http://127.0.0.1:8080/callback'), 'CALLBACK_REFUSED'],
  ['9.3 another host', at('http://evil.fake.dev/callback'), 'CALLBACK_REFUSED'],
  ['9.3 localhost', at('http://localhost/callback'), 'CALLBACK_REFUSED'],
  ['9.3 https', at('https://127.0.0.1/callback'), 'CALLBACK_REFUSED'],
  ['9.3 another scheme', at('file:///callback'), 'CALLBACK_REFUSED'],
  ['9.4 no state', drop('state'), 'CALLBACK_INCOMPLETE'],
  ['9.4 an empty state', set('state', ''), 'CALLBACK_INCOMPLETE'],
  ['9.4 a state that nobody made', set('state', 'AAAAAAAAAAAAAAAAAAAAAA'), 'CALLBACK_STATE_UNKNOWN'],
  ['6.9 a state that is a path', set('state', '../../../../etc/passwd'), 'CALLBACK_STATE_UNKNOWN'],
  ['6.9 a state with a NUL', set('state', 'AAAAAAAAAAAAAAAAAAAA\u0000A'), 'CALLBACK_STATE_UNKNOWN'],
  ['6.9 a device as state', set('state', 'con'), 'CALLBACK_STATE_UNKNOWN'],
  ['9.5 no issuer', drop('iss'), 'CALLBACK_INCOMPLETE'],
  ['9.5 an empty issuer', iss(''), 'CALLBACK_INCOMPLETE'],
  ['9.5 another issuer', iss('https://evil.fake.dev'), 'CALLBACK_REFUSED'],
  ['9.5 the PDS', iss('https://pds.fake.dev'), 'CALLBACK_REFUSED'],
  ['9.5 a trailing slash', iss('https://as.fake.dev/'), 'CALLBACK_REFUSED'],
  ['9.5 capitals', iss('https://AS.fake.dev'), 'CALLBACK_REFUSED'],
  ['9.5 the default port', iss('https://as.fake.dev:443'), 'CALLBACK_REFUSED'],
  ['9.5 http', iss('http://as.fake.dev'), 'CALLBACK_REFUSED'],
  ['9.5 encoded twice', iss(encodeURIComponent('https://as.fake.dev')), 'CALLBACK_REFUSED'],
  [
    '9.5 a denial of another issuer',
    (url) => `${iss('https://evil.fake.dev')(url)}&error=access_denied`,
    'CALLBACK_REFUSED',
  ],
  ['9.8 no code', drop('code'), 'CALLBACK_INCOMPLETE'],
  ['9.8 an empty code', set('code', ''), 'CALLBACK_INCOMPLETE'],
  ['9.9 an access token', add('&access_token=x'), 'CALLBACK_REFUSED'],
  ['9.9 an ID token', add('&id_token=x'), 'CALLBACK_REFUSED'],
  ['9.9 JARM', add('&response=eyJ.x.y'), 'CALLBACK_REFUSED'],
  ['a megabyte', add(`&x=${'x'.repeat(1_048_576)}`), 'CALLBACK_UNREADABLE'],
]

describe('a callback of another login: nothing is sent, and the login stays open', () => {
  test.each(MUTATIONS)('%s', async (_, spoil, code) => {
    const world = steadyWorld()
    const { callback } = await consented(world)
    const stored = structuredClone(world.stores.pendingRecords)
    const paste = String(spoil(new URL(callback)))
    await refused(world, () => complete(paste, world), { code, session: 'none', sent: [] })
    expect(world.stores.pendingRecords).toStrictEqual(stored)
    expect(world.sessions).toStrictEqual([])
    await expect(complete(callback, world)).resolves.toMatchObject({ credentials: { did: world.alice.did } })
  })

  test('6.1 the code of one login with the state of another: not exchanged, and the other goes on', async () => {
    const world = steadyWorld()
    const [one, other] = [await consented(world), await consented(world)]
    const stolen = new URL(one.callback).searchParams.get('code')!
    const injected = String(set('code', stolen)(new URL(other.callback)))
    const sent = ['asm', 'did', 'prm', 'exchange'] as const
    await refused(world, () => complete(injected, world), { code: 'EXCHANGE_REFUSED', session: 'none', sent })
    expect(world.sessions).toStrictEqual([])
    await expect(complete(other.callback, world)).resolves.toMatchObject({ credentials: { did: world.alice.did } })
  })
})

describe('9.6 an error from the right server: nothing is sent, and the login has ended', () => {
  test.each([
    'access_denied',
    'invalid_request',
    'login_required',
    'consent_required',
    'account_selection_required',
    'interaction_required',
    'invalid_scope',
    'server_error',
    'temporarily_unavailable',
    '\u001b[31mred',
  ])('9.7 %j, beside a code', async (error) => {
    const world = steadyWorld()
    const { callback, pending } = await consented(world)
    const paste = String(set('error', error)(new URL(callback)))
    const told = await refused(world, () => complete(paste, world), {
      code: 'AUTHORIZATION_DENIED',
      session: 'none',
      sent: [],
    })
    expect(told.message).not.toContain('\u001b')
    const kept = JSON.stringify(world.stores.pendingRecords.get(pending.state))
    for (const secret of world.secrets()) expect(kept).not.toContain(secret)

    const before = world.requests.length
    expect(await failure(complete(callback, world))).toMatchObject({ code: 'CODE_USED', session: 'none' })
    expect(world.requests).toHaveLength(before)
    expect(world.sessions).toStrictEqual([])
  })

  test('9.8 a code of ten kilobytes goes to the issuer as it is, and nowhere else', async () => {
    const world = steadyWorld()
    const { callback } = await consented(world)
    const code = 'c'.repeat(10_240)
    const paste = String(set('code', code)(new URL(callback)))
    expect(await failure(complete(paste, world))).toMatchObject({ code: 'EXCHANGE_REFUSED', session: 'none' })
    const carriers = world.requests.filter(({ url, body }) => (url + body).includes(code))
    expect(carriers.map(stageOf)).toStrictEqual(['exchange'])
  })
})
