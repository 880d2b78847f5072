/** What the relay does to a connection, counted in round trips instead of milliseconds. */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import { PassThrough } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import tls from 'node:tls'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { startGitServer, WRITER } from '../support/git-server.ts'
import { carry, type Relay, startRelay, type Way } from './relay.ts'

const run = promisify(execFile)

/** Both ends have the time, in round trips, of the latest data that reached them: as far as data depends on data. */
function countedTrips() {
  const ways: { client: number; server: number }[] = []
  const newWay = (): Way => {
    const ends = { client: 1, server: 0 } // after the handshake of TCP
    ways.push(ends)
    return {
      async there() {
        ends.server = Math.max(ends.server, ends.client + 0.5)
      },
      async back() {
        ends.client = Math.max(ends.client, ends.server + 0.5)
      },
    }
  }
  return { newWay, ways }
}

async function listen(server: net.Server): Promise<number> {
  server.listen(0, 'localhost')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

async function relayTo(targets: Readonly<Record<string, number>>): Promise<Relay> {
  const relay = await startRelay(targets)
  onTestFinished(() => relay.close())
  return relay
}

async function connect(relay: Relay, servername: string): Promise<tls.TLSSocket> {
  const { port, ca } = relay
  const options = { port, host: '127.0.0.1', servername, ca }
  const socket = tls.connect(options)
  await once(socket, 'secureConnect')
  return socket
}

test('the first request costs three round trips, for TCP, TLS 1.3 and itself; later ones cost one each', async () => {
  const { newWay, ways } = countedTrips()
  const arrivals: (number | undefined)[] = []
  const counted: number[] = []
  const server = http.createServer((request, response) => {
    arrivals.push(ways.at(-1)?.server)
    counted.push(relay.traffic().roundTrips)
    response.end(request.url)
  })
  const relay = await relayTo({ 'pds.far.dev': await listen(server) })
  relay.setWay(newWay)
  const script = `const https = require('node:https')
    const agent = new https.Agent({ keepAlive: true })
    const ask = (path) => new Promise((resolve) => https.get('https://pds.far.dev' + path, { agent }, async (response) => {
      let body = response.socket.getProtocol() + ' '
      for await (const piece of response) body += piece
      resolve(body)
    }))
    void (async () => {
      for (const path of process.argv.slice(1)) console.log(await ask(path))
      agent.destroy()
    })()`
  const answered = async (...paths: string[]) => {
    const env = { PATH: process.env['PATH'], ...relay.env }
    return (await run(process.execPath, ['-e', script, ...paths], { env })).stdout.trim().split('\n')
  }
  expect(await answered('/one')).toStrictEqual(['TLSv1.3 /one'])
  expect(arrivals.splice(0)).toStrictEqual([2.5])
  expect(relay.traffic()).toMatchObject({ opened: 1, requests: ['GET pds.far.dev/one'] })
  relay.startTraffic(false)
  expect(await answered('/one', '/two', '/three')).toStrictEqual(['TLSv1.3 /one', 'TLSv1.3 /two', 'TLSv1.3 /three'])
  expect(arrivals).toStrictEqual([2.5, 3.5, 4.5])
  expect([...relay.connections]).toStrictEqual([['pds.far.dev', 2]])
  expect(relay.traffic()).toMatchObject({
    opened: 1,
    requests: ['/one', '/two', '/three'].map((path) => `GET pds.far.dev${path}`),
  })
  // By the relay itself, when the client sent them: the first ones perhaps after a ticket of TLS that nobody waits for.
  expect(counted.slice(2)).toStrictEqual([3, 4])
})

test('everything arrives in order, and then the end, however long the pieces take', async () => {
  const sent = Buffer.alloc(5_000_000, 'atproto')
  const hash = (data: Buffer) => createHash('sha256').update(data).digest('hex')
  const server = net.createServer((socket) => {
    const pieces: Buffer[] = []
    socket.on('data', (piece) => {
      pieces.push(piece)
      const data = Buffer.concat(pieces)
      if (data.length >= sent.length) socket.end(`${hash(data)} ${'x'.repeat(2_000_000)}`)
    })
  })
  const relay = await relayTo({ 'pds.far.dev': await listen(server) })
  let turn = 0
  const uneven = async () => {
    turn += 1
    if (turn % 3 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  relay.setWay(() => ({ there: uneven, back: uneven }))
  const socket = await connect(relay, 'pds.far.dev')
  socket.write(sent)
  const received = await text(socket)
  expect([received.slice(0, 65), received.length]).toStrictEqual([`${hash(sent)} `, 2_000_065])
})

test('a sender whose data is not taken has to wait', async () => {
  const [from, to] = [new PassThrough(), new PassThrough({ highWaterMark: 1000 })]
  carry(from, to)
  let written = 0
  while (from.write(Buffer.alloc(100_000))) written += 100_000
  // What is under way, and what the buffers of both hold.
  while (written < 5_000_000 && (await Promise.race([once(from, 'drain'), idle()]))) {
    do written += 100_000
    while (from.write(Buffer.alloc(100_000)))
  }
  expect(written).toBeGreaterThan(1_000_000)
  expect(written).toBeLessThan(2_000_000)
  from.end()
  expect((await buffer(to)).length).toBeGreaterThanOrEqual(written)
})

test.each(['client', 'server'] as const)('a connection that the %s breaks is broken for the other', async (side) => {
  const target = net.createServer()
  const accepted = once(target, 'connection') as Promise<[net.Socket]>
  const relay = await relayTo({ 'pds.far.dev': await listen(target) })
  const client = await connect(relay, 'pds.far.dev')
  client.write('x')
  const [server] = await accepted
  await once(server, 'data')
  const [breaking, other] = side === 'client' ? [client, server] : [server, client]
  const closed = new Promise((resolve) => other.on('error', () => undefined).once('close', resolve))
  breaking.on('error', () => undefined)
  if (breaking instanceof tls.TLSSocket) breaking.destroy()
  else breaking.resetAndDestroy()
  await closed
})

test('git reaches a repository by name, over TLS', async () => {
  const server = await startGitServer()
  onTestFinished(() => server.close())
  server.repository().commit({ 'README.md': 'x' })
  const relay = await relayTo({ 'git.far.dev': Number(new URL(server.origin).port) })
  const header = `Authorization: Basic ${Buffer.from(`${WRITER.user}:${WRITER.password}`).toString('base64')}`
  const url = `https://git.far.dev:${relay.port}/vault`
  const env = { PATH: process.env['PATH'], HOME: '/nonexistent', ...relay.gitEnv }
  const { stdout } = await run('git', ['-c', `http.extraHeader=${header}`, 'ls-remote', url], { env })
  expect(stdout).toMatch(/^[0-9a-f]{40}\trefs\/heads\/atproto-oauth$/m)
  expect(relay.connections.get('git.far.dev')).toBe(1)
})

/** Nothing happens any more in this process that is not waited for from outside. */
async function idle(): Promise<undefined> {
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  return undefined
}
