import { expect, test } from 'vitest'
import { listenLocally, parsePort } from '../../../src/cli/run/listen.ts'

test.each([
  ['0', 0],
  ['8080', 8080],
  ['127.0.0.1:65535', 65_535],
])('--listen %s', (text, port) => {
  expect(parsePort(text)).toBe(port)
})

test.each([
  ['', '--listen "" is not a port'],
  ['http', '--listen "http" is not a port'],
  ['-1', '--listen "-1" is not a port'],
  ['65536', 'the largest is 65535'],
  ['99999999999999999999999', '--listen 99999999999999999999999 is not a port'],
  ['::1', '--listen "::1" is not a port'],
  ['0.0.0.0:80', 'cannot listen on "0.0.0.0": the front is for programs on this machine only'],
  [':80', 'cannot listen on ""'],
  ['[::]:80', 'cannot listen on "[::]"'],
  ['localhost:80', 'cannot listen on "localhost"'],
  ['192.168.0.1:80', 'cannot listen on "192.168.0.1"'],
])('--listen %j is rejected', (text, message) => {
  expect(() => parsePort(text)).toThrow(message)
})

test('a port that is in use is named, with the way out', async () => {
  const server = await listenLocally(0)
  const { port } = new URL(server.origin)
  try {
    await expect(listenLocally(Number(port))).rejects.toMatchObject({
      code: 'USAGE',
      message: `cannot listen on port ${port}: it is in use`,
      hint: 'choose another port, or omit --listen for a free one',
    })
  } finally {
    await server.close()
  }
})
