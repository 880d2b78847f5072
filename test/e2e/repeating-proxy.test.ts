/** A proxy that sends a request twice, and passes on the second response: no session is said to be what it is not. */
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { callbackFor, expectFailure, keptInStore, newHome } from './support.ts'

const world = connectWorld()

/** @returns the variables with which everything goes through it */
async function repeatingProxy(grant: string): Promise<Record<string, string>> {
  const inside = createServer(async (incoming, outgoing) => {
    const { method, headers, url } = incoming
    const body = await buffer(incoming)
    const send = async () => {
      const sent = request(`http://${headers.host}${url}`, { method, headers }).end(body)
      const [response] = await once(sent, 'response')
      return { response, content: await buffer(response) }
    }
    if (body.includes(`grant_type=${grant}`)) await send()
    const { response, content } = await send()
    outgoing.writeHead(response.statusCode, response.headers).end(content)
  })
  const proxy = createServer().on('connect', (_, socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n')
    inside.emit('connection', socket)
  })
  await once(proxy.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => void proxy.close())
  return { http_proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, no_proxy: '' }
}

test('a refresh: whether the session is alive is unknown, and the next run finds out that it has ended', async () => {
  const { home } = await keptInStore(world)
  onTestFinished(() => home.remove())
  const refused = await runCli(['refresh'], { home, env: await repeatingProxy('refresh_token') })
  expectFailure(refused, 6, 'REFRESH_AMBIGUOUS', 'unknown')
  expect(refused.stderr).toContain('such as a proxy, sends requests twice')
  expectFailure(await runCli(['refresh'], { home }), 5, 'SESSION_DEAD', 'dead')
})

test('a login: whether there is a session is unknown, and the login has ended', async () => {
  const [account, home] = [await world.createAccount(), await newHome()]
  const stdin = await callbackFor(account, home)
  const env = await repeatingProxy('authorization_code')
  expectFailure(await runCli(['complete'], { home, stdin, env }), 6, 'EXCHANGE_AMBIGUOUS', 'unknown')
  expectFailure(await runCli(['complete'], { home, stdin }), 4, 'CODE_USED', 'unknown')
})
