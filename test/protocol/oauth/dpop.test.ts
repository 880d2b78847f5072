import { createPublicKey, verify } from 'node:crypto'
import { calculateJwkThumbprint, decodeJwt, decodeProtectedHeader, EmbeddedJWK, jwtVerify } from 'jose'
import { describe, expect, test } from 'vitest'
import { sha256 as hash, openEs256, signEs256k } from '../../../src/node/ec-signing.ts'
import {
  asPrivateJwk,
  assertSigns,
  createProof,
  generateDpopJwk,
  importDpopKey,
  isNonce,
  proofClaims,
  sha256,
} from '../../../src/protocol/oauth/dpop.ts'
import { seededBytes } from '../../../src/testing/http.ts'
import { generateSecp256k1Jwk } from '../../support/keys.ts'
import { failure } from '../helpers.ts'

const ports = {
  now: () => 1_700_000_000_999, // `iat` must be floored, not rounded
  randomBytes: (length: number) => new Uint8Array(length).fill(7),
}
const xrpc = new URL('https://PDS.fake.dev:443/xrpc/a.b.c?limit=1#top')
const TOKEN = 'Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU'

describe('12.3 claims', () => {
  test('12.5, 12.6 at an authorization server: no ath, no iss, no nonce until one is known', () => {
    expect(proofClaims({ method: 'POST', url: xrpc }, undefined, ports)).toStrictEqual({
      jti: 'BwcHBwcHBwcHBwcHBwcHBw',
      htm: 'POST',
      htu: 'https://pds.fake.dev/xrpc/a.b.c',
      iat: 1_700_000_000,
    })
  })

  test('22.6 ath of the access token of RFC 9449 §7.1', async () => {
    const key = await importDpopKey(await generateDpopJwk())
    const proof = await createProof(key, { method: 'GET', url: xrpc, accessToken: TOKEN, nonce: 'n' }, ports)
    expect(decodeJwt(proof)).toMatchObject({
      ath: 'fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo',
      nonce: 'n',
    })
  })

  test.each([
    ['https://pds.example.com:443/xrpc/a.b.c', 'https://pds.example.com/xrpc/a.b.c'],
    ['https://PDS.example.com/xrpc/a.b.c?x=1#f', 'https://pds.example.com/xrpc/a.b.c'],
    ['https://pds.example.com/xrpc/../xrpc/a', 'https://pds.example.com/xrpc/a'],
    ['https://pds.example.com/a%2Eb%2Fc', 'https://pds.example.com/a%2Eb%2Fc'],
    ['https://pds.example.com', 'https://pds.example.com/'],
    ['https://pds.example.com/x?', 'https://pds.example.com/x'],
    ['https://u:p@pds.example.com:8443/x', 'https://pds.example.com:8443/x'],
  ])('12.4, 22.5 htu of %s', (url, htu) => {
    expect(proofClaims({ method: 'GET', url: new URL(url) }, undefined, ports)).toMatchObject({ htu })
  })

  test.each(['', 'a, b', 'say "hi"', 'back\\slash', 'line\nbreak', 'ü', 'a b'])(
    '13.5 refuses nonce %j',
    async (nonce) => {
      expect(isNonce(nonce)).toBe(false)
      const claims = async () => proofClaims({ method: 'GET', url: xrpc, nonce }, undefined, ports)
      expect(await failure(claims)).toMatchObject({ code: 'DPOP_NONCE_INVALID' })
    },
  )

  test('13.5 takes every NQCHAR', () => {
    const all = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code))
      .filter(isNonce)
      .join('')
    expect(all).toHaveLength(0x7e - 0x21 + 1 - 2)
    expect(all).not.toMatch(/["\\]/)
    expect(isNonce(all)).toBe(true)
  })

  test('12.4 no proof for what is not http', async () => {
    const url = new URL('file:///etc/passwd')
    const claims = async () => proofClaims({ method: 'GET', url }, undefined, ports)
    expect(await failure(claims)).toMatchObject({ code: 'DPOP_URL_INVALID' })
  })
})

const FAST = { openEs256, sha256: hash }

describe.each([
  ['with WebCrypto', {}],
  ['with OpenSSL', FAST],
])('12.1, 12.9 proofs, %s', (_, fast) => {
  test('an independent verifier accepts it, and finds the public key and no more', async () => {
    const key = await importDpopKey(await generateDpopJwk(), fast)
    const target = { method: 'GET', url: xrpc, nonce: 'n1', accessToken: TOKEN }
    const proof = await createProof(key, target, { ...ports, ...fast })
    expect(decodeJwt(proof)).toStrictEqual(proofClaims(target, await sha256(TOKEN), ports))
    expect(decodeProtectedHeader(proof)).toStrictEqual({ typ: 'dpop+jwt', alg: 'ES256', jwk: key.publicJwk })
    expect(Object.keys(key.publicJwk).sort()).toStrictEqual(['crv', 'kty', 'x', 'y'])
    const { payload } = await jwtVerify(proof, EmbeddedJWK, { typ: 'dpop+jwt', algorithms: ['ES256'] })
    expect(Object.keys(payload).sort()).toStrictEqual(['ath', 'htm', 'htu', 'iat', 'jti', 'nonce'])
    expect(Buffer.from(proof.split('.')[2]!, 'base64url')).toHaveLength(64)
  })

  test('of two keys and two tokens in turns, each has its own', async () => {
    const keys = [await generateDpopJwk(), await generateDpopJwk()]
    const opened = await Promise.all(keys.map((jwk) => importDpopKey(jwk, fast)))
    for (const [key, accessToken] of [
      [opened[0]!, 'one'],
      [opened[1]!, 'two'],
      [opened[0]!, 'two'],
      [opened[1]!, 'one'],
    ] as const) {
      const proof = await createProof(key, { method: 'GET', url: xrpc, accessToken }, { ...ports, ...fast })
      const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK)
      expect([protectedHeader.jwk, payload['ath']]).toStrictEqual([key.publicJwk, await sha256(accessToken)])
    }
  })

  test('12.3, 12.10 no two have the same jti', async () => {
    const key = await importDpopKey(await generateDpopJwk(), fast)
    const random = { now: ports.now, randomBytes: seededBytes('jti') }
    const proofs = await Promise.all(
      Array.from({ length: 50 }, () => createProof(key, { method: 'GET', url: xrpc }, random)),
    )
    const jtis = proofs.map((proof) => decodeJwt(proof).jti!)
    expect(new Set(jtis).size).toBe(50)
    for (const jti of jtis) expect(Buffer.from(jti, 'base64url')).toHaveLength(16)
  })
})

describe('26.15 a secp256k1 key of an imported session', () => {
  const target = { method: 'GET', url: xrpc, nonce: 'n1', accessToken: TOKEN }

  test('signs ES256K, which OpenSSL verifies, with the public key and no more', async () => {
    const jwk = generateSecp256k1Jwk()
    const read = asPrivateJwk({ ...jwk, alg: 'ES256K', kid: '1' })
    expect(read).toStrictEqual(jwk)
    const key = await importDpopKey(read!)
    const proof = await createProof(key, target, { ...ports, signEs256k })
    const { d, ...publicJwk } = jwk
    expect(decodeProtectedHeader(proof)).toStrictEqual({ typ: 'dpop+jwt', alg: 'ES256K', jwk: publicJwk })
    expect(decodeJwt(proof)).toStrictEqual(proofClaims(target, await sha256(TOKEN), ports))
    const [header, claims, signature] = proof.split('.')
    const publicKey = createPublicKey({ key: { ...publicJwk }, format: 'jwk' })
    const given = Buffer.from(signature!, 'base64url')
    const isOf = (text: string) =>
      verify('sha256', Buffer.from(text), { key: publicKey, dsaEncoding: 'ieee-p1363' }, given)
    expect(given).toHaveLength(64)
    expect([isOf(`${header}.${claims}`), isOf(`${header}.${claims}x`)]).toStrictEqual([true, false])
    expect(key.thumbprint).toBe(await calculateJwkThumbprint(publicJwk))
  })

  test('a P-256 key signs ES256, also where ES256K can be signed', async () => {
    const proof = await createProof(await importDpopKey(await generateDpopJwk()), target, { ...ports, signEs256k })
    expect(decodeProtectedHeader(proof)).toMatchObject({ alg: 'ES256', jwk: { crv: 'P-256' } })
  })

  test('23.4 halves of two keys, or no point of the curve: no key, and nothing of it is quoted', async () => {
    const [one, two] = [generateSecp256k1Jwk(), generateSecp256k1Jwk()]
    for (const jwk of [
      { ...one, d: two.d },
      { ...one, x: one.y, y: one.x },
    ]) {
      const key = await importDpopKey(jwk)
      const error = await failure(() => assertSigns(key, { signEs256k }))
      expect(error).toMatchObject({
        code: 'CREDENTIALS_INVALID',
        message: expect.stringMatching(/valid secp256k1 key$/),
      })
      expect(error.cause).toBeUndefined()
      expect(error.message).not.toContain(jwk.d)
    }
  })

  test('is rejected by a runtime that cannot sign with it; a P-256 key is not', async () => {
    const error = await failure(async () => assertSigns(await importDpopKey(generateSecp256k1Jwk()), {}))
    expect(error).toMatchObject({
      code: 'CREDENTIALS_INVALID',
      message: expect.stringContaining('this runtime cannot'),
    })
    await assertSigns(await importDpopKey(await generateDpopJwk()), {})
  })
})

describe('12.2 keys', () => {
  test('each is another, has five members, and survives JSON', async () => {
    const [one, two] = [await generateDpopJwk(), await generateDpopJwk()]
    expect(Object.keys(one).sort()).toStrictEqual(['crv', 'd', 'kty', 'x', 'y'])
    expect((await importDpopKey(one)).thumbprint).not.toBe((await importDpopKey(two)).thumbprint)
    const read = asPrivateJwk(JSON.parse(JSON.stringify({ ...one, kid: 'x', key_ops: ['sign'] })))
    expect(read).toStrictEqual(one)
    expect((await importDpopKey(read!)).thumbprint).toBe((await importDpopKey(one)).thumbprint)
  })

  test('the imported private key cannot be exported', async () => {
    expect((await importDpopKey(await generateDpopJwk())).privateKey).toMatchObject({ extractable: false })
  })

  test.each([
    ['nothing', () => undefined],
    ['null', () => null],
    ['a string', () => 'x'],
    ['a public key', ({ d, ...rest }: Record<string, string>) => rest],
    ['another type', (jwk: Record<string, string>) => ({ ...jwk, kty: 'OKP' })],
    ['another curve', (jwk: Record<string, string>) => ({ ...jwk, crv: 'P-384' })],
    ['a short member', (jwk: Record<string, string>) => ({ ...jwk, x: jwk['x']!.slice(1) })],
    ['padding', (jwk: Record<string, string>) => ({ ...jwk, d: `${jwk['d']}=` })],
    ['base64 instead of base64url', (jwk: Record<string, string>) => ({ ...jwk, y: `${'+'.repeat(43)}` })],
    ['a number', (jwk: Record<string, string>) => ({ ...jwk, x: 7 })],
  ])('%s is no private key', async (_, change) => {
    expect(asPrivateJwk(change({ ...(await generateDpopJwk()) }))).toBeUndefined()
  })

  test.each([{}, FAST])('23.4 halves of two keys are no key, and the message quotes none of it', async (fast) => {
    const [one, two] = [await generateDpopJwk(), await generateDpopJwk()]
    const error = await failure(() => importDpopKey({ ...one, d: two.d }, fast))
    expect(error.code).toBe('CREDENTIALS_INVALID')
    expect(error.cause).toBeUndefined()
    expect(error.message).not.toContain(two.d)
  })

  test.each([{}, FAST])('a point that is not on the curve is no key', async (fast) => {
    const jwk = await generateDpopJwk()
    const error = await failure(() => importDpopKey({ ...jwk, x: jwk.y, y: jwk.x }, fast))
    expect(error).toMatchObject({ code: 'CREDENTIALS_INVALID' })
  })

  test('22.6 thumbprint: jose’s of the key of RFC 9449, and ours are jose’s', async () => {
    const publicJwk = {
      kty: 'EC',
      crv: 'P-256',
      x: 'l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs',
      y: '9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA',
    }
    expect(await calculateJwkThumbprint(publicJwk)).toBe('0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I')
    const own = await generateDpopJwk()
    const { d, ...ownPublic } = own
    expect((await importDpopKey(own)).thumbprint).toBe(await calculateJwkThumbprint(ownPublic))
  })
})

test('22.6 sha256 of the PKCE verifier of RFC 7636', async () => {
  expect(await sha256('dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk')).toBe(
    'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
  )
})
