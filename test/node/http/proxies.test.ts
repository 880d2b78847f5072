import { describe, expect, test } from 'vitest'
import { proxiesFrom, unusableExceptions } from '../../../src/node/http/proxies.ts'

const PROXY = 'http://proxy.example.com:3128'
const to = (url: string, environment: Record<string, string>) => proxiesFrom(environment).for(new URL(url))?.origin

describe('which proxy', () => {
  test.each([
    [{}, undefined, undefined],
    [{ https_proxy: PROXY }, PROXY, undefined],
    [{ HTTPS_PROXY: 'proxy.example.com:3128' }, PROXY, undefined],
    [{ HTTP_PROXY: PROXY }, PROXY, PROXY],
    [{ https_proxy: PROXY, HTTPS_PROXY: 'http://other.example.com' }, PROXY, undefined],
    [{ https_proxy: '', HTTPS_PROXY: PROXY }, PROXY, undefined],
    [{ https_proxy: PROXY, http_proxy: 'https://plain.example.com' }, PROXY, 'https://plain.example.com'],
    [{ ALL_PROXY: 'socks5://127.0.0.1:1080' }, undefined, undefined],
  ])('%o', (environment, https, http) => {
    expect(to('https://pds.example.org/', environment)).toBe(https)
    expect(to('http://pds.example.org/', environment)).toBe(http)
    expect(proxiesFrom(environment).any).toBe((https ?? http) !== undefined)
  })

  test.each(['socks5://127.0.0.1:1', ':::', 'http://me:%ff@127.0.0.1:1', 'ftp://proxy.example.com'])(
    '%s is refused by the name of its variable, without its value',
    (value) => {
      expect(() => proxiesFrom({ HTTPS_PROXY: value })).toThrow(
        expect.objectContaining({ code: 'USAGE', message: 'HTTPS_PROXY is not the URL of an HTTP proxy' }),
      )
    },
  )
})

describe('a user name and a password', () => {
  test.each(['p#w', 'p\\w', 'p%w', '100%', 'p/w', 'p?w', '1#w', '1\\w', '1/w'])(
    '%s has to be percent-encoded',
    (password) => {
      for (const scheme of ['http://', 'https://', '']) {
        const set = () => proxiesFrom({ HTTPS_PROXY: `${scheme}me:${password}@proxy.example.com:3128` })
        expect(set).toThrow(
          expect.objectContaining({
            code: 'USAGE',
            message: 'the user name or password in HTTPS_PROXY must be percent-encoded',
            facts: { reason: 'proxy-password-unencoded', variable: 'HTTPS_PROXY' },
          }),
        )
      }
    },
  )

  test.each(['p%23w', 'p@w', 'p w', 'p:w', 'p&w=', 'ü'])('%s is taken', (password) => {
    expect(to('https://pds.example.org/', { HTTPS_PROXY: `me:${password}@proxy.example.com:3128` })).toBe(PROXY)
  })
})

describe('NO_PROXY', () => {
  const past = (entry: string, url: string) =>
    to(url, { https_proxy: PROXY, http_proxy: PROXY, no_proxy: entry }) === undefined

  test.each([
    ['*', 'https://pds.example.org/'],
    ['example.org', 'https://example.org/'],
    ['example.org', 'https://pds.example.org/'],
    ['.example.org', 'https://pds.example.org/'],
    ['*.example.org', 'https://pds.example.org/'],
    ['Example.ORG', 'https://pds.example.org/'],
    ['a.test, example.org  b.test', 'https://pds.example.org/'],
    ['example.org:443', 'https://pds.example.org/'],
    ['example.org:80', 'http://pds.example.org/'],
    ['example.org:8443', 'https://pds.example.org:8443/'],
    ['127.0.0.1', 'http://127.0.0.1:2583/'],
    ['::1', 'http://[::1]:2583/'],
    ['[::1]', 'http://[::1]:2583/'],
    ['[::1]:2583', 'http://[::1]:2583/'],
    ['0:0:0:0:0:0:0:1', 'http://[::1]:2583/'],
    ['10.0.0.0/8', 'http://10.200.3.4/'],
    ['10.1.2.3/8', 'http://10.200.3.4/'],
    ['10.0.0.7/32', 'http://10.0.0.7:2583/'],
    ['0.0.0.0/0', 'http://10.0.0.7:2583/'],
    ['fd00::/8', 'http://[fd12::1]/'],
    ['[fd00::]/8', 'http://[fd12::1]/'],
    ['example.org.', 'https://pds.example.org/'],
    ['bücher.example', 'https://xn--bcher-kva.example/'],
  ])('%s lets %s past', (entry, url) => expect(past(entry, url)).toBe(true))

  test.each([
    ['', 'https://pds.example.org/'],
    [',', 'https://pds.example.org/'],
    ['ample.org', 'https://pds.example.org/'],
    ['pds.example.org', 'https://example.org/'],
    ['example.org:8443', 'https://pds.example.org/'],
    ['example.org.evil.dev', 'https://pds.example.org/'],
    ['127.0.0.1', 'https://pds.example.org/'],
    ['::1', 'http://[::11]:2583/'],
    ['(', 'https://pds.example.org/'],
    ['10.0.0.0/8', 'http://11.0.0.1/'],
    ['10.0.0.0/8', 'http://[::a]/'],
    ['10.0.0.0/8', 'https://10.example.org/'],
    ['10.0.0.0/33', 'http://10.0.0.1/'],
    ['fd00::/8', 'http://[fc00::1]/'],
    ['fd00::/129', 'http://[fd00::1]/'],
    ['0.0.1', 'http://127.0.0.1/'],
    ['http://example.org', 'https://example.org/'],
  ])('%s does not let %s past', (entry, url) => expect(past(entry, url)).toBe(false))

  test('entries that can match nothing are named, as they are written', () => {
    const no_proxy =
      'localhost,.lan,*.corp.example, 10.0.0.0/8 [::1]:80,*,a_b.test,10.0.0.0/33,10.*,192.168.,http://Example.org,pds.*,host:abc,a.test;b.test,<local>'
    expect(unusableExceptions({ no_proxy })).toStrictEqual([
      '10.0.0.0/33',
      '10.*',
      '192.168.',
      'http://Example.org',
      'pds.*',
      'host:abc',
      'a.test;b.test',
      '<local>',
    ])
    expect(unusableExceptions({})).toStrictEqual([])
  })

  test('the lower-case variable is the one that counts', () => {
    expect(to('https://pds.example.org/', { https_proxy: PROXY, no_proxy: 'a.test', NO_PROXY: '*' })).toBe(PROXY)
  })
})
