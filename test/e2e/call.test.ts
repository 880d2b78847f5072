import { lstat, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { lacks } from '../support/machine.ts'
import { unrecognizable } from '../support/media.ts'
import {
  type CliOptions,
  type CliResult,
  createHome,
  type Home,
  runAtTerminal,
  runCli,
  runShell,
} from '../world/cli.ts'
import { type Account, connectWorld } from '../world/world.ts'
import { expectFailure, keptInStore, sentByUs } from './support.ts'

const world = connectWorld()
const POST = 'app.bsky.feed.post'
const CREATE = ['call', 'com.atproto.repo.createRecord', 'repo={did}', `collection=${POST}`]
let account: Account
/** One session for the whole file, in the store. */
let home: Home

beforeAll(async () => {
  ;({ account, home } = await keptInStore(world))
  return () => home.remove()
})

const run = (args: readonly string[], options: Partial<CliOptions> = {}): Promise<CliResult> =>
  runCli(args, { home, ...options })
const json = async (args: readonly string[], options: Partial<CliOptions> = {}) => {
  const result = await run(args, options)
  expect(result).toMatchObject({ code: 0 })
  return JSON.parse(result.stdout)
}
const record = (text: string) => JSON.stringify({ text, createdAt: '2026-01-02T03:04:05Z' })
const textOf = async (uri: string) => {
  const [, , repo, collection, rkey] = uri.split('/')
  return (
    await json(['call', 'com.atproto.repo.getRecord', `repo=${repo}`, `collection=${collection}`, `rkey=${rkey}`])
  ).value.text
}

describe('requests', () => {
  test('fields typed by the method, JSON, files and stdin; fields win over -d', async () => {
    await writeFile(join(home.path, 'post.json'), record('from a file'))
    const ways: [args: string[], options: Partial<CliOptions>, text: string][] = [
      [[...CREATE, `record=${record('typed')}`], {}, 'typed'],
      [[...CREATE, `record:=${record('as JSON')}`, 'validate=true'], {}, 'as JSON'],
      [[...CREATE, 'record=@post.json'], {}, 'from a file'],
      [[...CREATE, 'record=@-'], { stdin: record('from stdin') }, 'from stdin'],
      [[...CREATE, '-d', `{"collection":"a.b.c","record":${record('merged')}}`], {}, 'merged'],
      [
        ['call', 'com.atproto.repo.createRecord', '-d', '@-'],
        { stdin: `{"repo":"{did}","collection":"${POST}","record":${record('{did}, literally')}}` },
        '{did}, literally',
      ],
    ]
    for (const [args, options, text] of ways) expect(await textOf((await json(args, options)).uri)).toBe(text)
  })

  test('what is wrong is said before anything is sent, and nothing is printed', async () => {
    await writeFile(join(home.path, 'bytes.bin'), Buffer.of(0xff, 0xfe))
    await world.clearRequests()
    const list = ['call', 'com.atproto.repo.listRecords', 'repo={did}']
    const wrong: [args: string[], why: string][] = [
      [[...list, `collection=${POST}`, 'limit=abc'], 'a whole number'],
      [list, 'requires collection'],
      [[...list, `collection=${POST}`, 'limt=5'], 'has no field "limt"'],
      [[...CREATE, 'record=@nobody.here'], 'hint: correct the path'],
      [['call', 'app.bsky.actor.getProfile', 'actor=@alice.test'], 'without @: actor=alice.test'],
      [['call', 'com.atproto.repo.uploadBlob', '--upload', '.'], 'is not a file'],
      [['call', 'com.atproto.repo.uploadBlob', '-d', '@bytes.bin'], 'for a binary file, use --upload'],
      [['call', 'com.atproto.repo.uploadBlob'], '--upload'],
      [['call', 'com.atproto.repo.uploadBlob', '--upload', 'none.png'], 'none.png'],
      [['call', 'com.atproto.repo.uploadBlob', '--upload', '-'], 'media type'],
      [['call', 'com.atproto.sync.subscribeRepos'], 'WebSocket'],
      [['call'], 'the method is missing'],
      [[...list, `collection=${POST}`, '-o', '/nowhere/at/all'], 'cannot write'],
      [[...list, `collection=${POST}`, '-o', ''], '-o needs a file name'],
      [['call', 'app.bsky.actor.getProfile', 'actor={did}', '--proxy', 'nobody'], 'did#service'],
    ]
    const check = async ([args, why]: (typeof wrong)[number]) => {
      const result = await run(args)
      expectFailure(result, 2, 'USAGE')
      expect(result.stderr).toContain(why)
    }
    await Promise.all(wrong.map(check))
    expect(await sentByUs(world)).toStrictEqual([])
  })

  test('26.1 a method that is closed to OAuth sessions is sent with a warning, and the server decides', async () => {
    const result = await run(['call', 'com.atproto.server.createAppPassword', 'name=x'])
    expectFailure(result, 8, 'XRPC_ERROR')
    expect(result.stderr).toContain('warning: com.atproto.server.createAppPassword: the server is likely to reject it')
    expect(result.stderr).toContain(': this server rejects it for OAuth sessions')
    expect(result.stderr).toContain('returned 403 Forbidden')
    expect(result.stderr).toContain('hint: use a sign-in with that password')
  })

  test('--dry-run shows the request without its secrets, and sends nothing', async () => {
    await world.clearRequests()
    const { stdout, code } = await run([...CREATE, `record=${record('not now')}`, '-H', 'x-mine: 1', '--dry-run'])
    expect(code).toBe(0)
    expect(stdout).toBe(
      `POST ${world.pdsUrl}/xrpc/com.atproto.repo.createRecord\ncontent-type: application/json\nx-mine: 1\naccept: application/json, */*;q=0.8\n\n` +
        `${JSON.stringify({ repo: account.did, collection: POST, record: JSON.parse(record('not now')) })}\n`,
    )
    expect((await run(['call', 'chat.bsky.convo.listConvos', '--dry-run'])).stdout).toContain(
      'atproto-proxy: did:web:api.bsky.chat#bsky_chat',
    )
    expect(await sentByUs(world)).toStrictEqual([])
  })

  test('{handle} and {pds} are found for a session that does not know them', async () => {
    const fields = ['repo={handle}', `collection=${POST}`]
    expect(await json(['call', 'com.atproto.repo.listRecords', ...fields])).toHaveProperty('records')
    const { stdout } = await run(['call', 'com.example.echo', 'at={pds}', '--dry-run'])
    expect(stdout).toContain(encodeURIComponent(world.pdsUrl))
  })
})

describe('uploads', () => {
  test('18.6 five megabytes: the first signed attempt works, after a nonce that is good', async () => {
    await writeFile(join(home.path, 'cat.png'), unrecognizable(5_000_000))
    await writeFile(join(home.state, 'nonces', (await readdir(join(home.state, 'nonces')))[0]!), '{}')
    await world.clearRequests()
    const { blob } = await json(['call', 'com.atproto.repo.uploadBlob', '--upload', 'cat.png'])
    expect(blob).toMatchObject({ mimeType: 'image/png', size: 5_000_000 })
    const sent = await sentByUs(world)
    expect(sent.filter((line) => line.includes('uploadBlob'))).toHaveLength(1)
    expect(sent).toContain('GET pds /xrpc/com.atproto.server.getSession')
  })

  test('a small file in one request, and stdin with its type', async () => {
    await writeFile(join(home.path, 'note.txt'), 'hello')
    await world.clearRequests()
    const upload = ['call', 'com.atproto.repo.uploadBlob', '--upload']
    expect((await json([...upload, 'note.txt'])).blob).toMatchObject({ mimeType: 'text/plain', size: 5 })
    expect((await json([...upload, '-', '-H', 'content-type: text/vtt'], { stdin: 'WEBVTT' })).blob).toMatchObject({
      mimeType: 'text/vtt',
      size: 6,
    })
  })
})

describe('responses', () => {
  const exported = () => run(['call', 'com.atproto.sync.getRepo', 'did={did}'])

  test('-o writes the complete response, or leaves the file unchanged', async () => {
    const path = join(home.path, 'repo.car')
    await writeFile(path, 'before')
    expectFailure(
      await run(['call', 'com.atproto.sync.getRepo', 'did=did:web:nobody.test', '-o', 'repo.car']),
      8,
      'XRPC_ERROR',
    )
    expect(await readFile(path, 'utf8')).toBe('before')
    const saved = await run(['call', 'com.atproto.sync.getRepo', 'did={did}', '-o', 'repo.car'])
    expect(saved).toMatchObject({ code: 0, stdout: '' })
    expect(await readFile(path)).toStrictEqual((await exported()).stdoutBytes)
    expect((await readdir(home.path)).filter((name) => name.endsWith('.part'))).toStrictEqual([])
  })

  test('-o: a file keeps its mode, a link leads to its file, and a pipe stays a pipe', async () => {
    const [file, link, pipe] = ['kept.json', 'link.json', 'pipe'].map((name) => join(home.path, name))
    await writeFile(file!, 'before', { mode: 0o600 })
    await symlink('kept.json', link!)
    const ask = 'atproto-oauth call com.atproto.server.getSession -o'
    const { stdout, code } = await runShell(
      `mkfifo pipe; ${ask} link.json && { ${ask} pipe & timeout 30 cat pipe; wait $!; }`,
      {
        home,
      },
    )
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ did: account.did })
    expect(await readFile(file!, 'utf8')).toBe(stdout)
    expect((await stat(file!)).mode & 0o777).toBe(0o600)
    expect((await lstat(link!)).isSymbolicLink()).toBe(true)
    expect((await stat(pipe!)).isFIFO()).toBe(true)
  })

  test.skipIf(lacks('script'))('bytes are not for a terminal, unless somebody insists', async () => {
    const refused = await runAtTerminal("call com.atproto.sync.getRepo 'did={did}'", [], { home })
    expect(refused).toMatchObject({ code: 2, screen: expect.stringContaining('application/vnd.ipld.car') })
    const insisted = await runAtTerminal("call com.atproto.sync.getRepo 'did={did}' -o -", [], { home })
    expect(insisted.code).toBe(0)
  })

  test('--pretty', async () => {
    const { stdout } = await run(['call', 'com.atproto.server.getSession', '--pretty'])
    expect(stdout).toMatch(/^\{\n {2}"/)
    expect(JSON.parse(stdout)).toMatchObject({ did: account.did })
  })
})

describe('what there is', () => {
  test('--list and --describe, without a session and a network', async () => {
    const nobody = await createHome()
    try {
      const list = await run(['call', '--list', 'com.atproto.repo.l'], { home: nobody })
      expect(list.stdout).toBe('com.atproto.repo.listMissingBlobs  query\ncom.atproto.repo.listRecords       query\n')
      const { stdout } = await run(['call', 'com.atproto.repo.listRecords', '--describe'], { home: nobody })
      expect(stdout).toContain('collection           text, required')
      expect(stdout).toContain(
        'example: atproto-oauth call com.atproto.repo.listRecords repo={did} collection=app.bsky.feed.post',
      )
      expectFailure(await run(['call', '--list', 'com.nobody'], { home: nobody }), 2, 'USAGE')
    } finally {
      await nobody.remove()
    }
  })
})
