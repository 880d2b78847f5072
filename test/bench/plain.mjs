/**
 * The least that a program has to do, as a process: undici, one access token that is never looked at, a proof for each
 * request by jose. Reads one request a line, `{"nsid","input"}`, and writes one result a line, `{"status","output"}`. The
 * credentials are in `CREDENTIALS`, `CONCURRENCY` requests are sent at once. Nothing of src/.
 */
import { createHash, randomUUID } from 'node:crypto'
import { createInterface } from 'node:readline'
import { importJWK, SignJWT } from 'jose'
import { Pool } from 'undici'

const { did, server, accessToken, dpopPrivateJwk } = JSON.parse(process.env.CREDENTIALS)
const concurrency = Number(process.env.CONCURRENCY)
const pool = new Pool(server, { connections: concurrency })
const { d: _, ...jwk } = dpopPrivateJwk
const key = await importJWK(dpopPrivateJwk, 'ES256')
const ath = createHash('sha256').update(accessToken).digest('base64url')
let nonce

async function send({ nsid, input }) {
  const path = `/xrpc/${nsid}`
  for (let attempt = 0; ; attempt += 1) {
    const iat = Math.floor(Date.now() / 1000)
    const sent = nonce
    const claims = { jti: randomUUID(), htm: 'POST', htu: server + path, iat, ath, ...(sent && { nonce: sent }) }
    const { statusCode, headers, body } = await pool.request({
      method: 'POST',
      path,
      headers: {
        authorization: `DPoP ${accessToken}`,
        dpop: await new SignJWT(claims).setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk }).sign(key),
        'content-type': 'application/json',
      },
      body: JSON.stringify({ ...input, repo: did }),
    })
    const output = await body.json()
    nonce = headers['dpop-nonce'] ?? nonce
    if (statusCode !== 401 || nonce === sent || attempt > 0) return { status: statusCode, output }
  }
}

const waiting = []
let underway = 0

function sendNext() {
  while (underway < concurrency && waiting.length > 0) {
    underway += 1
    send(JSON.parse(waiting.shift())).then((result) => {
      process.stdout.write(`${JSON.stringify(result)}\n`)
      underway -= 1
      sendNext()
    })
  }
}

const lines = createInterface({ input: process.stdin })
lines.on('line', (line) => {
  waiting.push(line)
  sendNext()
})
lines.once('close', () => pool.close())
