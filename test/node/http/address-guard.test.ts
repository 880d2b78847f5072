import { describe, expect, test } from 'vitest'
import { OAuthError } from '../../../src/errors.ts'
import { checkHost, guardedLookup, isPublicAddress } from '../../../src/node/http/address-guard.ts'

/** 20.1, by IANA's registries of special addresses. */
const PRIVATE = [
  '0.0.0.0',
  '0.1.2.3',
  '10.0.0.1',
  '100.64.0.1', // CGNAT
  '100.127.255.255',
  '127.0.0.1',
  '127.255.255.254',
  '169.254.169.254', // cloud metadata
  '172.16.0.1',
  '172.31.255.255',
  '192.0.0.1',
  '192.0.2.1',
  '192.168.1.1',
  '198.18.0.1',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '239.255.255.255',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::ffff:127.0.0.1', // mapped
  '::ffff:8.8.8.8',
  '::ffff:0:127.0.0.1',
  '::127.0.0.1', // compatible
  '64:ff9b::7f00:1', // NAT64
  '64:ff9b::808:808',
  '64:ff9b:1::7f00:1',
  '100::1',
  '2001::1', // Teredo
  '2001:db8::1',
  '2002:7f00:1::', // 6to4
  'fc00::1',
  'fd12:3456::1',
  'fe80::1',
  'fe80::1%eth0',
  'fec0::1',
  'ff02::1',
]
const PUBLIC = [
  '1.1.1.1',
  '8.8.8.8',
  '100.63.255.255',
  '100.128.0.1',
  '172.15.0.1',
  '172.32.0.1',
  '2606:4700:4700::1111',
]

describe('isPublicAddress', () => {
  test.each(PRIVATE)('%s is not', (address) => {
    expect(isPublicAddress(address)).toBe(false)
  })

  test.each(PUBLIC)('%s is', (address) => {
    expect(isPublicAddress(address)).toBe(true)
  })

  test.each(['', 'example.com', '1.1.1', '1.1.1.1.1', '::g'])('%j is no address', (address) => {
    expect(isPublicAddress(address)).toBe(false)
  })
})

describe('checkHost, with a host as a URL has it', () => {
  const hostOf = (host: string) => new URL(`https://${host}/`).hostname

  test.each([
    ...PRIVATE.filter((address) => !address.includes('%')).map((address) =>
      address.includes(':') ? `[${address}]` : address,
    ),
    '2130706433', // decimal
    '0x7f.1', // hexadecimal, and short
    '0177.0.0.1', // octal
    '127.1',
    '①②⑦.0.0.1', // what IDNA makes digits of
    'localhost',
    'LOCALHOST',
    'localhost.',
    'intranet',
    'printer.local',
    'a.b.localhost',
    'pds.test',
    'pds.example',
    'pds.invalid',
    'metadata.google.internal',
    'pds.TEST.',
  ])('%s is refused', (host) => {
    let error: unknown
    try {
      checkHost(hostOf(host))
    } catch (reason) {
      error = reason
    }
    expect(error).toBeInstanceOf(OAuthError)
    expect(error).toMatchObject({
      code: 'ADDRESS_REFUSED',
      message: expect.stringMatching(/^[^\s[\]]+ is not a public address: nothing was sent there$/),
    })
  })

  test.each([
    ...PUBLIC.map((address) => (address.includes(':') ? `[${address}]` : address)),
    'bsky.social',
    'bsky.social.',
    'local.example.com',
    'test.bsky.network',
    'xn--bcher-kva.ch',
    'mylocal',
  ])('%s', (host) => {
    const check = () => checkHost(hostOf(host))
    if (host.includes('.') || host.includes(':')) expect(check).not.toThrow()
    else expect(check).toThrow(OAuthError)
  })
})

describe('guardedLookup', () => {
  const lookup = (host: string) =>
    new Promise<unknown>((resolve) => {
      guardedLookup(host, {}, (error, addresses) => resolve(error ?? addresses))
    })

  test('a name that leads to this machine', async () => {
    expect(await lookup('localhost')).toMatchObject({
      code: 'ADDRESS_REFUSED',
      message: expect.stringMatching(/^localhost resolves to (?:127\.0\.0\.1|::1), not a public address/),
    })
  })

  test('an address is checked like a name', async () => {
    expect(await lookup('8.8.8.8')).toStrictEqual([{ address: '8.8.8.8', family: 4 }])
    expect(await lookup('192.168.0.1')).toMatchObject({ code: 'ADDRESS_REFUSED' })
  })

  test('a name that does not exist is the resolver’s failure, not ours', async () => {
    expect(await lookup('no-such-host.invalid')).toMatchObject({ syscall: 'getaddrinfo' })
  })
})
