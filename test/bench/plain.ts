/**
 * The least that a program has to do: undici, one access token that is never looked at, a proof for each
 * request by jose. Nothing of src/.
 */
import { createHash, randomUUID } from 'node:crypto'
import { importJWK, type JWK, SignJWT } from 'jose'
import { Pool } from 'undici'

export interface Post {
  readonly $type: string
  readonly text: string
  readonly createdAt: string
}

interface Credentials {
  readonly did: string
  readonly accessToken?: string | undefined
  readonly dpopPrivateJwk: JWK
}

const PATH = '/xrpc/com.atproto.repo.createRecord'

export async function createPlainClient(
  { did, accessToken, dpopPrivateJwk }: Credentials,
  pdsUrl: string,
  concurrency: number,
) {
  const pool = new Pool(pdsUrl, { connections: concurrency })
  const { d: _, ...jwk } = dpopPrivateJwk
  const key = await importJWK(dpopPrivateJwk, 'ES256')
  const ath = createHash('sha256').update(accessToken!).digest('base64url')
  let nonce: string | undefined

  async function create(record: Post): Promise<boolean> {
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const iat = Math.floor(Date.now() / 1000)
      const claims = { jti: randomUUID(), htm: 'POST', htu: pdsUrl + PATH, iat, ath, ...(nonce && { nonce }) }
      const header = { typ: 'dpop+jwt', alg: 'ES256', jwk }
      const { statusCode, headers, body } = await pool.request({
        method: 'POST',
        path: PATH,
        headers: {
          authorization: `DPoP ${accessToken}`,
          dpop: await new SignJWT(claims).setProtectedHeader(header).sign(key),
          'content-type': 'application/json',
        },
        body: JSON.stringify({ repo: did, collection: record.$type, record }),
      })
      const { uri } = (await body.json()) as { uri?: string }
      if (typeof headers['dpop-nonce'] === 'string') nonce = headers['dpop-nonce']
      if (statusCode === 200 && uri !== undefined) return true
    }
    return false
  }

  return {
    /** @returns how many were created */
    async send(posts: readonly Post[]): Promise<number> {
      let next = 0
      let created = 0
      const worker = async () => {
        for (let post = posts[next++]; post; post = posts[next++]) if (await create(post)) created += 1
      }
      await Promise.all(Array.from({ length: concurrency }, worker))
      return created
    },
    close: () => pool.close(),
  }
}
