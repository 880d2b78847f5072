import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { fakeNodeRuntime, run, signIn } from '../../support/cli.ts'
import { createFakeWorld, type FakeWorld } from '../../support/fake-atproto.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

let world: FakeWorld
let env: Record<string, string>
let url: string
beforeAll(async () => {
  world = createFakeWorld()
  env = await signIn(world)
  url = `${world.pds}/xrpc/app.bsky.actor.getProfile?actor=alice.fake.dev`
})

/** The lines, as curl reads them. */
function headersOf(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split(': ', 2)),
  )
}

test('two lines, which are the headers of the request', async () => {
  const { code, stdout, stderr } = await run(world, ['proof', 'get', url], { env })
  expect([code, stderr]).toStrictEqual([0, ''])
  expect(stdout).toMatch(/^Authorization: DPoP \S+\nDPoP: \S+\n$/)
  expect((await world.fetch(new URL(url), { headers: headersOf(stdout) })).status).toBe(200)
})

test('what cannot be signed leaves stdout empty', async () => {
  for (const [method, target, hint] of [
    ['GET', 'https://evil.dev/xrpc/x.y.z', `GET ${world.pds}/xrpc/x.y.z`],
    ['FETCH', url, '--help'],
    ['GET', `${world.pds}/oauth/token`, '--help'],
  ] as const) {
    const { code, stdout, stderr } = await run(world, ['proof', method, target], { env })
    expect([code, stdout]).toStrictEqual([2, ''])
    expect(stderr).toContain(`hint: atproto-oauth proof ${hint}\n`)
  }
})

describe('--curl', () => {
  test('is a command without a secret, with the flags of this run; nothing is sent for it', async () => {
    const before = world.requests.length
    const args = ['proof', 'POST', `${url}&q='x'`, '--curl', '--home', '/my home', '--save', 'file:a b', '--dev']
    const { code, stdout } = await run(world, args, { env })
    const quoted = `'${url}&q='\\''x'\\'''`
    expect(stdout).toBe(
      `atproto-oauth proof POST ${quoted} --save 'file:a b' --home '/my home' --dev | curl -X POST -H @- ${quoted}\n`,
    )
    expect([code, world.requests.length]).toStrictEqual([0, before])
    const { stdout: get } = await run(world, ['proof', 'get', url, '--curl'], { env })
    expect(get).toBe(`atproto-oauth proof GET '${url}' | curl -H @- '${url}'\n`)
    const { stdout: head } = await run(world, ['proof', 'HEAD', url, '--curl'], { env })
    expect(head).toBe(`atproto-oauth proof HEAD '${url}' | curl --head -H @- '${url}'\n`)
  })

  test('names the account that was named', async () => {
    await run(world, ['refresh'], { env })
    const { stdout } = await run(world, ['proof', 'GET', url, '--curl', '--account', world.alice.did])
    expect(stdout).toContain(` --account ${world.alice.did} | curl `)
  })

  test('is not for another server', async () => {
    const { code, stdout } = await run(world, ['proof', 'GET', 'https://evil.dev/xrpc/x.y.z', '--curl'], { env })
    expect([code, stdout]).toStrictEqual([2, ''])
  })
})

describe('-- curl', () => {
  let folder: string
  const seen = () => readFile(join(folder, 'seen'), 'utf8')
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'atproto-oauth-curl-'))
    const script = `#!/bin/sh\n{ for word in "$@"; do echo "$word"; done; env; cat; } > '${folder}/seen'\nexit 22\n`
    await writeFile(join(folder, 'curl'), script)
    await chmod(join(folder, 'curl'), 0o700)
  })
  afterAll(() => rm(folder, { recursive: true }))

  test('has the headers on its stdin, nothing of ours in its environment, and the last word', async () => {
    vi.stubEnv('ATPROTO_OAUTH_REFRESH_TOKEN', 'x')
    const command = [`${folder}/curl`, '-s', '--json', 'x', '-q', '--', url]
    const args = ['proof', '--account', world.alice.did, 'GET', url, '--quiet', '--', ...command]
    const { code, stdout, stderr } = await run(world, args, { env: { ...env, PATH: process.env['PATH']! } })
    expect([code, stdout, stderr]).toStrictEqual([22, '', ''])
    expect(await seen()).toMatch(RegExp(`^-s\n--json\nx\n-q\n--\n${url.replace('?', '\\?')}\n-H\n@-\n`))
    const [lines] = /Authorization: DPoP .*\nDPoP: .*\n$/.exec(await seen())!
    expect((await world.fetch(new URL(url), { headers: headersOf(lines) })).status).toBe(200)
    expect(await seen()).not.toContain('ATPROTO_OAUTH')
    vi.unstubAllEnvs()
  })

  test.each([
    [['wget', '-q'], 'is not supported'],
    [['xcurl'], 'is not supported'],
    [['curl', '-d', '@-'], 'reads the headers from stdin'],
    [['curl', '--data-binary=@-'], 'reads the headers from stdin'],
    [['curl', '-T', '-'], 'reads the headers from stdin'],
    [['/nowhere/curl'], 'it is not installed'],
  ])('%j', async (command, message) => {
    const before = world.requests.length
    const { code, stderr } = await run(world, ['proof', 'GET', url, '--', ...command], { env })
    expect(code).toBe(2)
    expect(stderr).toContain(message)
    if (command[0] !== '/nowhere/curl') expect(world.requests).toHaveLength(before)
  })

  test('not together with --curl', async () => {
    expect(await run(world, ['proof', 'GET', url, '--curl', '--', 'curl'], { env })).toMatchObject({ code: 2 })
  })
})
