import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { bringOpener, expectFailure, newHome } from './support.ts'

const world = connectWorld()

function clientOf(stdout: string): URLSearchParams {
  const clientId = new URL(stdout.trim()).searchParams.get('client_id')!
  return new URL(clientId).searchParams
}

describe('settings of init', () => {
  test('each is a variable, and a flag beats it', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const env = {
      ATPROTO_OAUTH_SCOPE: 'atproto transition:email\r\n',
      ATPROTO_OAUTH_REDIRECT_URI: 'http://127.0.0.1/cb',
    }
    const byVariable = clientOf((await runCli(['init', account.handle], { home, env })).stdout)
    expect([byVariable.get('scope'), byVariable.get('redirect_uri')]).toStrictEqual([
      'atproto transition:email',
      'http://127.0.0.1/cb',
    ])
    const byFlag = clientOf((await runCli(['init', account.handle, '--scope', 'atproto'], { home, env })).stdout)
    expect(byFlag.get('scope')).toBe('atproto')
  })

  test('with a session in the environment a new login can ask for something else', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const env = {
      ATPROTO_OAUTH_CLIENT_ID: 'http://localhost?redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback&scope=atproto',
    }
    const more = await runCli(['init', account.handle, '--scope', 'atproto transition:generic'], { home, env })
    expect(clientOf(more.stdout).get('scope')).toBe('atproto transition:generic')
    const flag = ['--client-id', env.ATPROTO_OAUTH_CLIENT_ID]
    const clash = await runCli(['init', account.handle, ...flag, '--scope', 'transition:generic'], { home })
    expectFailure(clash, 2, 'CLIENT_INVALID')
  })

  test.each([
    [{ ATPROTO_OAUTH_DEV: 'yes please' }, 'ATPROTO_OAUTH_DEV'],
    [{ ATPROTO_OAUTH_PLC_URL: 'https://plc.directory/x' }, '--plc-url'],
    [{ ATPROTO_OAUTH_HANDLE_RESOLVER: 'public.api.bsky.app' }, '--handle-resolver'],
  ])('%o is refused by name', async (env, name) => {
    const result = await runCli(['init', 'alice.test'], { home: await newHome(), env })
    expectFailure(result, 2, 'USAGE')
    expect(result.stderr).toContain(name)
  })

  test('a proxy without a scheme is one, a proxy of another kind is refused by name', async () => {
    const home = await newHome()
    const dead = { HTTP_PROXY: '127.0.0.1:1' }
    expectFailure(await runCli(['init', 'alice.test'], { home, env: dead }), 3, 'NETWORK_UNREACHABLE')
    for (const value of ['socks5://me:pass@127.0.0.1:1', ':::']) {
      const result = await runCli(['init', 'alice.test'], { home, env: { https_proxy: value } })
      expectFailure(result, 2, 'USAGE')
      expect(result.stderr).toContain('https_proxy')
      expect(result.stderr).not.toContain('pass')
    }
  })

  test('a home that cannot be written to', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    await writeFile(join(home.path, 'file'), '')
    const env = { ATPROTO_OAUTH_HOME: join(home.path, 'file', 'below') }
    expectFailure(await runCli(['init', account.handle], { home, env }), 2, 'STORE_UNAVAILABLE')
  })

  test('8.4 --open hands the URL to the browser as one argument', async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const opener = await bringOpener(home)
    const { stdout, code } = await runCli(['init', account.handle, '--open'], { home, env: opener.env })
    expect(code).toBe(0)
    expect(await opener.opened()).toBe(`1\n${stdout}`)
  })
})
