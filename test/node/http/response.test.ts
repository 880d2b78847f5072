import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { ResponseBody, ResponseHeaders } from '../../../src/node/http/response.ts'

describe('headers', () => {
  const raw = ['Content-Type', 'text/plain', 'X-Two', 'a', 'Set-Cookie', 'c=1', 'x-two', 'b', 'set-cookie', 'd=2']

  test('are those that `Headers` would have, in its order', () => {
    const headers = new Headers()
    for (let at = 0; at < raw.length; at += 2) headers.append(raw[at]!, raw[at + 1]!)
    const own = new ResponseHeaders(raw)
    expect([...own]).toStrictEqual([...headers])
    for (const name of ['content-type', 'CONTENT-TYPE', 'x-two', 'set-cookie', 'missing', '__proto__']) {
      expect([name, own.get(name), own.has(name)]).toStrictEqual([name, headers.get(name), headers.has(name)])
    }
  })
})

describe('a body', () => {
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  const explain = (error: unknown) => new Error(`explained: ${(error as Error).message}`)

  test('waits for what is still to come', async () => {
    const content = new PassThrough()
    const chunks = new ResponseBody(content, explain)[Symbol.asyncIterator]()
    const first = chunks.next()
    await turn()
    content.end('late')
    expect(Buffer.from((await first).value as Uint8Array).toString()).toBe('late')
    expect((await chunks.next()).done).toBe(true)
  })

  test('a small one is drained although nobody reads it', async () => {
    const content = new PassThrough()
    const body = new ResponseBody(content, explain)
    content.end('small')
    await new Promise((resolve) => content.once('close', resolve))
    expect(Buffer.concat(await collected(body)).toString()).toBe('small')
  })

  test('a large one waits for its reader', async () => {
    const content = new PassThrough()
    const body = new ResponseBody(content, explain)
    const block = Buffer.alloc(16 * 1024, 'x')
    let sent = 0
    while (sent < 100 && content.write(block)) {
      sent += 1
      await turn()
    }
    expect(sent).toBeLessThan(50) // streams of newer Nodes hold 64 KiB each
    content.end()
    expect(Buffer.concat(await collected(body))).toHaveLength((sent + 1) * block.length)
  })

  test('that breaks off says why, and one that is closed before its end does too', async () => {
    const broken = new PassThrough()
    const body = new ResponseBody(broken, explain)
    broken.destroy(new Error('reset'))
    await expect(collected(body)).rejects.toThrow('explained: reset')
    const closed = new PassThrough()
    const other = new ResponseBody(closed, explain)
    closed.destroy()
    await expect(collected(other)).rejects.toThrow('explained: cut off')
  })

  test('that is cancelled, or not read to its end, ends the connection, once', async () => {
    const cancelled = new PassThrough()
    const body = new ResponseBody(cancelled, explain)
    await body.cancel()
    await body.cancel()
    expect([cancelled.destroyed, await collected(body)]).toStrictEqual([true, []])
    const left = new PassThrough()
    left.write('one')
    left.write('two')
    for await (const _ of new ResponseBody(left, explain)) break
    expect(left.destroyed).toBe(true)
  })

  test('in one step: all of it, however it comes', async () => {
    const content = new PassThrough()
    const read = new ResponseBody(content, explain).read(1000)
    for (const part of ['one', 'two']) {
      content.write(part)
      await turn()
    }
    content.end('three')
    const whole = await read
    expect(Buffer.from(whole!).toString()).toBe('onetwothree')
    // As users of the library get it: not a Buffer, and not a part of anything larger.
    expect(Buffer.isBuffer(whole)).toBe(false)
    expect(whole!.buffer.byteLength).toBe(11)
    const empty = new PassThrough()
    empty.end()
    expect(await new ResponseBody(empty, explain).read(0)).toHaveLength(0)
  })

  test('in one step: one that is larger than what is read ahead', async () => {
    const content = new PassThrough()
    const body = new ResponseBody(content, explain)
    const block = Buffer.alloc(200 * 1024, 'x')
    content.end(block)
    await turn()
    expect(Buffer.compare((await body.read(block.length))!, block)).toBe(0)
  })

  test('in one step: one that is too large ends the connection', async () => {
    const content = new PassThrough()
    content.write(Buffer.alloc(300 * 1024))
    expect(await new ResponseBody(content, explain).read(300 * 1024 - 1)).toBeUndefined()
    expect(content.destroyed).toBe(true)
    const whole = new PassThrough()
    whole.end('four')
    const body = new ResponseBody(whole, explain)
    await new Promise((resolve) => whole.once('close', resolve))
    expect(await body.read(3)).toBeUndefined()
  })

  test('in one step: one that breaks off says why', async () => {
    const content = new PassThrough()
    const read = new ResponseBody(content, explain).read(1000)
    content.write('half')
    await turn()
    content.destroy(new Error('reset'))
    await expect(read).rejects.toThrow('explained: reset')
  })

  async function collected(body: ResponseBody): Promise<Uint8Array[]> {
    const chunks: Uint8Array[] = []
    for await (const chunk of body) chunks.push(chunk)
    return chunks
  }
})
