/** 20.1 the address guard at the moment of connecting, and what is left of it behind a proxy. */
import { syncBuiltinESMExports } from 'node:module'
import net from 'node:net'
import tls from 'node:tls'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { failure } from '../../support/failure.ts'
import { startNode } from '../helpers.ts'
import { client, serve, serveBytes, serveProxy, serveTls } from './servers.ts'

/** What DNS says about names under rebinding.com, the next time it is asked; the last response stays. */
let answers: string[][] = []
const lookedUp: string[] = []
vi.mock(import('node:dns'), async (original) => {
  const dns = await original()
  const lookup = (host: string, options: object, callback: (error: Error | null, addresses: unknown) => void) => {
    if (!host.endsWith('rebinding.com')) return dns.lookup(host, options, callback as never)
    lookedUp.push(host)
    const addresses = answers.length > 1 ? answers.shift()! : answers[0]!
    const found = addresses.map((address) => ({ address, family: net.isIP(address) }))
    process.nextTick(() => callback(null, found))
  }
  return { ...dns, lookup: lookup as typeof dns.lookup }
})

const guarded = (onRequest?: (line: string) => void) => client({ dev: false, onRequest })
const TARGET = new URL('https://a.rebinding.com/')
const PROXIES = ['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY']

beforeEach(() => {
  answers = []
  lookedUp.length = 0
  for (const name of PROXIES) {
    vi.stubEnv(name, undefined)
    vi.stubEnv(name.toLowerCase(), undefined)
  }
  return () => {
    vi.unstubAllEnvs()
    vi.restoreAllMocks()
    syncBuiltinESMExports()
  }
})

/** In the place of the system: looks up as a socket does what is not an address, notes where it would connect to, and does not. */
function watchConnections(): string[] {
  const connected: string[] = []
  const connect = (options: tls.ConnectionOptions & net.TcpNetConnectOpts) => {
    const socket = new net.Socket()
    const give = (error: Error | null, found: { address: string }[] | string) => {
      if (!error) connected.push(...[found].flat().map((one) => (typeof one === 'string' ? one : one.address)))
      socket.destroy(error ?? Object.assign(new Error('refused'), { code: 'ECONNREFUSED' }))
    }
    if (net.isIP(options.host!)) give(null, options.host!)
    else options.lookup!(options.host!, { all: true }, give as never)
    return socket
  }
  vi.spyOn(tls, 'connect').mockImplementation(connect as never)
  syncBuiltinESMExports()
  return connected
}

describe('a name that resolves differently the second time', () => {
  test('each connection uses the addresses that were checked for it, which are resolved once', async () => {
    const connected = watchConnections()
    answers = [['1.1.1.1'], ['127.0.0.1'], ['2606:4700:4700::1111']]
    const http = guarded()
    expect(await failure(http.fetch(TARGET))).toMatchObject({ code: 'NETWORK_UNREACHABLE' })
    expect(connected).toStrictEqual(['1.1.1.1'])
    expect(await failure(http.fetch(TARGET))).toMatchObject({ code: 'ADDRESS_REFUSED' })
    expect(connected).toStrictEqual(['1.1.1.1'])
    expect(await failure(http.fetch(TARGET))).toMatchObject({ code: 'NETWORK_UNREACHABLE' })
    expect(connected).toStrictEqual(['1.1.1.1', '2606:4700:4700::1111'])
    expect(lookedUp).toHaveLength(3)
  })

  test.each([
    ['first', ['10.0.0.1', '1.1.1.1']],
    ['last', ['1.1.1.1', '2606:4700:4700::1111', '192.168.1.1']],
    ['IPv6 loopback', ['1.1.1.1', '::1']],
    ['mapped', ['::ffff:127.0.0.1']],
    ['NAT64', ['64:ff9b::a00:1']],
    ['6to4', ['2002:7f00:1::1']],
    ['link-local', ['169.254.169.254']],
    ['IPv6 link-local', ['fe80::1']],
    ['CGNAT', ['100.64.0.1']],
    ['ULA', ['fd00::1']],
    ['unspecified', ['0.0.0.0']],
    ['multicast', ['224.0.0.1']],
    ['broadcast', ['255.255.255.255']],
    ['no address', ['localhost']],
  ])('one bad address among all is enough: %s', async (_, addresses) => {
    const connected = watchConnections()
    answers = [addresses]
    expect(await failure(guarded().fetch(TARGET))).toMatchObject({ code: 'ADDRESS_REFUSED' })
    expect(connected).toStrictEqual([])
  })

  test('20.3 --dev is the way out', async () => {
    const url = await serve((_, response) => response.end('here'))
    answers = [['127.0.0.1']]
    expect(await (await client({ dev: true }).fetch(url)).text()).toBe('here')
    expect(await failure(guarded().fetch(url))).toMatchObject({ code: 'ADDRESS_REFUSED' })
  })
})

describe('behind a proxy', () => {
  test.each(['HTTPS_PROXY', 'https_proxy'])(
    '%s: the name is the proxy’s to look up, and that is said',
    async (name) => {
      const proxy = await serveProxy(502)
      vi.stubEnv(name, proxy.url.href)
      answers = [['127.0.0.1']]
      const lines: string[] = []
      expect(await failure(guarded((line) => lines.push(line)).fetch(TARGET))).toMatchObject({
        code: 'NETWORK_UNREACHABLE',
      })
      expect(proxy.asked).toStrictEqual(['CONNECT a.rebinding.com:443'])
      expect(lookedUp).toStrictEqual([])
      expect(lines[0]).toBe(
        'a proxy is set and resolves names itself: only the spelling of a host behind it is checked',
      )
    },
  )

  test('without one, nothing of the kind is said', async () => {
    watchConnections()
    answers = [['1.1.1.1']]
    const lines: string[] = []
    await failure(guarded((line) => lines.push(line)).fetch(TARGET))
    expect(lines).toStrictEqual([expect.stringMatching(/^GET https:\S+ NETWORK_UNREACHABLE /)])
  })

  test.each(['NO_PROXY', 'no_proxy'])('%s: what goes past the proxy is guarded as ever', async (name) => {
    const proxy = await serveProxy(502)
    vi.stubEnv('HTTPS_PROXY', proxy.url.href)
    vi.stubEnv(name, '.rebinding.com')
    answers = [['127.0.0.1']]
    expect(await failure(guarded().fetch(TARGET))).toMatchObject({ code: 'ADDRESS_REFUSED' })
    expect(proxy.asked).toStrictEqual([])
    expect(lookedUp).toStrictEqual(['a.rebinding.com'])
  })

  test.each(['HTTP_PROXY', 'http_proxy'])('%s, with --dev', async (name) => {
    const target = await serve((_, response) => response.end('through'))
    const proxy = await serveProxy(200, target)
    vi.stubEnv(name, proxy.url.href)
    expect(await (await client().fetch(new URL('http://pds.test/'))).text()).toBe('through')
    expect(proxy.asked).toStrictEqual(['CONNECT pds.test:80'])
  })

  test('a password of the proxy is sent to the proxy and shown to nobody', async () => {
    let sent = ''
    const proxy = await serveBytes((socket, text) => {
      sent = text
      socket.end('HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n')
    })
    vi.stubEnv('HTTPS_PROXY', `http://user:canary@${proxy.host}`)
    const lines: string[] = []
    const error = await failure(guarded((line) => lines.push(line)).fetch(TARGET))
    expect(sent).toMatch(/^proxy-authorization: Basic dXNlcjpjYW5hcnk=\r$/im)
    expect(sent).not.toMatch(/^authorization:/im) // which a proxy may pass on
    expect(JSON.stringify([lines, error.message, error.facts])).not.toMatch(/canary|dXNlcjpjYW5hcnk/)
  })

  test('1.13 at every hop of a redirect: what it leads to is not asked of the proxy', async () => {
    const hops = [
      'https://127.0.0.1/',
      'https://10.0.0.1/',
      'https://[fd00::1]/',
      'https://printer.local/',
      'https://intranet/',
    ]
    const rest = [...hops]
    const { url, certificate } = await serveTls(({ url: path }, response) => {
      response.writeHead(302, { location: path === '/hop' ? rest.shift() : '/hop' }).end()
    })
    const proxy = await serveProxy(200, url)
    const code = `
      const { createHttp } = await import(process.env.SRC + 'node/http/client.ts')
      const { resolveHandle } = await import(process.env.SRC + 'protocol/identity/handle.ts')
      const { fetch } = createHttp({ dev: false, userAgent: 'test' })
      const ports = { fetch, now: Date.now, settings: { dev: false, plcUrl: '' }, resolveTxt: async () => [] }
      for (let hop = 0; hop < ${hops.length}; hop += 1) {
        await resolveHandle('pds.example.com', ports).catch(({ code, message }) => console.log(code, message))
      }
      process.exit()`
    const environment = [`NODE_EXTRA_CA_CERTS=${certificate}`, `HTTPS_PROXY=${proxy.url.href}`]
    const { stdout } = await startNode(code, [], ['env', ...environment]).ended
    const lines = stdout.trim().split('\n')
    expect(lines).toHaveLength(hops.length)
    for (const line of lines) expect(line).toMatch(/^HANDLE_NOT_FOUND .*not a public address: nothing was sent there/)
    expect(new Set(proxy.asked)).toStrictEqual(new Set(['CONNECT pds.example.com:443']))
  })
})
