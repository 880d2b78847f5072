/**
 * Schema parts for credentials from people, secret stores and other programs. fault.ts describes what they find wrong.
 */
import * as v from '@badrap/valita'
import type { Did, Origin } from '../model.ts'
import { asDid, asServer } from '../protocol/identity/syntax.ts'
import { asPrivateJwk } from '../protocol/oauth/dpop.ts'

/** VSCHAR, RFC 6749 appendix A.17. */
const TOKEN = /^[\x20-\x7e]+$/
/** A masked secret, and an expression of GitHub Actions outside a workflow. */
const PLACEHOLDER = /^(?:\*+|\$\{\{.*\}\})$/

export const textSchema = v.string().assert((text) => text !== '', 'is missing')
export const tokenSchema = textSchema
  .assert((text) => TOKEN.test(text), 'contains invalid characters')
  .assert((text) => !PLACEHOLDER.test(text), 'is a placeholder, such as a log shows in place of a secret')
export const scopeSchema = textSchema.assert(isAtprotoScope, 'does not include "atproto"')
export const NOT_A_DPOP_KEY = 'is not a private P-256 or secp256k1 JWK'
export const privateJwkMembersSchema = v.record(v.unknown()).chain(readWith(asPrivateJwk, NOT_A_DPOP_KEY))

/** Space-separated permissions. Every session has `atproto`. */
export type AtprotoScope = 'atproto' | `atproto ${string}` | `${string} atproto` | `${string} atproto ${string}`

export function isAtprotoScope(scope: string): scope is AtprotoScope {
  return TOKEN.test(scope) && scope.split(' ').includes('atproto')
}

/** @param dev allows `did:web:localhost` */
export function didSchema(dev: boolean): v.Type<Did> {
  return textSchema.chain(readWith((text) => asDid(text, dev), 'is not an atproto DID'))
}

/** @param dev allows `http:` */
export function serverSchema(dev: boolean): v.Type<Origin> {
  return textSchema.chain(readWith((text) => asServer(text, dev), 'is not an https origin'))
}

/** For `chain`: the value that `read` returns, or its fault. */
export function readWith<Input, Output>(read: (value: Input) => Output | undefined, fault: string) {
  return (value: Input): v.ValitaResult<Output> => {
    const output = read(value)
    return output === undefined ? v.err(fault) : v.ok(output)
  }
}

/** For optional members: an invalid value is omitted. */
export function ifValid<Output>(schema: v.Type<Output>) {
  return v
    .unknown()
    .map((value) => {
      const result = schema.try(value, { mode: 'strip' })
      return result.ok ? result.value : undefined
    })
    .optional()
}
