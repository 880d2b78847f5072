/** `doctor` against the real PDS and PLC directory. */
import { readdir } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import type { Finding } from '../../src/ports.ts'
import { type CliResult, runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { logIn, newHome, sentByUs } from './support.ts'

const world = connectWorld()

function findings({ stdout }: CliResult): Finding[] {
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Finding)
}
const broken = (result: CliResult) => findings(result).filter(({ verdict }) => verdict !== 'ok')

test('a new account on the real servers is well; nothing was stored, and no token request was sent', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  await world.clearRequests()
  const result = await runCli(['doctor', account.handle], { home })
  expect(result.stdout.trimEnd()).not.toMatch(/^(?!ok {2})/m)
  expect(result.code).toBe(0)
  for (const topic of ['PDS', 'PDS metadata', 'server metadata', 'pushed request', 'clock']) {
    expect(result.stdout).toMatch(
      RegExp(`^ok {2}${topic} {2,}${topic === 'pushed request' || topic === 'clock' ? '' : world.pdsUrl}`, 'm'),
    )
  }
  expect((await sentByUs(world)).sort()).toStrictEqual([
    'GET pds /.well-known/oauth-authorization-server',
    'GET pds /.well-known/oauth-protected-resource',
    'GET pds /xrpc/_health',
    'GET pds /xrpc/com.atproto.identity.resolveHandle',
    'GET pds /xrpc/com.atproto.sync.getRepoStatus',
    `GET plc /${account.did}`,
    // The first gets a response with a nonce.
    'POST pds /oauth/par',
    'POST pds /oauth/par',
  ])
  // Newer versions of Node keep the compiled program there.
  expect((await readdir(home.path)).filter((name) => name !== '.cache')).toStrictEqual([])
})

test('a session is looked at without its token, and works afterwards', async () => {
  const { account, home, env } = await logIn(world)
  await world.clearRequests()
  const result = await runCli(['doctor', '--json'], { home, env })
  expect(broken(result)).toStrictEqual([])
  expect(result.code).toBe(0)
  expect(findings(result).find(({ topic }) => topic === 'session')?.detail).toContain(account.did)
  expect((await sentByUs(world)).filter((line) => /token|revoke|getSession/.test(line))).toStrictEqual([])
  for (const secret of [env['ATPROTO_OAUTH_REFRESH_TOKEN']!, JSON.parse(env['ATPROTO_OAUTH_DPOP_PRIVATE_JWK']!).d]) {
    expect(result.stdout + result.stderr).not.toContain(secret)
  }
  expect((await runCli(['call', 'com.atproto.server.getSession'], { home, env })).code).toBe(0)
})

test('a PDS that was stopped is found as such, with all that comes before it', async () => {
  const pds = await world.startPds()
  const account = await pds.createAccount()
  await pds.stop()
  const result = await runCli(['doctor', account.did, '--json'], { home: await newHome() })
  expect(result.code).toBe(4)
  // Its handle was in its own hands too.
  expect(broken(result).map(({ verdict, topic }) => `${verdict} ${topic}`)).toStrictEqual([
    'warning handle lookup',
    'broken PDS',
  ])
  expect(findings(result).find(({ topic }) => topic === 'DID document')).toMatchObject({ verdict: 'ok' })
})

test('26.14 an account that is deactivated is found as such', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  const post = (method: string, token: string | undefined, body: object) =>
    fetch(`${world.pdsUrl}/xrpc/com.atproto.server.${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify(body),
    })
  const opened = await post('createSession', undefined, { identifier: account.handle, password: account.password })
  const { accessJwt } = (await opened.json()) as { accessJwt: string }
  expect((await post('deactivateAccount', accessJwt, {})).status).toBe(200)
  const result = await runCli(['doctor', account.did, '--json'], { home })
  expect(result.code).toBe(4)
  // This PDS no longer resolves the handle, which is only a warning.
  expect(broken(result)).toMatchObject([
    { topic: 'handle lookup', verdict: 'warning' },
    { topic: 'account', verdict: 'broken', detail: expect.stringContaining('deactivated') },
  ])
  expect(result.stderr).toContain('reactivate the account')
})

test('20.4 a proxy that rejects the connection is the first fault, with what to set', async () => {
  const proxy = createServer((_, response) => response.writeHead(407).end())
  proxy.on('connect', (_, socket) => socket.end('HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n'))
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const env = {
    HTTP_PROXY: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    NO_PROXY: '10.*,192.168.0.0/16',
  }
  try {
    const account = await world.createAccount()
    const home = await newHome()
    const result = await runCli(['doctor', account.handle, '--json'], { home, env })
    expect(result.code).toBe(4)
    const [unusable, first] = broken(result)
    expect(unusable).toMatchObject({ topic: 'proxy', verdict: 'warning', detail: expect.stringMatching(/: "10\.\*"$/) })
    expect(first).toMatchObject({ topic: 'proxy', verdict: 'broken', detail: expect.stringContaining('returned 407') })
    expect(result.stderr).toContain('put the user name and password into HTTPS_PROXY')
    expect(result.stdout + result.stderr).not.toContain('spelling')
    // A block with the address of the servers makes the way free.
    const past = { ...env, NO_PROXY: '127.0.0.0/8,localhost' }
    expect(await runCli(['doctor', account.did], { home, env: past })).toMatchObject({ code: 0 })
  } finally {
    proxy.close()
    proxy.closeAllConnections()
  }
})

test('23.3 a reverse proxy that does not say how it was called: found, with the lines for it', async () => {
  const proxy = createServer(async (request, response) => {
    const answer = await fetch(world.pdsUrl + request.url, { method: request.method!, redirect: 'manual' })
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? 'text/plain' })
    response.end(Buffer.from(await answer.arrayBuffer()))
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  try {
    const result = await runCli(['doctor', url, '--json'], { home: await newHome() })
    expect(result.code).toBe(4)
    // So does `init`, by naming this command.
    const failed = await runCli(['init', url], { home: await newHome() })
    expect(failed.code).toBe(4)
    expect(failed.stderr).toContain(`atproto-oauth doctor ${url}`)
    const [first] = broken(result)
    expect(first).toMatchObject({ topic: 'PDS metadata', detail: expect.stringContaining(`"${world.pdsUrl}"`) })
    expect(first!.fix).toContain('PDS_HOSTNAME=127.0.0.1')
    expect(first!.fix).toContain('proxy_set_header X-Forwarded-Proto http;')
    // The way goes on to the server that it names.
    expect(findings(result).map(({ topic }) => topic)).toContain('pushed request')
  } finally {
    proxy.close()
    proxy.closeAllConnections()
  }
})
