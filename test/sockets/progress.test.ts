/** The progress line of `call` at a real terminal. The server holds a response back until the line is on the screen. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { CALM, isCall } from '../support/login.ts'
import { lacks } from '../support/machine.ts'
import { screenOf } from '../support/terminal.ts'
import { runAtTerminal } from '../world/cli.ts'
import { credentialsFor, withPlace } from './matrix.ts'

const GET_SESSION = 'com.atproto.server.getSession'
const MEGABYTE = 1024 * 1024
const CONTENT = Buffer.from(Uint8Array.from({ length: 2 * MEGABYTE }, (_, index) => (index * 7) % 251))

interface Scene {
  /** A file of that name, in the folder where the command runs. */
  readonly file?: readonly [name: string, content: string | Uint8Array]
  /** In place of the nth response of `method`, from 1; `seen` resolves when the line is on the screen. */
  readonly method: string
  readonly respond: (response: Response, count: number, seen: Promise<void>) => Promise<Response>
  readonly line: string
  /** Typed when the line is on the screen. */
  readonly typed?: string
  /** Read at the end. */
  readonly result?: string
}

function play(args: string, { file, method, respond, line, typed = '', result }: Scene, env = {}) {
  return withPlace(
    async (place) => {
      const { world, home, sockets } = place
      if (file) await writeFile(join(home.path, file[0]), file[1])
      let show = () => {}
      const seen = new Promise<void>((resolve) => {
        show = resolve
      })
      let count = 0
      world.faults.httpFault = (request) => {
        if (!isCall(request) || !request.url.includes(method)) return undefined
        return async (response) => {
          if (!response.ok) return response // a nonce is asked for
          count += 1
          return respond(response, count, seen)
        }
      }
      const own = {
        ATPROTO_OAUTH_DEV: undefined,
        ATPROTO_OAUTH_PLC_URL: undefined,
        ATPROTO_OAUTH_HANDLE_RESOLVER: undefined,
      }
      const answer = async () => {
        show()
        return typed
      }
      const { code, screen } = await runAtTerminal(args, [[line, answer]], {
        home,
        env: { ...own, TERM: 'xterm', ...sockets.env, ...credentialsFor(place), ...env },
        world: { plcUrl: '', handleResolverUrl: '' } as never,
      })
      const content = result === undefined ? undefined : await readFile(join(home.path, result))
      return { code, text: screen, screen: screenOf(screen), content }
    },
    { faults: CALM },
  )
}

const REQUESTS = ['requests.jsonl', `{"nsid":"${GET_SESSION}"}\n`.repeat(3)] as const

describe.skipIf(lacks('script'))('at a terminal', () => {
  const BATCH: Scene = {
    file: REQUESTS,
    method: GET_SESSION,
    async respond(response, count, seen) {
      if (count === 2) await seen
      return response
    },
    line: '1 request done',
  }

  test('a batch has a line, and in the end only its summary', async () => {
    const args = 'call --batch requests.jsonl -o results.jsonl --concurrency 1'
    const { code, text, screen, content } = await play(args, { ...BATCH, result: 'results.jsonl' })
    expect(text).toMatch(/1 request done, (?:[\d.]+ per second, )?about 2 left/)
    expect([code, screen]).toStrictEqual([0, ['3 requests: 3 succeeded', '']])
    expect(content!.toString().match(/"status":200/g)).toHaveLength(3)
  })

  test('Ctrl-C in the middle leaves a clean line', async () => {
    const args = 'call --batch requests.jsonl -o results.jsonl --concurrency 1'
    const { code, screen } = await play(args, { ...BATCH, typed: '\x03' })
    expect(code).toBe(130)
    expect(screen[0]).toMatch(/^atproto-oauth: error: interrupted; \d requests? (?:was|were) answered/)
  })

  test('pages that go to a file', async () => {
    const page = (count: number) => Response.json(count < 3 ? { cursor: `${count}`, feed: [1, 2] } : { feed: [3] })
    const { code, text, screen, content } = await play(`call ${GET_SESSION} --paginate --items > items.jsonl`, {
      method: GET_SESSION,
      async respond(_, count, seen) {
        if (count === 3) await seen
        return page(count)
      },
      line: '2 pages, 4 items',
      result: 'items.jsonl',
    })
    expect(text).toContain('2 pages, 4 items\u001b[K')
    expect([code, screen, content!.toString()]).toStrictEqual([0, [''], '1\n2\n1\n2\n3\n'])
  })

  test('an upload', async () => {
    const { code, text, screen } = await play('call com.atproto.repo.uploadBlob --upload cat.png > blob.json', {
      file: ['cat.png', CONTENT],
      method: 'uploadBlob',
      async respond(response, _, seen) {
        await seen
        return response
      },
      line: 'sent 2.0 MB, waiting for the response',
    })
    expect([code, text.includes('sent 2.0 MB, waiting')]).toStrictEqual([0, true])
    expect(screen).toStrictEqual(['sending 2.0 MB of image/png', ''])
  })

  const DOWNLOAD: Scene = {
    method: GET_SESSION,
    async respond(_, __, seen) {
      const body = new ReadableStream({
        async start(controller) {
          controller.enqueue(CONTENT.subarray(0, MEGABYTE))
          await seen
          controller.enqueue(CONTENT.subarray(MEGABYTE))
          controller.close()
        },
      })
      return new Response(body, { headers: { 'content-length': String(CONTENT.length) } })
    },
    line: 'received 1.0 MB of 2.0 MB',
  }

  test('a download, byte for byte', async () => {
    const { code, screen, content } = await play(`call ${GET_SESSION} -o repo.car`, { ...DOWNLOAD, result: 'repo.car' })
    expect([code, screen, content!.equals(CONTENT)]).toStrictEqual([0, [''], true])
  })

  test('Ctrl-C in the middle of a download leaves a clean line', async () => {
    const { code, screen } = await play(`call ${GET_SESSION} -o repo.car`, { ...DOWNLOAD, typed: '\x03' })
    expect([code, screen.at(-1)]).toStrictEqual([130, ''])
  })
})
