/**
 * Answers that no honest server gives: too large, without an end, broken off, of another kind.
 */
import { OAuthError } from '../../src/errors.ts'

export const JSON_TYPE = { 'content-type': 'application/json' }
export const TEN_MEGABYTES = 10 * 1024 * 1024

export function html(status = 200): Response {
  return new Response('<!doctype html><h1>Bad gateway</h1>', { status, headers: { 'content-type': 'text/html' } })
}

export function redirect(status: number, location: string): Response {
  return new Response(null, { status, headers: { location } })
}

/** What the server meant to say, and ten megabytes more. */
export async function fattened(answer: Response): Promise<Response> {
  const padding = ' '.repeat(TEN_MEGABYTES)
  return new Response((await answer.text()) + padding, answer)
}

/** What the server meant to say in another media type. */
export function retyped(type: string): (answer: Response) => Response {
  return (answer) => {
    const other = new Response(answer.body, answer)
    other.headers.set('content-type', type)
    return other
  }
}

export interface Endless {
  readonly answer: Response
  /** How many bytes were taken from it. */
  taken(): number
  isCancelled(): boolean
}

/** `{"a":"aaaa…` and so on, as long as somebody reads. */
export function endless(status = 200, headers: Record<string, string> = JSON_TYPE): Endless {
  const block = new TextEncoder().encode('a'.repeat(16_384))
  let taken = 0
  let cancelled = false
  const body = new ReadableStream<Uint8Array>(
    {
      start: (controller) => controller.enqueue(new TextEncoder().encode('{"a":"')),
      pull: (controller) => {
        taken += block.length
        controller.enqueue(block)
      },
      cancel: () => {
        cancelled = true
      },
    },
    { highWaterMark: 0 },
  )
  return { answer: new Response(body, { status, headers }), taken: () => taken, isCancelled: () => cancelled }
}

/** Begins like JSON and is lost; what a body at one byte a second is too, once the time is up. */
export function brokenOff(headers: Record<string, string> = JSON_TYPE): Response {
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode('{"a":')),
    pull: (controller) => controller.error(new OAuthError('NETWORK_LOST', 'no complete answer within 10 seconds')),
  })
  return new Response(body, { headers })
}
