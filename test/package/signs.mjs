/**
 * A program that uses the installed package, on whatever runs it: `signs.mjs FOLDER proof` signs requests with a key of
 * its own, `signs.mjs FOLDER login` does a whole login, whose callback comes on stdin. What others.ts has to know is
 * one line of JSON each on stdout.
 */
import dns from 'node:dns'
import { once } from 'node:events'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'

const [folder, what] = process.argv.slice(2)
const { OAuthClient } = await import(pathToFileURL(`${folder}/dist/index.js`).href)
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)
const { HOME_FOLDER: home, PLC, HANDLE } = process.env
say({ imported: typeof OAuthClient })

if (what === 'proof') {
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign'])
  const { kty, crv, x, y, d } = await crypto.subtle.exportKey('jwk', pair.privateKey)
  const key = { ATPROTO_OAUTH_DPOP_PRIVATE_JWK: JSON.stringify({ kty, crv, x, y, d }) }
  const session = await new OAuthClient({ home, plcUrl: PLC, dev: true }).restore({ ...process.env, ...key })
  dns.lookup = (_name, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }])
  const inside = new URL(PLC.replace('http://127.0.0.1', 'https://inside.fake.dev'))
  const refused = await new OAuthClient({ home, plcUrl: inside.origin })
    .authorize(session.did)
    .then(String, ({ code }) => code)
  say({ refused })
  const response = await session.fetchHandler('/xrpc/com.atproto.server.getSession')
  say({ status: response.status, body: await response.json() })
  say({ x, signed: await session.proof('POST', `${PLC}/xrpc/com.atproto.repo.createRecord`) })
} else {
  const client = new OAuthClient({ home })
  const { url } = await client.authorize(HANDLE)
  say({ url: url.href })
  const [callback] = await once(createInterface({ input: process.stdin }), 'line')
  const session = await client.callback(callback)
  const before = session.export().refreshToken
  await session.refresh()
  const { did } = await session.query('com.atproto.server.getSession')
  say({ status: 200, did, rotated: session.export().refreshToken !== before })
  process.exit(0) // stdin is open
}
