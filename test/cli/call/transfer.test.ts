import { openAsBlob } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { measuredDownload, measuredUpload } from '../../../src/cli/call/transfer.ts'
import { toResponse } from '../../../src/protocol/http/http-response.ts'

const MEGABYTE = 1024 * 1024
const CONTENT = Uint8Array.from({ length: 3 * MEGABYTE }, (_, index) => (index * 7) % 251)

async function fileOf(content: Uint8Array): Promise<Blob> {
  const folder = await mkdtemp(join(tmpdir(), 'transfer-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  await writeFile(join(folder, 'file'), content)
  return openAsBlob(join(folder, 'file'), { type: 'image/png' })
}

const bytesOf = async (stream: ReadableStream<Uint8Array>) => Buffer.from(await new Response(stream).arrayBuffer())

describe('an upload', () => {
  test('of a file is the same file, byte for byte, and is counted as it is read', async () => {
    const blob = await fileOf(CONTENT)
    const { content, text } = measuredUpload(blob)!
    expect(content).toBeInstanceOf(Blob)
    const file = content as Blob
    expect([file.size, file.type, text()]).toStrictEqual([CONTENT.length, 'image/png', ''])
    const reader = file.stream().getReader()
    let sent = (await reader.read()).value!.length
    expect(text()).toMatch(/^sent [\d.]+ kB of 3\.0 MB$/)
    while (sent < MEGABYTE) sent += (await reader.read()).value!.length
    expect(text()).toBe('sent 1.0 MB of 3.0 MB')
    await reader.cancel()
    // A retry reads it again, from its beginning.
    expect((await bytesOf(file.stream())).equals(CONTENT)).toBe(true)
    expect(text()).toBe('sent 3.0 MB, waiting for the response')
  })

  test('of a stream has no size, and is read no faster than it is sent', async () => {
    let pulled = 0
    const source = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          pulled += 1
          if (pulled > 3) controller.close()
          else controller.enqueue(CONTENT.subarray(0, 1024))
        },
      },
      { highWaterMark: 0 },
    )
    const { content, text } = measuredUpload(source)!
    expect([pulled, text()]).toStrictEqual([0, ''])
    expect(await bytesOf(content as ReadableStream<Uint8Array>)).toHaveLength(3 * 1024)
    expect(text()).toBe('sent 3.0 kB')
  })

  test.each([
    ['a text', '{}'],
    ['bytes in memory', CONTENT],
    ['nothing', undefined],
  ])('%s is not counted', (_, body) => {
    expect(measuredUpload(body)).toBeUndefined()
  })
})

describe('a download', () => {
  const response = (headers: Record<string, string>) =>
    new Response(CONTENT, { status: 201, statusText: 'Fine', headers })

  test.each([
    ['with a length', { 'content-length': String(CONTENT.length) }, 'received 3.0 MB of 3.0 MB'],
    ['without one', {}, 'received 3.0 MB'],
    [
      'whose length is that of its compressed form',
      { 'content-length': '99', 'content-encoding': 'gzip' },
      'received 3.0 MB',
    ],
    ['with a length that is no number', { 'content-length': '1, 1' }, 'received 3.0 MB'],
  ])('%s stays what it is', async (_, headers, text) => {
    const download = measuredDownload(response(headers as Record<string, string>))
    const { status, statusText, headers: received, body } = download.content
    expect([status, statusText, [...received]]).toStrictEqual([201, 'Fine', [...response(headers as never).headers]])
    expect(download.text()).toBe('')
    expect((await bytesOf(toResponse({ ...download.content, body }).body!)).equals(CONTENT)).toBe(true)
    expect(download.text()).toBe(text)
  })

  test('without a body', () => {
    const empty = new Response(null, { status: 204 })
    expect(measuredDownload(empty).content).toBe(empty)
  })

  test('that breaks off, or is not read to its end', async () => {
    let reason: unknown
    const broken = () =>
      new Response(
        new ReadableStream<Uint8Array>(
          {
            pull: (controller) => controller.error(new Error('cut off')),
            cancel(given) {
              reason = given
            },
          },
          { highWaterMark: 0 },
        ),
      )
    await expect(toResponse(measuredDownload(broken()).content).text()).rejects.toThrow('cut off')
    await measuredDownload(broken()).content.body!.cancel('enough')
    expect(reason).toBe('enough')
  })
})
