/**
 * What the schemas of credentials are made of, as they come from a person, a secret store or another program. What they
 * find wrong is put into words by fault.ts.
 */
import * as v from '@badrap/valita'
import type { Did, Origin } from '../model.ts'
import { asDid, asServer } from '../protocol/identity/syntax.ts'
import { asPrivateJwk } from '../protocol/oauth/dpop.ts'

/** VSCHAR, RFC 6749 appendix A.17. */
const TOKEN = /^[\x20-\x7e]+$/

export const textSchema = v.string().assert((text) => text !== '', 'is missing')
export const tokenSchema = textSchema.assert((text) => TOKEN.test(text), 'contains invalid characters')
export const scopeSchema = textSchema.assert(isAtprotoScope, 'does not include "atproto"')
export const privateJwkMembersSchema = v.record(v.unknown()).chain(readWith(asPrivateJwk, 'is not a private P-256 JWK'))

/** Permissions with a space between them, of which every session has `atproto`. */
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

/** For `chain`: what `read` makes of a value, or the fault that it has. */
export function readWith<Input, Output>(read: (value: Input) => Output | undefined, fault: string) {
  return (value: Input): v.ValitaResult<Output> => {
    const output = read(value)
    return output === undefined ? v.err(fault) : v.ok(output)
  }
}

/** For what can be done without: anything else in its place is left out. */
export function ifValid<Output>(schema: v.Type<Output>) {
  return v
    .unknown()
    .map((value) => {
      const result = schema.try(value, { mode: 'strip' })
      return result.ok ? result.value : undefined
    })
    .optional()
}
