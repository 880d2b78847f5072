/**
 * A small request ahead of a large one: a body is not sent before it is known that the nonce and the token are good.
 *
 * @module
 */
import type { Body, Clock } from '../ports.ts'
import { type SessionInit, sizeOf } from './body.ts'

/** Changes nothing, every session may ask for it, and its answer has the nonce to use next. */
export const PRIMING = 'com.atproto.server.getSession'
/** Bytes that it would be a pity to send twice. */
const LARGE = 64 * 1024
/** Milliseconds; the narrowest time known that a nonce is good for is three minutes. */
const NONCE_GOOD = 60_000

/** One request of a session: path and query, the rest, and its body in a form that can be measured. */
export type Send = (path: string, init: SessionInit, body: Body | undefined) => Promise<Response>

/** The same, with a request ahead of each stream, which can be sent once, and of a large body after a pause. */
export function withPriming(send: Send, { now }: Clock): Send {
  let answeredAt = Number.NEGATIVE_INFINITY
  const sendAndNote: Send = async (...request) => {
    const response = await send(...request)
    answeredAt = now()
    return response
  }
  return async (path, init, body) => {
    const isPrimed = Math.abs(now() - answeredAt) < NONCE_GOOD
    if (body instanceof ReadableStream || (sizeOf(body) > LARGE && !isPrimed)) {
      const primed = await sendAndNote(`/xrpc/${PRIMING}`, {}, undefined)
      await primed.body?.cancel()
    }
    return sendAndNote(path, init, body)
  }
}
