/** The headers of one request, sent by other tools to the real PDS. */
import { spawnSync } from 'node:child_process'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { describe, expect, test } from 'vitest'
import { lacks } from '../support/machine.ts'
import { runCli, runShell } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { expectFailure, logIn, sentByUs } from './support.ts'

const world = connectWorld()
const GET_SESSION = `${world.pdsUrl}/xrpc/com.atproto.server.getSession`
const CREATE_RECORD = `${world.pdsUrl}/xrpc/com.atproto.repo.createRecord`

function headersOf(text: string): Record<string, string> {
  const lines = text.split('\n').filter((line) => line !== '')
  return Object.fromEntries(lines.map((line) => line.split(': ', 2)))
}

function postOf(did: string, text: string): string {
  const record = { $type: 'app.bsky.feed.post', text, createdAt: new Date().toISOString() }
  return JSON.stringify({ repo: did, collection: 'app.bsky.feed.post', record })
}

test('12.8, 12.10 are valid once, from credentials that have to be refreshed first and from a lease', async () => {
  const { account, home, env } = await logIn(world)
  for (const credentials of [env, parse((await runCli(['lease'], { home, env })).stdout)]) {
    const { code, stdout, stderr } = await runCli(['proof', 'GET', GET_SESSION], { home, env: credentials })
    expect([code, stderr]).toStrictEqual([0, expect.stringMatching(/^atproto-oauth: warning: development mode.*\n$/)])
    const answer = await fetch(GET_SESSION, { headers: headersOf(stdout) })
    await expect(answer.json()).resolves.toMatchObject({ did: account.did })
    const again = await fetch(GET_SESSION, { headers: headersOf(stdout) })
    expect([again.status, again.headers.get('www-authenticate')]).toStrictEqual([
      401,
      expect.stringContaining('invalid_dpop_proof'),
    ])
  }

  const { stdout } = await runCli(['proof', 'post', CREATE_RECORD], { home, env })
  const headers = { ...headersOf(stdout), 'content-type': 'application/json' }
  const created = await fetch(CREATE_RECORD, { method: 'POST', headers, body: postOf(account.did, 'by fetch') })
  expect(created.status).toBe(200)
})

test('the hint for a URL that is not signed is the same request at the PDS', async () => {
  const { account, home, env } = await logIn(world)
  const url = `${world.pdsUrl}/xrpc/com.atproto.repo.describeRepo?repo=${account.did}&x=it's`
  for (const given of [url.replace('localhost', '127.0.0.1'), url.replace('/xrpc', ''), url.replace('/xrpc', '/api')]) {
    const refused = await runCli(['proof', 'get', given], { home, env })
    expectFailure(refused, 2, 'USAGE')
    const command = /hint: (atproto-oauth proof GET .+)\n$/.exec(refused.stderr)![1]!
    const { stdout, stderr } = await runShell(command, { home, env })
    const answer = await fetch(url, { headers: headersOf(stdout) })
    await expect(answer.json(), stderr).resolves.toMatchObject({ did: account.did })
  }
})

test('for another server no token is spent', async () => {
  const { account, home, env } = await logIn(world)
  await world.clearRequests()
  for (const url of [GET_SESSION.replace('localhost', '127.0.0.1'), `${world.pdsUrl}/oauth/token`, world.plcUrl]) {
    expectFailure(await runCli(['proof', 'GET', url], { home, env }), 2, 'USAGE')
  }
  // Where the account is; and with what is no XRPC not even that.
  expect(await sentByUs(world)).toStrictEqual([`GET plc /${account.did}`])
})

describe.skipIf(lacks('curl'))('curl', () => {
  test('reads them from a pipe, as --curl prints it', async () => {
    const { account, home, env } = await logIn(world)
    const pipe = await runShell(`atproto-oauth proof GET '${GET_SESSION}' | curl -s -H @- '${GET_SESSION}'`, {
      home,
      env,
    })
    expect(JSON.parse(pipe.stdout)).toMatchObject({ did: account.did })

    const url = `${world.pdsUrl}/xrpc/com.atproto.repo.listRecords?repo=${account.did}&collection=app.bsky.feed.post`
    const printed = await runCli(['proof', 'GET', url, '--curl'], { home, env })
    expect(printed.stdout).toMatch(/^atproto-oauth proof GET '.*' \| curl -H @- '.*'\n$/)
    const ran = await runShell(printed.stdout, { home, env })
    expect(JSON.parse(ran.stdout)).toMatchObject({ records: [] })
  })

  test.skipIf(process.platform !== 'linux')('is run with them, and no command line shows a secret', async () => {
    const { account, home, env } = await logIn(world)
    // What `ps` would show of every process, while both run.
    const shown = join(home.path, 'ps.txt')
    const wrapper = join(home.path, 'curl')
    const real = spawnSync('bash', ['-c', 'command -v curl']).stdout.toString().trim()
    await writeFile(
      wrapper,
      `#!/bin/sh\ncat /proc/[0-9]*/cmdline 2> /dev/null | tr '\\0' ' ' >> '${shown}'\nexec ${real} "$@"\n`,
    )
    await chmod(wrapper, 0o700)
    await writeFile(join(home.path, 'post.json'), postOf(account.did, 'by curl'))

    const run = (...args: string[]) =>
      runCli(['proof', ...args], { home, env: { ...env, PATH: `${home.path}:${process.env['PATH']}` } })
    const json = ['-H', 'content-type: application/json', '-d', '@post.json']
    const created = await run('POST', CREATE_RECORD, '--', 'curl', '-sS', '--fail', ...json, CREATE_RECORD)
    expect([created.code, JSON.parse(created.stdout).uri]).toStrictEqual([0, expect.stringContaining(account.did)])

    await writeFile(join(home.path, 'post.json'), '{}')
    const refused = await run('POST', CREATE_RECORD, '--', 'curl', '-sS', '--fail', ...json, CREATE_RECORD)
    expect([refused.code, refused.stdout]).toStrictEqual([22, ''])
    expect(refused.stderr).toContain('400')

    const words = await readFile(shown, 'utf8')
    expect(words).toContain(`/curl -sS --fail -H content-type: application/json -d @post.json ${CREATE_RECORD} -H @- `)
    expect(words).toContain(' proof POST ')
    const { stdout } = await runCli(['proof', 'GET', GET_SESSION], { home, env })
    const token = headersOf(stdout)['Authorization']!.replace('DPoP ', '')
    for (const secret of [token, env['ATPROTO_OAUTH_REFRESH_TOKEN']!, 'DPoP: ']) expect(words).not.toContain(secret)
  })
})
