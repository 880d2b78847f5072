/** What fails, or is refused, before a byte of the request is on its way; and ways around: proxies and CAs. */
import { readFile, writeFile } from 'node:fs/promises'
import http from 'node:http'
import http2 from 'node:http2'
import https from 'node:https'
import net, { type AddressInfo, isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { readText } from '../../../src/protocol/http/bounded-body.ts'
import { failure } from '../../support/failure.ts'
import { startNode, tempFolder } from '../helpers.ts'
import { certificateFor, client, listen, serve, serveBytes, serveProxy, serveTls, unusedPort } from './servers.ts'

const guarded = () => client({ dev: false })

/** A name as an attacker would set it up: one address to be checked by, and one to get at. */
const REBINDING = 'a.rebinding.com'
/** A name that is never answered. */
const SILENT = 'a.silent.com'
const askedFor = vi.fn()
/** A name with several addresses, of which one has a server. */
const SEVERAL = 'a.several.com'
/** A name that exists, and has no address. */
const NOWHERE = 'a.nowhere.com'
vi.mock(import('node:dns'), async (original) => {
  const dns = await original()
  const found = (...addresses: string[]) => addresses.map((address) => ({ address, family: isIP(address) }))
  const lookup = (host: string, options: object, callback: (error: Error | null, addresses: unknown) => void) =>
    host === SILENT || host.includes('localhost')
      ? askedFor(host)
      : host === REBINDING
        ? callback(null, found('1.1.1.1', '127.0.0.1'))
        : host === SEVERAL
          ? callback(null, found('127.0.0.3', '::1', '127.0.0.1'))
          : host === NOWHERE
            ? callback(null, found())
            : dns.lookup(host, options, callback as never)
  return { ...dns, lookup: lookup as typeof dns.lookup }
})

beforeEach(() => {
  for (const name of ['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY']) {
    vi.stubEnv(name, undefined)
    vi.stubEnv(name.toLowerCase(), undefined)
  }
  return () => vi.unstubAllEnvs()
})

describe('it certainly did not arrive: NETWORK_UNREACHABLE', () => {
  test.each([
    ['nothing listens', async () => `http://127.0.0.1:${await unusedPort()}`, 'connection refused'],
    ['nothing listens, by name', async () => `http://localhost:${await unusedPort()}`, 'connection refused'],
    ['self-signed', async () => (await serveTls(() => undefined)).url.href, 'NODE_EXTRA_CA_CERTS'],
    [
      'no TLS there',
      async () => (await serve(() => undefined)).href.replace('http:', 'https:'),
      'it does not speak TLS',
    ],
    ['closed during the TLS handshake', async () => `https://${(await serveBytes((s) => s.end())).host}`, ''],
  ])('%s', async (_, where, why) => {
    const url = new URL(await where())
    const error = await failure(client().fetch(url, { method: 'POST', body: 'refresh_token=canary' }))
    expect(error).toMatchObject({ code: 'NETWORK_UNREACHABLE', session: 'alive' })
    expect(error.message).toContain(`cannot reach ${url.host}: `)
    expect(error.message).toMatch(why)
    expect(error.facts.reason).toBe(why === 'NODE_EXTRA_CA_CERTS' ? 'certificate-untrusted' : undefined)
  })

  test('no such host; without a network, its name cannot be looked up', async () => {
    const error = await failure(client().fetch(new URL('https://no-such-host.invalid')))
    const [code, why] = /no such host/.test(error.message)
      ? ['HOST_NOT_FOUND', 'no such host']
      : ['NETWORK_UNREACHABLE', 'temporary DNS failure']
    expect(error).toMatchObject({ code, message: `cannot reach no-such-host.invalid: ${why}` })
  })

  test('of several addresses, each is tried', async () => {
    const { port } = await serve((_, response) => response.end('yes'))
    const response = await client().fetch(new URL(`http://${SEVERAL}:${port}`))
    expect(await readText(response, 100)).toBe('yes')
  })

  const hasIPv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))

  test.each([
    ['127.0.0.1', 'localhost'] as const,
    ['127.0.0.1', 'a.localhost'] as const,
    ...(hasIPv6 ? [['::1', 'localhost'] as const] : []),
  ])('without a resolver, at %s: %s', async (address, name) => {
    const port = await listen(
      http.createServer((_, response) => response.end('yes')),
      address,
    )
    const response = await client().fetch(new URL(`http://${name}:${port}`))
    expect(await readText(response, 100)).toBe('yes')
    expect(askedFor).not.toHaveBeenCalledWith(name)
  })

  test('a failed handshake at an address of localhost is not repeated at the other', async () => {
    const asked = vi.spyOn(net.Socket.prototype, 'connect')
    onTestFinished(() => asked.mockRestore())
    const { port } = await serveBytes((socket) => socket.end())
    expect(await failure(client().fetch(new URL(`https://localhost:${port}`)))).toMatchObject({
      code: 'NETWORK_UNREACHABLE',
      message: expect.not.stringContaining('refused'),
    })
    const hosts = asked.mock.calls.flat(2).map((argument) => (argument as { host?: string } | null)?.host)
    expect(hosts.filter(Boolean)).toStrictEqual(['127.0.0.1'])
  })

  test.skipIf(!hasIPv6)(
    'what fails at the second address of localhost is said, not that nobody was at the first',
    async () => {
      const { key, cert } = await certificateFor('localhost')
      const port = await listen(https.createServer({ key, cert }), '::1')
      expect(await failure(client().fetch(new URL(`https://localhost:${port}`)))).toMatchObject({
        facts: { reason: 'certificate-untrusted' },
      })
    },
  )

  test.each([true, false])('a name without addresses, dev: %s', async (dev) => {
    expect(await failure(client({ dev }).fetch(new URL(`https://${NOWHERE}`)))).toMatchObject({
      code: 'NETWORK_UNREACHABLE',
      message: expect.stringContaining(`cannot reach ${NOWHERE}: `),
    })
  })

  test.each([true, false])('a name server that does not respond is given up, dev: %s', async (dev) => {
    askedFor.mockClear()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const error = failure(client({ dev }).fetch(new URL(`https://${SILENT}`)))
      while (askedFor.mock.calls.length === 0) await setImmediate()
      vi.advanceTimersByTime(5000)
      expect(await error).toMatchObject({
        code: 'NETWORK_UNREACHABLE',
        message: `cannot reach ${SILENT}: timed out`,
      })
    } finally {
      vi.useRealTimers()
    }
  })

  test.each([
    ['directly', false],
    ['through a proxy', true],
  ])('a server with HTTP/2 alone ends the handshake, %s', async (_, isTunnelled) => {
    const { key, cert } = await certificateFor('localhost')
    const server = http2.createSecureServer({ key, cert })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    if (isTunnelled) vi.stubEnv('https_proxy', (await serveProxy(200, new URL(`https://127.0.0.1:${port}`))).url.href)
    const error = await failure(client().fetch(new URL(`https://localhost:${port}`)))
    expect(error).toMatchObject({
      code: 'NETWORK_UNREACHABLE',
      message: `cannot reach localhost:${port}: the server does not support HTTP/1.1`,
      facts: { reason: 'http1-unsupported' },
    })
  })

  test('20.4 a certificate of somebody else', async () => {
    const { url, certificate } = await serveTls((_, response) => response.end('yes'))
    const code = `
      const dns = process.getBuiltinModule('dns')
      dns.lookup = (host, options, found) => found(null, [{ address: '127.0.0.1', family: 4 }])
      process.getBuiltinModule('module').syncBuiltinESMExports()
      const { createHttp } = await import(process.env.SRC + 'node/http/client.ts')
      const { readText } = await import(process.env.SRC + 'protocol/http/bounded-body.ts')
      const http = createHttp({ dev: true, userAgent: 'test' })
      for (const url of process.argv.slice(1)) {
        const said = await http.fetch(new URL(url)).then((response) => readText(response, 1e6), (error) => error.code + ' ' + error.message)
        console.log(said)
      }
      process.exit()`
    // Both names have the address of the server, for which the certificate is too.
    const [named, elsewhere] = ['pds.example.com', 'localhost'].map((name) => `https://${name}:${url.port}/`)
    const { stdout } = await startNode(
      code,
      [url.href, named!, elsewhere!],
      ['env', `NODE_EXTRA_CA_CERTS=${certificate}`],
    ).ended
    expect(stdout.split('\n')).toStrictEqual([
      'yes', // with the CA, and for its own address
      'yes', // and name
      `NETWORK_UNREACHABLE cannot reach localhost:${url.port}: its TLS certificate is for another name`,
      '',
    ])
  })
})

test('20.4 NODE_TLS_REJECT_UNAUTHORIZED=0 turns nothing off, behind a proxy neither', async () => {
  const served = vi.fn()
  const { url } = await serveTls((_, response) => response.end(served()))
  const proxy = await serveProxy(200, url)
  const code = `
    const { createHttp } = await import(process.env.SRC + 'node/http/client.ts')
    const { readText } = await import(process.env.SRC + 'protocol/http/bounded-body.ts')
    const [url, proxy] = process.argv.slice(1)
    for (const https_proxy of ['', proxy]) {
      process.env.https_proxy = https_proxy
      const http = createHttp({ dev: true, userAgent: 'test' })
      console.log(await http.fetch(new URL(url)).then((response) => readText(response, 1e6), (error) => error.message))
    }
    process.exit()`
  const { stdout } = await startNode(code, [url.href, proxy.url.href], ['env', 'NODE_TLS_REJECT_UNAUTHORIZED=0']).ended
  const refused = expect.stringContaining('its TLS certificate is self-signed')
  expect(stdout.split('\n')).toStrictEqual([refused, refused, ''])
  expect(proxy.asked).toHaveLength(1)
  expect(served).not.toHaveBeenCalled()
})

describe('20.1 the address guard', () => {
  test.each([
    'https://127.0.0.1',
    'https://[::1]',
    'https://[::ffff:127.0.0.1]',
    'https://[64:ff9b::7f00:1]',
    'https://[fe80::1]',
    'https://2130706433',
    'https://0177.1',
    'https://0x7f000001',
    'https://10.1.2.3',
    'https://100.64.0.1',
    'https://169.254.169.254',
    'https://localhost',
    'https://localhost.',
    'https://intranet',
    'https://pds.local',
    `https://${REBINDING}`,
  ])('%s is refused, and nothing is connected to', async (origin) => {
    const connected = vi.fn()
    const { port } = await serveBytes(connected)
    const error = await failure(guarded().fetch(new URL(`${origin}:${port}/`)))
    expect(error).toMatchObject({ code: 'ADDRESS_REFUSED' })
    expect(connected).not.toHaveBeenCalled()
  })

  test('http: is refused without dev, whatever the address', async () => {
    for (const url of ['http://127.0.0.1/', 'http://bsky.social/']) {
      expect(await failure(guarded().fetch(new URL(url)))).toMatchObject({ code: 'ADDRESS_REFUSED' })
    }
  })

  test('no other scheme, with dev neither', async () => {
    for (const url of ['ftp://127.0.0.1/', 'file:///etc/passwd', 'data:,x']) {
      expect(await failure(client().fetch(new URL(url)))).toMatchObject({ code: 'ADDRESS_REFUSED' })
    }
  })
})

describe('a proxy', () => {
  const TARGET = new URL('https://pds.example.com/')

  test('may have a private address itself, and gets a tunnel opened', async () => {
    const { url, certificate } = await serveTls((_, response) => response.end('through the tunnel'))
    const proxy = await serveProxy(200, url)
    const code = `
      const { createHttp } = await import(process.env.SRC + 'node/http/client.ts')
      const { readText } = await import(process.env.SRC + 'protocol/http/bounded-body.ts')
      const response = await createHttp({ dev: false, userAgent: 'test' }).fetch(new URL('${TARGET.href}'))
      console.log(await readText(response, 1e6))
      process.exit()`
    const environment = [`NODE_EXTRA_CA_CERTS=${certificate}`, `HTTPS_PROXY=${proxy.url.href}`]
    const { stdout, stderr } = await startNode(code, [], ['env', ...environment]).ended
    expect({ stdout, stderr }).toStrictEqual({ stdout: 'through the tunnel\n', stderr: '' })
    expect(proxy.asked).toStrictEqual(['CONNECT pds.example.com:443'])
  })

  test.each([403, 407, 502])('that returns %d has forwarded nothing', async (status) => {
    const proxy = await serveProxy(status)
    vi.stubEnv('https_proxy', proxy.url.href)
    const error = await failure(guarded().fetch(TARGET, { method: 'POST', body: 'x' }))
    expect(error).toMatchObject({
      code: 'NETWORK_UNREACHABLE',
      message: expect.stringContaining(`the proxy returned ${status}`),
      facts: { reason: 'proxy-refused', proxyStatus: status },
    })
    expect(proxy.asked).toHaveLength(1)
  })

  test('may be spoken to over TLS, and its certificate is for its own name', async () => {
    const { url, certificate } = await serveTls((_, response) => response.end('through the tunnel'))
    const own = await certificateFor('localhost')
    const proxy = await serveProxy(200, url, own)
    const both = join(await tempFolder(), 'both.pem')
    await writeFile(both, (await readFile(certificate, 'utf8')) + own.cert)
    const code = `
      const { createHttp } = await import(process.env.SRC + 'node/http/client.ts')
      const { readText } = await import(process.env.SRC + 'protocol/http/bounded-body.ts')
      for (const host of ['localhost', '127.0.0.1']) {
        process.env.HTTPS_PROXY = 'https://' + host + ':${proxy.url.port}'
        const { fetch } = createHttp({ dev: false, userAgent: 'test' })
        console.log(await fetch(new URL('${TARGET.href}')).then((response) => readText(response, 1e6), (error) => error.message))
      }
      process.exit()`
    const { stdout } = await startNode(code, [], ['env', `NODE_EXTRA_CA_CERTS=${both}`]).ended
    expect(stdout.split('\n')).toStrictEqual([
      'through the tunnel',
      'cannot reach the proxy for pds.example.com: its TLS certificate is for another name',
      '',
    ])
    expect(proxy.asked).toStrictEqual(['CONNECT pds.example.com:443'])
  })

  test('that is not there: it is told of the proxy', async () => {
    vi.stubEnv('HTTPS_PROXY', `http://127.0.0.1:${await unusedPort()}`)
    expect(await failure(guarded().fetch(TARGET))).toMatchObject({
      code: 'NETWORK_UNREACHABLE',
      message: 'cannot reach the proxy for pds.example.com: connection refused',
      facts: { reason: 'proxy-unreachable' },
    })
  })

  test('whose name is not known says nothing of the name that was asked for', async () => {
    vi.stubEnv('HTTPS_PROXY', 'http://no-such-proxy.invalid:3128')
    expect(await failure(guarded().fetch(TARGET))).toMatchObject({
      code: 'NETWORK_UNREACHABLE',
      message: expect.stringMatching(/^cannot reach the proxy for pds\.example\.com: (?:no such|temporary DNS)/),
    })
  })

  test('that leads to a certificate of nobody we know', async () => {
    const { url } = await serveTls(() => undefined)
    const proxy = await serveProxy(200, url)
    vi.stubEnv('HTTPS_PROXY', proxy.url.href)
    const error = await failure(guarded().fetch(TARGET))
    expect(error).toMatchObject({ code: 'NETWORK_UNREACHABLE', message: expect.stringContaining('NODE_EXTRA_CA') })
  })

  test('is not asked for what the guard refuses', async () => {
    const proxy = await serveProxy(200)
    vi.stubEnv('HTTPS_PROXY', proxy.url.href)
    for (const url of ['https://127.0.0.1/', 'https://10.0.0.1/', 'https://intranet/', 'https://printer.local/']) {
      expect(await failure(guarded().fetch(new URL(url)))).toMatchObject({ code: 'ADDRESS_REFUSED' })
    }
    expect(proxy.asked).toStrictEqual([])
  })

  test('is not asked for what NO_PROXY names', async () => {
    const proxy = await serveProxy(502)
    vi.stubEnv('HTTP_PROXY', proxy.url.href)
    vi.stubEnv('NO_PROXY', '127.0.0.1')
    const url = await serve((_, response) => response.end('directly'))
    expect(await (await client().fetch(url)).text()).toBe('directly')
    expect(proxy.asked).toStrictEqual([])
  })
})
