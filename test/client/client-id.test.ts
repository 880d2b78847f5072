import { describe, expect, test } from 'vitest'
import { chooseClient, loopbackClientId, parseLoopbackClientId } from '../../src/client/client-id.ts'
import { failure } from '../protocol/helpers.ts'

const REDIRECT = 'http://127.0.0.1/callback'
const HOSTED = 'https://app.example.com/oauth-client-metadata.json'
const REDIRECT_QUERY = 'redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback'

describe('the loopback client', () => {
  test.each([
    ['22.2', 'atproto', 'atproto'],
    ['22.2', 'atproto transition:generic', 'atproto+transition%3Ageneric'],
    ['22.2', 'atproto repo:*', 'atproto+repo%3A*'],
    ['5.26', 'atproto rpc:a.b.c?aud=did:web:x.y%23z', 'atproto+rpc%3Aa.b.c%3Faud%3Ddid%3Aweb%3Ax.y%2523z'],
    ['5.26', 'atproto rpc:a.b.c?aud=did:web:x.y#z', 'atproto+rpc%3Aa.b.c%3Faud%3Ddid%3Aweb%3Ax.y%23z'],
    [
      '5.26',
      'atproto repo?collection=a.b.c&collection=d.e.f',
      'atproto+repo%3Fcollection%3Da.b.c%26collection%3Dd.e.f',
    ],
    ['5.26', 'atproto blob:image/*', 'atproto+blob%3Aimage%2F*'],
  ])('%s golden client_id for %s', (_, scope, encoded) => {
    const clientId = loopbackClientId({ redirectUri: REDIRECT, scope })
    expect(clientId).toBe(`http://localhost?${REDIRECT_QUERY}&scope=${encoded}`)
    expect(parseLoopbackClientId(clientId)).toStrictEqual({ redirectUris: [REDIRECT], scope })
  })

  test('5.23, 5.24 declares exactly what it sends', () => {
    expect(chooseClient({})).toStrictEqual({
      clientId: `http://localhost?${REDIRECT_QUERY}&scope=atproto`,
      redirectUri: REDIRECT,
      scope: 'atproto',
    })
    expect(chooseClient({ redirectUri: 'http://[::1]:8080/cb', scope: 'transition:generic' })).toStrictEqual({
      clientId:
        'http://localhost?redirect_uri=http%3A%2F%2F%5B%3A%3A1%5D%3A8080%2Fcb&scope=atproto+transition%3Ageneric',
      redirectUri: 'http://[::1]:8080/cb',
      scope: 'atproto transition:generic',
    })
  })

  test.each([
    'http://localhost/callback',
    'https://127.0.0.1/callback',
    'http://127.0.0.2/callback',
    'http://127.1/callback',
    'http://127.0.0.1',
    'http://127.0.0.1:80/callback',
    'http:127.0.0.1:3000',
    'http://me@127.0.0.1/callback',
    'http://127.0.0.1/callback#x',
    'https://app.example.com/cb',
    'com.example.app:/cb',
    'not a URL',
  ])('5.25 redirect %s is refused', async (redirectUri) => {
    expect(await failure(() => chooseClient({ redirectUri }))).toMatchObject({ code: 'CLIENT_INVALID' })
  })

  test.each([
    ['http://localhost', ['http://127.0.0.1/', 'http://[::1]/'], 'atproto'],
    ['http://localhost/', ['http://127.0.0.1/', 'http://[::1]/'], 'atproto'],
    ['http://localhost?', ['http://127.0.0.1/', 'http://[::1]/'], 'atproto'],
    ['http://localhost?scope=atproto', ['http://127.0.0.1/', 'http://[::1]/'], 'atproto'],
    ['http://localhost/?scope=atproto+repo%3A*', ['http://127.0.0.1/', 'http://[::1]/'], 'atproto repo:*'],
    ['http://localhost?redirect_uri=http%3A%2F%2F127.0.0.1%2Fcb', ['http://127.0.0.1/cb'], 'atproto'],
    ['http://localhost?redirect_uri=http%3A%2F%2F%5B%3A%3A1%5D%2Fcb', ['http://[::1]/cb'], 'atproto'],
    [
      'http://localhost?redirect_uri=http%3A%2F%2F127.0.0.1%2Fa&redirect_uri=http%3A%2F%2F127.0.0.1%2Fb',
      ['http://127.0.0.1/a', 'http://127.0.0.1/b'],
      'atproto',
    ],
    [
      'http://localhost?scope=atproto+rpc%3Aa.b.c%3Faud%3Ddid%3Aweb%3Ax.y%2523z',
      ['http://127.0.0.1/', 'http://[::1]/'],
      'atproto rpc:a.b.c?aud=did:web:x.y%23z',
    ],
  ])('22.2, 5.20 to 5.22 accepts %s', (clientId, redirectUris, scope) => {
    expect(parseLoopbackClientId(clientId)).toStrictEqual({ redirectUris, scope })
  })

  test.each([
    'http://localhost:3000',
    'http://localhost/x',
    'http://localhost//',
    'http://127.0.0.1',
    'https://localhost',
    'http://localhost#x',
    'http://localhost?scope=atproto#x',
    'http://localhost?scope=atproto+rpc%3Aa.b.c%3Faud%3Ddid%3Aweb%3Ax.y#z',
    'HTTP://localhost',
    'http://LOCALHOST',
    'http://localhost.',
    'http://user@localhost',
    'http://localhost?client_name=x',
    'http://localhost?scope=atproto&scope=atproto',
    'http://localhost?scope=',
    'http://localhost?scope=transition%3Ageneric',
    'http://localhost?scope=atprotofoo',
    'http://localhost?redirect_uri=http%3A%2F%2Flocalhost%2Fcb',
    'http://localhost?redirect_uri=https%3A%2F%2F127.0.0.1%2Fcb',
    'http://localhost?redirect_uri=',
  ])('22.2, 5.20, 5.21 refuses %s', async (clientId) => {
    expect(await failure(() => parseLoopbackClientId(clientId))).toMatchObject({ code: 'CLIENT_INVALID' })
  })

  test('5.27 a given client_id is kept byte for byte', () => {
    const clientId = 'http://localhost/?scope=atproto%20transition:generic&redirect_uri=http://127.0.0.1/cb'
    expect(chooseClient({ clientId })).toStrictEqual({
      clientId,
      redirectUri: 'http://127.0.0.1/cb',
      scope: 'atproto transition:generic',
    })
    expect(chooseClient({ clientId, scope: 'atproto' }).scope).toBe('atproto')
  })

  test.each([
    ['5.22 a scope', { scope: 'atproto transition:generic' }, 'transition:generic'],
    ['5.23 a path', { redirectUri: REDIRECT }, REDIRECT],
    ['5.24 a port', { redirectUri: 'http://127.0.0.1:8080/' }, 'http://127.0.0.1:8080/'],
  ])('%s that the client_id does not declare', async (_, asked, named) => {
    expect(await failure(() => chooseClient({ clientId: 'http://localhost', ...asked }))).toMatchObject({
      code: 'CLIENT_INVALID',
      message: expect.stringContaining(named),
    })
  })
})

describe('a hosted client', () => {
  const choose = (clientId: string, redirectUri = 'https://app.example.com/cb') =>
    chooseClient({ clientId, redirectUri })

  test.each([HOSTED, 'https://app.example.com/%7Ex.json', 'https://app.example.com/x.json?q=1'])(
    '22.3, 5.1 client_id %s',
    (clientId) => {
      expect(choose(clientId)).toStrictEqual({ clientId, redirectUri: 'https://app.example.com/cb', scope: 'atproto' })
    },
  )

  test.each([
    'https://app.example.com:443/x.json',
    'https://app.example.com:8443/x.json',
    'https://App.Example.com/x.json',
    'https://app.example.com',
    'https://app.example.com/',
    'https://app.example.com/x/',
    'https://app.example.com/a/../x.json',
    'https://app.example.com/./x.json',
    'https://app.example.com/x.json#f',
    'https://app.example.com/x.json#',
    'https://u:p@app.example.com/x.json',
    'https://u@app.example.com/x.json',
    'https://1.2.3.4/x.json',
    'https://[::1]/x.json',
    'https://localhost/x.json',
    'https://app.local/x.json',
    'https://app/x.json',
    'http://app.example.com/x.json',
    'https://app.example.com/a b.json',
    'app.example.com/x.json',
    'did:plc:ewvi7nxzyoun6zhxrhs64oiz',
    '',
  ])('22.3, 5.1 not a client_id: %j', async (clientId) => {
    expect(await failure(() => choose(clientId))).toMatchObject({ code: 'CLIENT_INVALID' })
  })

  test.each([
    'https://app.example.com/cb',
    'https://app.example.com:8443/cb',
    'http://127.0.0.1/cb',
    'http://127.0.0.1:3000/cb',
    'http://[::1]/cb',
    'com.example.app:/cb',
    'com.example.app:/',
  ])('22.4, 5.10 redirect %s', (redirectUri) => {
    expect(choose(HOSTED, redirectUri).redirectUri).toBe(redirectUri)
  })

  test.each([
    'com.example.app:cb',
    'com.example.app://cb',
    'com.example.app:/cb#x',
    'com.example.app:/\u212ab',
    'com.example.app:/\u0000cb',
    'https://app.example.com/\u212ab',
    'https://app.example.com/c b',
    'com.example:/cb',
    'myapp:/cb',
    'https://app.example.com/cb#x',
    'https://app.example.com/cb#',
    'https://me@app.example.com/cb',
    'https:app.example.com/cb',
    'https://127.0.0.1/cb',
    'https://localhost/cb',
    'http://app.example.com/cb',
    'http://localhost/cb',
    'http://127.0.0.2/cb',
    'http://127.1/cb',
    'http:127.0.0.1:3000',
    'urn:ietf:wg:oauth:2.0:oob',
    'javascript:alert(1)',
    '/cb',
    '',
  ])('22.4, 5.11 not a redirect: %j', async (redirectUri) => {
    expect(await failure(() => choose(HOSTED, redirectUri))).toMatchObject({ code: 'CLIENT_INVALID' })
  })

  test.each([
    [HOSTED, 'https://app.example.com/cb?x=1&code=2&state=3', 'code', 'https://app.example.com/cb?x=1'],
    [undefined, 'http://127.0.0.1:8080/cb?error=x', 'error', 'http://127.0.0.1:8080/cb'],
  ])('a callback URL is no redirect URI: %s, %s', async (clientId, redirectUri, parameter, meant) => {
    expect(await failure(() => chooseClient({ clientId, redirectUri }))).toMatchObject({
      message: `a redirect URI cannot have the parameter "${parameter}", which the server adds for the callback`,
      facts: { reason: 'redirect-uri-completed', redirectUri: meant },
    })
  })

  test('needs its redirect named', async () => {
    expect(await failure(() => chooseClient({ clientId: HOSTED }))).toMatchObject({
      code: 'CLIENT_INVALID',
      facts: { reason: 'redirect-uri-needed' },
    })
  })
})

test.each([{}, { clientId: HOSTED, redirectUri: 'https://app.example.com/cb' }, { clientId: 'http://localhost' }])(
  '15.1 a scope with two spaces is refused for %j',
  async (choice) => {
    const error = await failure(() => chooseClient({ ...choice, scope: 'atproto  transition:generic' }))
    expect(error).toMatchObject({ code: 'SCOPE_INVALID' })
  },
)
