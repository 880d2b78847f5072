/**
 * The tokens that a front gives to programs: JWTs as of the reference server, because programs decode them, but valid at this
 * front only.
 */
import { base64url } from 'jose'
import type { Did } from '../model.ts'
import type { Clock, Random } from '../ports.ts'
import { parseJsonObject } from '../protocol/http/response.ts'

const HMAC = { name: 'HMAC', hash: 'SHA-256' }
const KEY_BYTES = 32
const ID_BYTES = 16
/** Lifetimes in seconds, as of the reference server. */
const KINDS = {
  access: { typ: 'at+jwt', scope: 'com.atproto.access', lifetime: 2 * 3600 },
  refresh: { typ: 'refresh+jwt', scope: 'com.atproto.refresh', lifetime: 90 * 24 * 3600 },
} as const
/** A program may sign in and out for each request; the oldest are forgotten. */
const ENDED_MOST = 10_000

export type TokenKind = keyof typeof KINDS

export interface LocalTokens {
  /** @param id of the sign-in that is continued */
  issue(id?: string): Promise<{ readonly accessJwt: string; readonly refreshJwt: string }>
  /** The sign-in of a token, or what is wrong with the token. */
  check(token: string, kind: TokenKind): Promise<CheckedToken>
  /** The refresh tokens of this sign-in are revoked. Its access tokens stay valid until they expire. */
  end(id: string): void
}

export interface CheckedToken {
  readonly id: string
  readonly fault?: 'unverified' | 'expired' | 'other-kind' | 'revoked'
}

export function createLocalTokens(
  { did, audience }: { readonly did: Did; readonly audience: string },
  { now, randomBytes }: Clock & Random,
): LocalTokens {
  const ended = new Set<string>()
  const bytes = randomBytes(KEY_BYTES) as Uint8Array<ArrayBuffer>
  const key = crypto.subtle.importKey('raw', bytes, HMAC, false, ['sign', 'verify'])
  let verified: string | undefined
  const seconds = () => Math.floor(now() / 1000)

  async function issueOne(kind: TokenKind, id: string): Promise<string> {
    const { typ, scope, lifetime } = KINDS[kind]
    const iat = seconds()
    const claims = { scope, aud: audience, sub: did, iat, exp: iat + lifetime, jti: id }
    const input = [{ typ, alg: 'HS256' }, claims].map((part) => base64url.encode(JSON.stringify(part))).join('.')
    const signature = await crypto.subtle.sign(HMAC, await key, new TextEncoder().encode(input))
    return `${input}.${base64url.encode(new Uint8Array(signature))}`
  }

  async function isSigned(token: string): Promise<boolean> {
    const end = token.lastIndexOf('.')
    const signature = decode(token.slice(end + 1))
    const input = new TextEncoder().encode(token.slice(0, Math.max(end, 0)))
    return signature !== undefined && crypto.subtle.verify(HMAC, await key, signature, input)
  }

  return {
    async issue(id = base64url.encode(randomBytes(ID_BYTES))) {
      const [accessJwt, refreshJwt] = await Promise.all([issueOne('access', id), issueOne('refresh', id)])
      return { accessJwt, refreshJwt }
    },
    async check(token, kind) {
      // A program uses the same one for all its requests, and both comparisons take constant time.
      if (verified === undefined || !isSecret(token, verified)) {
        if (!(await isSigned(token))) return { id: '', fault: 'unverified' }
        verified = token
      }
      const { scope, exp, jti: id } = claimsOf(token)
      if (exp <= seconds()) return { id, fault: 'expired' }
      if (scope !== KINDS[kind].scope) return { id, fault: 'other-kind' }
      return kind === 'refresh' && ended.has(id) ? { id, fault: 'revoked' } : { id }
    },
    end(id) {
      ended.add(id)
      if (ended.size > ENDED_MOST) ended.delete(ended.values().next().value!)
    },
  }
}

/** Compares in a time that does not depend on where the secret differs. */
export function isSecret(given: string, secret: string): boolean {
  let difference = given.length ^ secret.length
  for (let at = 0; at < given.length; at += 1)
    difference |= given.charCodeAt(at) ^ secret.charCodeAt(at % secret.length)
  return difference === 0
}

interface Claims {
  readonly scope: string
  readonly exp: number
  readonly jti: string
}

/** Of a token that was signed here. */
function claimsOf(token: string): Claims {
  return parseJsonObject(new TextDecoder().decode(decode(token.split('.')[1]!))) as unknown as Claims
}

function decode(part: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return base64url.decode(part) as Uint8Array<ArrayBuffer>
  } catch {
    return undefined
  }
}
