/** `call --batch` on the real PDS: files, streams, the end of a run and the next one. */
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { runCli, runShell, spawnCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { expectFailure, type LoggedIn, logIn, newHome, sentByUs } from './support.ts'

const world = connectWorld()
const POSTS = 'app.bsky.feed.post'
const create = (text: string) =>
  JSON.stringify({
    id: text,
    nsid: 'com.atproto.repo.createRecord',
    params: { repo: '{did}', collection: POSTS },
    input: { record: { $type: POSTS, text, createdAt: '2026-01-02T03:04:05.000Z' } },
  })
const texts = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, index) => `post ${first + index}`)
const linesOf = (names: readonly string[]) => names.map((name) => `${create(name)}\n`).join('')
const parsed = (content: string) =>
  content
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))

/** What stands in the repository in the end, oldest first. */
async function postsOf({ account }: LoggedIn): Promise<string[]> {
  const query = new URLSearchParams({ repo: account.did, collection: POSTS, limit: '100', reverse: 'true' })
  const response = await fetch(`${world.pdsUrl}/xrpc/com.atproto.repo.listRecords?${query}`)
  const { records } = (await response.json()) as { records: { value: { text: string } }[] }
  return records.map(({ value }) => value.text)
}

test('many requests of stdin: results in order on stdout, each request sent once', async () => {
  const login = await logIn(world)
  const names = texts(1, 40)
  // The last line may lack its end.
  const stdin = linesOf(names).trimEnd()
  const { stdout, stderr, code } = await runCli(['call', '--batch', '-', '--concurrency', '8'], { ...login, stdin })
  expect({ code, stderr }).toStrictEqual({ code: 0, stderr: expect.not.stringContaining('error') })
  const uri = expect.stringMatching(`^at://${login.account.did}/${POSTS}/`)
  expect(parsed(stdout)).toMatchObject(
    names.map((id, index) => ({ line: index + 1, id, status: 200, output: { uri } })),
  )
  expect((await postsOf(login)).sort()).toStrictEqual(names.sort())
})

test('what is malformed or refused has its line, the others go on, and the exit code says so', async () => {
  const { account, home, env } = await logIn(world)
  const lines = [
    '{"nsid": "com.atproto.repo.listRecords", "params": {"repo": "{did}", "collection": "app.bsky.feed.post", "limit": 5}}',
    '{"nsid": "com.atproto.repo.listRecords", "params": {"repo": "{did}", "limit": "five"}}',
    '{"nsid": "com.atproto.repo.getRecord", "params": {"repo": "{did}", "collection": "a.b.c", "rkey": "none"}}',
    '',
    'no JSON',
    '{"nsid": "com.atproto.sync.getRepo", "params": {"did": "{did}"}}',
    '{"nsid": "app.bsky.actor.getProfile", "params": {"actor": "{did}"}}',
  ]
  await writeFile(join(home.path, 'requests.jsonl'), lines.join('\n'))
  const run = await runCli(['call', '--batch', 'requests.jsonl', '-o', 'answers.jsonl'], { home, env })
  expectFailure(run, 8, 'XRPC_ERROR')
  expect(run.stderr).toContain('3 of 6 requests failed')
  const answers = parsed(await readFile(join(home.path, 'answers.jsonl'), 'utf8'))
  expect(answers).toMatchObject([
    { line: 1, status: 200, output: { records: [] } },
    { line: 2, error: 'USAGE', message: expect.stringContaining('limit') },
    { line: 3, status: 400, error: 'RecordNotFound' },
    { line: 5, error: 'USAGE', message: expect.stringContaining('JSON') },
    { line: 6, status: 200, output: { mediaType: 'application/vnd.ipld.car', base64: expect.any(String) } },
    { line: 7, status: 200, output: { did: account.did } },
  ])
})

test('SIGTERM in the middle: sent requests have results, and --resume does the rest, each once', async () => {
  const login = await logIn(world)
  const { home } = login
  const names = texts(1, 30)
  await writeFile(join(home.path, 'all.jsonl'), linesOf(names))
  const child = spawnCli(['call', '--batch', '-', '-v'], { ...login, stdin: '\0typed' })
  const [errors, closed] = [text(child.stderr), once(child, 'close')]
  const answers = createInterface(child.stdout)
  const partial: string[] = []
  child.stdin!.write(linesOf(names.slice(0, 10)) + create('post 11').slice(0, 20))
  for await (const line of answers) {
    partial.push(line)
    if (partial.length === 10) child.kill('SIGTERM') // it waits for the end of the eleventh line
  }
  expect(await closed).toStrictEqual([143, null])
  expect(await errors).toMatch(/error: interrupted; 10 requests were answered \[INTERRUPTED\]/)
  expect(await postsOf(login)).toHaveLength(10)

  // A crash would also have cut off what it was writing.
  const path = join(home.path, 'answers.jsonl')
  await writeFile(path, `${partial.slice(0, 10).join('\n')}\n{"line":11,"sta`)
  const resume = ['call', '--batch', 'all.jsonl', '-o', 'answers.jsonl', '--resume']
  const resumed = await runCli(resume, login)
  expect(resumed).toMatchObject({
    code: 0,
    stdout: '',
    stderr: expect.stringContaining('10 requests already answered'),
  })
  expect(parsed(await readFile(path, 'utf8'))).toMatchObject(names.map((id, index) => ({ line: index + 1, id })))
  expect((await postsOf(login)).sort()).toStrictEqual([...names].sort())

  await world.clearRequests()
  expect(await runCli(resume, login)).toMatchObject({ code: 0 })
  expect(await sentByUs(world)).toStrictEqual([])
  const again = await runCli(resume.slice(0, -1), login)
  expectFailure(again, 2, 'USAGE')
  expect(again.stderr).toContain('--resume')
})

test.skipIf(process.platform !== 'linux').each([
  ['-o /dev/full', '/dev/full'],
  ['> /dev/full', 'the output'],
])('results that cannot be written (%s): what was sent is said, and nothing more is sent', async (where, what) => {
  const login = await logIn(world)
  await writeFile(join(login.home.path, 'all.jsonl'), linesOf(texts(1, 30)))
  const { code, stderr } = await runShell(`atproto-oauth call --batch all.jsonl --concurrency 3 ${where}`, login)
  const sent = (await postsOf(login)).length
  expect(sent).toBeLessThan(30)
  expect(stderr).toContain(
    `error: cannot write ${what}: no space left on device; ${sent} requests were sent, but their`,
  )
  expect(stderr).toMatch(/results were not written \((?:among )?lines 1 to \d+\) \[OUTPUT_FAILED\]\n/)
  expect(stderr).toMatch(/hint: .*find out what those requests did before you (?:resume|send them again)/)
  expect(code).toBe(10)
})

test.skipIf(process.platform !== 'linux')(
  'a signal while the last requests are awaited: what could not be written is said',
  async () => {
    const did = 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa'
    const arrived: ServerResponse[] = []
    // In place of the PDS: answers the first request, and no other.
    const silent = createHttpServer((request, response) => {
      const service = [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: origin }]
      response.setHeader('content-type', 'application/json')
      if (request.url?.startsWith('/did:')) response.end(JSON.stringify({ id: did, service }))
      else if (arrived.push(response) === 1) response.end('{}')
    })
    await once(silent.listen(0, '127.0.0.1'), 'listening')
    onTestFinished(() => void silent.close().closeAllConnections())
    const origin = `http://localhost:${(silent.address() as AddressInfo).port}`
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
    const credentials = {
      ATPROTO_OAUTH_DID: did,
      ATPROTO_OAUTH_DPOP_PRIVATE_JWK: JSON.stringify(key),
      ATPROTO_OAUTH_PDS_ISSUER: origin,
      ATPROTO_OAUTH_CLIENT_ID: 'http://localhost',
      ATPROTO_OAUTH_ACCESS_TOKEN: 'x',
      ATPROTO_OAUTH_PLC_URL: origin,
    }
    const child = spawnCli(['call', '--batch', '-', '-o', '/dev/full'], {
      home: await newHome(),
      env: credentials,
      stdin: linesOf(texts(1, 30)),
    })
    let said = ''
    for await (const piece of child.stderr.setEncoding('utf8')) {
      said += piece
      if (said.includes('waiting for the requests that were sent')) child.kill('SIGINT')
    }
    expect(said).toContain(
      'error: cannot write /dev/full: no space left on device; 1 request was sent, but its result was not',
    )
    expect(said).toContain('(line 1), and some had no response yet [OUTPUT_FAILED]')
    expect(arrived.length).toBeLessThan(30)
  },
)

test('a reader that has had enough is told how many more were sent', async () => {
  const login = await logIn(world)
  await writeFile(join(login.home.path, 'all.jsonl'), linesOf(texts(1, 500)))
  const { stdout, stderr } = await runShell('atproto-oauth call --batch all.jsonl | head -n 1', login)
  expect(parsed(stdout)).toMatchObject([{ line: 1 }])
  const sent = (await postsOf(login)).length
  expect(sent).toBeLessThan(100)
  const counts = stderr.match(/(\d+) requests? (?:was|were) answered; (\d+) more requests? (?:was|were) sent, but/)
  expect(Number(counts?.[1]) + Number(counts?.[2])).toBe(sent)
})

test('a session that has ended, and a network that is away, end a batch before its first line', async () => {
  const login = await logIn(world)
  const stdin = linesOf(texts(1, 20))
  const nobody = createServer().listen(0, '127.0.0.1')
  await once(nobody, 'listening')
  const { port } = nobody.address() as AddressInfo
  nobody.close()
  const env = { ...login.env, ATPROTO_OAUTH_PLC_URL: `http://127.0.0.1:${port}` }
  const away = await runCli(['call', '--batch', '-'], { ...login, stdin, env })
  expectFailure(away, 3, 'NETWORK_UNREACHABLE')
  expect(away.stderr).toContain('connection refused; no requests were answered')

  expect(await runCli(['revoke'], login)).toMatchObject({ code: 0 })
  expectFailure(await runCli(['call', '--batch', '-'], { ...login, stdin }), 5, 'SESSION_DEAD')
})

test.each([
  [['--concurrency', '0'], 'from 1 to 32'],
  [['--concurrency', '33'], 'from 1 to 32'],
  [['--resume'], '-o results.jsonl'],
])('%j is refused', async (options, message) => {
  const home = await newHome()
  const refused = await runCli(['call', '--batch', '-', ...options], { home, stdin: '' })
  expectFailure(refused, 2, 'USAGE')
  expect(refused.stderr).toContain(message)
})

test.each([
  ['.', '"."'],
  ['- < .', 'stdin'],
])('a directory (%s) has no lines', async (input, what) => {
  const { code, stdout, stderr } = await runShell(`atproto-oauth call --batch ${input}`, await logIn(world))
  expect(stderr).toContain(`cannot read ${what}: is a directory [USAGE]`)
  expect([code, stdout]).toStrictEqual([2, ''])
})

test.skipIf(process.platform !== 'linux').each([
  ['/proc/self/mem', '"/proc/self/mem"'],
  ['- < /proc/self/mem', 'stdin'],
])('reading of %s fails: said, with how far the batch got', async (input, what) => {
  const { code, stderr } = await runShell(`atproto-oauth call --batch ${input}`, await logIn(world))
  expect(stderr).toContain(`cannot read ${what}: input/output error; no requests were answered [USAGE]`)
  expect(stderr).toContain('hint: check the disk or the network share, then run the same command again\n')
  expect(code).toBe(2)
})
