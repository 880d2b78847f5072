/**
 * Requests as the servers and the tests see them, and JSON responses.
 */
import { createHash, hash } from 'node:crypto'
import type { HttpInit } from '../ports.ts'

export type Json = Record<string, unknown>

/** One request as a server sees it. Header names are in lower case. */
export interface FakeRequest {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** As text; empty if there was none. */
  readonly body: string
}

/** A host outside the default topology; what a test passes to `world.serve`. */
export type Handler = (request: FakeRequest) => Response | Promise<Response>

export async function readRequest(url: URL, init: HttpInit = {}): Promise<FakeRequest> {
  const method = init.method ?? 'GET'
  if (init.body !== undefined && (method === 'GET' || method === 'HEAD')) {
    throw new TypeError('fetch refuses a body on GET and HEAD')
  }
  const headers = new Headers(init.headers)
  // A real fetch does this too, and servers then see a type that nobody meant.
  if (typeof init.body === 'string' && !headers.has('content-type')) {
    headers.set('content-type', 'text/plain;charset=UTF-8')
  }
  const target = new URL(url)
  target.hash = ''
  const body = typeof init.body === 'string' ? init.body : await new Response(init.body as BodyInit | undefined).text()
  return Object.freeze({ method, url: target.href, headers: Object.freeze(Object.fromEntries(headers)), body })
}

export function pathOf(request: FakeRequest): string {
  return new URL(request.url).pathname
}

/** The fields of a form body; of a repeated one the last. */
export function formOf(request: FakeRequest): Record<string, string> {
  return Object.fromEntries(new URLSearchParams(request.body))
}

export function json(status: number, body: unknown, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json', ...headers } })
}

export function sha256(text: string): string {
  return hash('sha256', text, 'base64url')
}

/**
 * Bytes that are the same in every run and different in every call: SHA-256 of the
 * label, the number of the call and the number of the block.
 */
export function seededBytes(label: string): (length: number) => Uint8Array {
  let call = 0
  return (length) => {
    call += 1
    const blocks: Uint8Array[] = []
    for (let block = 0; block * 32 < length; block += 1) {
      blocks.push(createHash('sha256').update(`${label}:${call}:${block}`).digest())
    }
    return new Uint8Array(Buffer.concat(blocks).subarray(0, length))
  }
}
