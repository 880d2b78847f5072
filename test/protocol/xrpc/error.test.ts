import { expect, test } from 'vitest'
import { xrpcError } from '../../../src/protocol/xrpc/error.ts'

test.each([
  [403, ': this server rejects it for OAuth sessions'],
  [401, ': this server rejects it for OAuth sessions'],
  [400, ': the server is likely to reject it for OAuth sessions, as PDS'],
])('26.1 a method that OAuth may not reach, rejected with %i: what is certain, and what is likely', (status, why) => {
  const body = JSON.stringify({ error: 'InvalidRequest', message: 'no' })
  const response = new Response(body, { status, headers: { 'content-type': 'application/json' } })
  const error = xrpcError('com.atproto.server.createAppPassword', response, body, 0, {})
  expect(error).toMatchObject({ code: 'XRPC_ERROR', facts: { reason: 'method-unavailable' } })
  expect(error.message).toContain(why)
})
