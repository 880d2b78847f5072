/** `-o`: a file is replaced by a complete response, or stays as it was. */
import { execFileSync } from 'node:child_process'
import { open, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { openSink } from '../../../src/cli/call/response.ts'
import { OAuthError } from '../../../src/errors.ts'
import { tempFolder } from '../../node/helpers.ts'
import { fakeNodeRuntime, run, signIn } from '../../support/cli.ts'
import { createFakeWorld, type Fault } from '../../support/fake-atproto.ts'

vi.mock('../../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

async function callWith(words: readonly string[], fault: Fault) {
  const world = createFakeWorld()
  const env = await signIn(world)
  world.faults.httpFault = ({ url }) => (new URL(url).pathname.startsWith('/xrpc/') ? fault : undefined)
  return run(world, ['call', ...words], { env })
}

/** Both parts are larger than what is held back for stdout. */
function cutOff(answer: Response): Response {
  if (answer.status === 401) return answer
  const lost = new OAuthError('NETWORK_LOST', 'the connection broke')
  const parts = [new Uint8Array(20 * 1024 * 1024), lost]
  const body = new ReadableStream({
    pull(controller) {
      const part = parts.shift()
      if (part instanceof Uint8Array) controller.enqueue(part)
      else controller.error(part)
    },
  })
  return new Response(body, { headers: { 'content-type': 'application/vnd.ipld.car' } })
}

describe('a response that was cut off', () => {
  test.each([
    ['no file', undefined],
    ['an older file', 'old'],
  ])('leaves %s', async (_, before) => {
    const folder = await tempFolder()
    const path = join(folder, 'repo.car')
    if (before !== undefined) await writeFile(path, before)
    const { code, stderr } = await callWith(['com.atproto.sync.getRepo', 'did=did:plc:x', '-o', path], cutOff)
    expect([code, stderr]).toStrictEqual([3, expect.stringContaining('[NETWORK_LOST]')])
    expect(await readdir(folder)).toStrictEqual(before === undefined ? [] : ['repo.car'])
    if (before !== undefined) expect(await readFile(path, 'utf8')).toBe(before)
  })
})

test('an encoding that was not requested is passed on as it came, with a warning', async () => {
  const zstd = (answer: Response) =>
    answer.status === 401 ? answer : new Response('(zstd)', { headers: { 'content-encoding': 'zstd' } })
  const result = await callWith(['com.atproto.server.getSession'], zstd)
  expect([result.code, result.stdout]).toStrictEqual([0, '(zstd)'])
  expect(result.stderr).toContain(
    'warning: the response is encoded as zstd, which was not requested: it was not decoded',
  )
})

describe.runIf(process.platform === 'linux')('an output that cannot be written', () => {
  test('a query: no space is exit code 10', async () => {
    const result = await callWith(['com.atproto.server.getSession', '-o', '/dev/full'], undefined)
    expect([result.code, result.stdout]).toStrictEqual([10, ''])
    expect(result.stderr).toContain('cannot write /dev/full: no space left on device [OUTPUT_FAILED]')
  })

  test('a write was done all the same: it is not to be repeated blindly', async () => {
    const words = ['com.atproto.repo.createRecord', 'collection=app.bsky.feed.post', 'record:={}', '-o', '/dev/full']
    const result = await callWith([...words, '--method', 'POST'], () => Response.json({ uri: 'at://x' }))
    expect(result.stderr).toContain('; the request may have taken effect [OUTPUT_FAILED]')
    expect(result.stderr).toContain('hint: check whether the request took effect')
  })

  test('a named pipe whose reader has gone is no failure of ours, as on stdout', async () => {
    const path = join(await tempFolder(), 'pipe')
    execFileSync('mkfifo', [path])
    const reader = await open(path, 'r+')
    const sink = await openSink({ output: path })
    await reader.close()
    await expect(sink!.write('x')).rejects.toMatchObject({ code: 'EPIPE' })
    await sink!.discard()
  })
})

test.each([
  [
    'deactivated',
    'is deactivated at https://pds.fake.dev, and has not moved',
    'reactivate the account with its password',
  ],
  [
    'takedown',
    'is taken down at https://pds.fake.dev',
    'only the operator of https://pds.fake.dev can restore the account',
  ],
  ['accountNotFound', 'has no account at https://pds.fake.dev', 'atproto-oauth doctor did:plc:'],
] as const)('26.14 %s: 8, with the state and where it is changed', async (rsError, message, hint) => {
  const world = createFakeWorld()
  const env = await signIn(world)
  world.faults.rsError = rsError
  for (const args of [
    ['call', 'com.atproto.server.getSession'],
    ['proof', 'GET', 'https://pds.fake.dev/xrpc/com.atproto.server.getSession'],
  ]) {
    const { code, stdout, stderr } = await run(world, args, { env })
    expect([code, stdout]).toStrictEqual([8, ''])
    expect(stderr).toContain(message)
    expect(stderr).toContain('session: unknown')
    expect(stderr).toContain(hint)
  }
})
