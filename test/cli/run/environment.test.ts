import { expect, test } from 'vitest'
import { frontVariables, programEnvironment } from '../../../src/cli/run/environment.ts'
import { findProgram } from '../../../src/cli/run/programs.ts'
import { parseVariable } from '../../../src/cli/run/templates.ts'

const ACCESS = {
  url: 'http://127.0.0.1:41234',
  host: '127.0.0.1:41234',
  handle: 'alice.example.com',
  did: 'did:plc:abc',
  password: 'aaaa-bbbb-cccc-dddd',
}
const variables = (added: readonly string[] = [], program?: string) =>
  frontVariables(ACCESS, program === undefined ? undefined : findProgram(program), added.map(parseVariable))

test('what was inherited, without our variables, and what it needs to sign in', () => {
  const inherited = {
    PATH: '/bin',
    GITHUB_TOKEN: 'theirs',
    ATPROTO_OAUTH_SESSION: 'secret',
    ATPROTO_OAUTH_VAULT_KEY: 'secret',
    ATPROTO_OAUTH_RUN_URL: 'http://127.0.0.1:1',
    atproto_oauth_refresh_token: 'secret',
  }
  expect(programEnvironment(inherited, variables(), 'linux')).toStrictEqual({
    PATH: '/bin',
    GITHUB_TOKEN: 'theirs',
    ATPROTO_OAUTH_RUN_URL: ACCESS.url,
    ATPROTO_OAUTH_RUN_HANDLE: ACCESS.handle,
    ATPROTO_OAUTH_RUN_DID: ACCESS.did,
    ATPROTO_OAUTH_RUN_PASSWORD: ACCESS.password,
  })
})

test('--env comes after --as, and both after what was inherited', () => {
  const given = variables(['GOAT_USERNAME={handle}', 'OTHER=x'], 'GOAT')
  const environment = programEnvironment({ GOAT_USERNAME: 'old', ATP_PDS_HOST: 'old' }, given, 'linux')
  expect(environment).toMatchObject({ GOAT_USERNAME: ACCESS.handle, ATP_PDS_HOST: ACCESS.url, OTHER: 'x' })
})

test('on Windows, one that differs in its case is replaced', () => {
  const environment = programEnvironment({ Bsky_Host: 'old' }, variables(['BSKY_HOST={url}']), 'win32')
  expect(environment).not.toHaveProperty('Bsky_Host')
  expect(environment).toMatchObject({ BSKY_HOST: ACCESS.url })
  expect(programEnvironment({ bsky_host: 'x' }, variables(['BSKY_HOST=y']), 'linux')).toMatchObject({ bsky_host: 'x' })
})

test.each([
  [{}, undefined, undefined],
  [{ HTTP_PROXY: '' }, undefined, undefined],
  [{ HTTP_PROXY: 'http://p:1' }, '127.0.0.1,localhost', '127.0.0.1,localhost'],
  [{ all_proxy: 'socks5://p:1' }, '127.0.0.1,localhost', '127.0.0.1,localhost'],
  [{ no_proxy: 'a.dev, b.dev localhost' }, 'a.dev,b.dev,localhost,127.0.0.1', 'a.dev,b.dev,localhost,127.0.0.1'],
  [{ https_proxy: 'http://p:1', NO_PROXY: 'a', no_proxy: 'b' }, 'a,b,127.0.0.1,localhost', 'a,b,127.0.0.1,localhost'],
  [{ HTTPS_PROXY: 'http://p:1', NO_PROXY: '*' }, '*', undefined],
])('a proxy does not get what is for the front: %j', (inherited, upper, lower) => {
  const environment = programEnvironment(inherited, [], 'linux')
  expect([environment['NO_PROXY'], environment['no_proxy']]).toStrictEqual([upper, lower])
})
