import { expect, test } from 'vitest'
import type { Body } from '../../src/ports.ts'
import { PRIMING, withPriming } from '../../src/session/priming.ts'

const PATH = '/xrpc/com.atproto.repo.uploadBlob'
const PRIMED = `/xrpc/${PRIMING}`
const SMALL = 'x'.repeat(64 * 1024)
const LARGE = `${SMALL}x`

/** Sends by way of priming, and the paths that were asked for. */
function primed(answer: () => Response = () => new Response('{}')) {
  const clock = { time: 0, now: () => clock.time }
  const paths: string[] = []
  const send = withPriming(async (path) => {
    paths.push(path)
    return answer()
  }, clock)
  return { clock, paths, upload: (body?: Body) => send(PATH, { method: 'POST' }, body) }
}

test.each([
  ['no body', undefined, [PATH]],
  ['a small body', SMALL, [PATH]],
  ['a large body', LARGE, [PRIMED, PATH]],
  ['large bytes', new TextEncoder().encode(LARGE), [PRIMED, PATH]],
  ['a large blob', new Blob([LARGE]), [PRIMED, PATH]],
  ['a stream', new ReadableStream<Uint8Array>(), [PRIMED, PATH]],
])('%s at first', async (_, body, expected) => {
  const { upload, paths } = primed()
  await upload(body)
  expect(paths).toStrictEqual(expected)
})

test('a large body soon after another response is sent alone, a stream never is', async () => {
  const { upload, paths, clock } = primed()
  await upload(SMALL)
  clock.time = 59_999
  await upload(LARGE)
  await upload(new ReadableStream<Uint8Array>())
  expect(paths).toStrictEqual([PATH, PATH, PRIMED, PATH])
})

test.each([60_000, -60_000])('a large body after %i milliseconds is primed again', async (pause) => {
  const { upload, paths, clock } = primed()
  await upload(SMALL)
  clock.time = pause
  await upload(LARGE)
  expect(paths).toStrictEqual([PATH, PRIMED, PATH])
})

test('the response to the small request is not read, so its body is discarded', async () => {
  const bodies: string[] = []
  const { upload } = primed(
    () => new Response(new ReadableStream({ cancel: () => void bodies.push('cancelled') }, { highWaterMark: 0 })),
  )
  await upload(LARGE)
  expect(bodies).toStrictEqual(['cancelled'])
})

test('a failure of the small request is that of the whole', async () => {
  const { upload, paths } = primed(() => {
    throw new Error('unreachable')
  })
  await expect(upload(LARGE)).rejects.toThrow('unreachable')
  expect(paths).toStrictEqual([PRIMED])
})
