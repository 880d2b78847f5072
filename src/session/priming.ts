/**
 * A small request before a large one, so that a large body is sent with a valid nonce and token.
 */

import { type Body, type Clock, type HttpResponse, isStream } from '../ports.ts'
import { type SendInit, sizeOf } from './body.ts'

/** A read that every session is allowed, whose response contains the next nonce. */
export const PRIMING = 'com.atproto.server.getSession'
/** Bytes; a larger body is not sent twice. */
const LARGE = 64 * 1024
/** Milliseconds; the shortest known lifetime of a nonce is three minutes. */
const NONCE_GOOD = 60_000

/** Sends one request of a session: path and query, options, and the body in a form whose size is known. */
export type Send = (path: string, init: SendInit, body: Body | undefined) => Promise<HttpResponse>

/** Wraps `send`: a small request precedes each stream, which can be sent only once, and a large body after a pause. */
export function withPriming(send: Send, { now }: Clock): Send {
  let respondedAt = Number.NEGATIVE_INFINITY
  return async (path, init, body) => {
    const isPrimed = Math.abs(now() - respondedAt) < NONCE_GOOD
    if (isStream(body) || (sizeOf(body) > LARGE && !isPrimed)) {
      const { timeoutSeconds, startSignal } = init
      const primed = await send(`/xrpc/${PRIMING}`, { timeoutSeconds, startSignal }, undefined)
      respondedAt = now()
      await primed.body?.cancel()
    }
    const response = await send(path, init, body)
    respondedAt = now()
    return response
  }
}
