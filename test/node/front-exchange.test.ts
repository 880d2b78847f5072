/** From a program over the front and the HTTP client to a server, all on real sockets. */
import { once } from 'node:events'
import http, { type RequestListener } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { createFront } from '../../src/front/front.ts'
import { parsePermit } from '../../src/front/permit.ts'
import type { PlaceLimits } from '../../src/front/places.ts'
import type { Credentials } from '../../src/model.ts'
import { startFrontServer } from '../../src/node/front-server.ts'
import { nodeRuntime } from '../../src/node/runtime.ts'
import type { Timer } from '../../src/ports.ts'
import { openSession } from '../../src/session/open.ts'
import { signedIn } from '../support/login.ts'
import { tempFolder } from './helpers.ts'
import { serve } from './http/servers.ts'

const PASSWORD = 'password'
const LARGE = 5 * 1024 * 1024

/** @returns sends one request of a program that has signed in */
async function startFront(pds: RequestListener, limits?: PlaceLimits, sleep?: Timer['sleep']) {
  const { credentials } = await signedIn()
  const server = (await serve(pds)).origin
  const accessTokenExpiresAt = Date.now() + 3_600_000
  const runtime = nodeRuntime({ dev: true, home: await tempFolder() })
  const session = await openSession({ ...credentials, server, accessTokenExpiresAt } as Credentials, runtime)
  const listener = await startFrontServer()
  onTestFinished(() => listener.close())
  const permit = parsePermit({})
  const { origin } = listener
  const options = { origin, handle: undefined, password: PASSWORD, permit, onRefused: () => undefined, limits }
  listener.serve(createFront(session, options, { ...runtime, ...(sleep && { sleep }) }))
  const body = JSON.stringify({ identifier: session.did, password: PASSWORD })
  const signIn = await fetch(`${origin}/xrpc/com.atproto.server.createSession`, { method: 'POST', body })
  const { accessJwt } = (await signIn.json()) as { accessJwt: string }
  return async (nsid: string, options: http.RequestOptions = {}, content?: Uint8Array) => {
    const headers = { authorization: `Bearer ${accessJwt}`, ...options.headers }
    const request = http.request(`${origin}/xrpc/${nsid}`, { ...options, headers }).end(content)
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    return { status: response.statusCode, headers: response.headers, body: await buffer(response) }
  }
}

test('a compressed response is decoded once, and a part of one is asked for without compression', async () => {
  const ask = await startFront((request, response) => {
    const isIdentity = request.headers['accept-encoding'] === 'identity'
    const content = isIdentity ? Buffer.from('plain') : gzipSync('compressed')
    response.writeHead(isIdentity ? 206 : 200, {
      'content-length': content.length,
      ...(!isIdentity && { 'content-encoding': 'gzip' }),
    })
    response.end(content)
  })
  const whole = await ask('com.atproto.sync.getRepo', { headers: { 'accept-encoding': 'zstd' } })
  expect(whole.body.toString()).toBe('compressed')
  expect(whole.headers['content-encoding']).toBeUndefined()
  const part = await ask('com.atproto.sync.getBlob', { headers: { range: 'bytes=0-4' } })
  expect([part.status, part.body.toString(), part.headers['content-length']]).toStrictEqual([206, 'plain', '5'])
  const head = await ask('com.atproto.sync.getBlob', { method: 'HEAD' })
  expect([head.status, head.body.length, head.headers['content-length']]).toStrictEqual([206, 0, '5'])
})

test.each([
  ['with its length', LARGE, { 'content-length': LARGE }, String(LARGE), undefined],
  ['in chunks', LARGE, { 'transfer-encoding': 'chunked' }, undefined, 'chunked'],
  ['small, in chunks', 9, { 'transfer-encoding': 'chunked' }, '9', undefined],
])('an upload %s', async (_, size, headers, length, encoding) => {
  const seen: unknown[] = []
  const ask = await startFront(async (request, response) => {
    const { length: received } = await buffer(request)
    if (request.url!.endsWith('uploadBlob')) {
      seen.push([received, request.headers['content-length'], request.headers['transfer-encoding']])
    }
    response.end('{}')
  })
  const { status } = await ask('com.atproto.repo.uploadBlob', { method: 'POST', headers }, new Uint8Array(size))
  expect(status).toBe(200)
  expect(seen).toStrictEqual([[size, length, encoding]])
})

test('a client that goes away in the middle of a response ends it at the PDS', async () => {
  let begun = () => {}
  const isBegun = new Promise<void>((resolve) => (begun = resolve))
  let closed: (isFinished: boolean) => void = () => {}
  const isClosed = new Promise<boolean>((resolve) => (closed = resolve))
  const ask = await startFront((_, response) => {
    response.once('close', () => closed(response.writableFinished))
    response.write('beginning', begun)
  })
  const controller = new AbortController()
  const asked = ask('com.atproto.sync.getRepo', { signal: controller.signal }).catch(() => 'gone')
  await isBegun
  controller.abort()
  expect(await isClosed).toBe(false)
  expect(await asked).toBe('gone')
})

test('a PDS that breaks off makes the response incomplete', async () => {
  const ask = await startFront((_, response) => {
    response.writeHead(200, { 'content-length': 99 })
    response.write('beginning', () => response.destroy())
  })
  await expect(ask('com.atproto.sync.getRepo')).rejects.toThrow()
})

test('500 requests at once open no more connections than there are places', async () => {
  const sockets = new Set<unknown>()
  const ask = await startFront((request, response) => {
    sockets.add(request.socket)
    response.end('{}')
  })
  const all = await Promise.all(Array.from({ length: 500 }, () => ask('com.atproto.repo.listRecords')))
  expect(all.filter(({ status }) => status === 200)).toHaveLength(500)
  expect(sockets.size).toBeLessThanOrEqual(32)
})

test('downloads that never end do not keep a short request waiting', async () => {
  const downloads = new AbortController()
  let begun = 0
  let full = () => {}
  const isFull = new Promise<void>((resolve) => (full = resolve))
  const ask = await startFront(
    (request, response) => {
      if (request.url!.endsWith('getRepo')) {
        begun += 1
        response.write('beginning', begun === 2 ? full : undefined)
      } else response.end('short')
    },
    { places: 2, longMost: 2 },
    async () => {
      await isFull // and all of them take long from then on
    },
  )
  const repositories = [1, 2, 3].map(() =>
    ask('com.atproto.sync.getRepo', { signal: downloads.signal }).catch(() => 'ended'),
  )
  const { status, body } = await ask('com.atproto.repo.listRecords')
  expect([status, body.toString()]).toStrictEqual([200, 'short'])
  downloads.abort()
  expect(await Promise.all(repositories)).toStrictEqual(['ended', 'ended', 'ended'])
})
