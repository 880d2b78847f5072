import { expect, test } from 'vitest'
import { isOAuthError, loginFacts, OAuthError, withoutSession } from '../src/errors.ts'
import { sessionRecord } from './node/helpers.ts'

test('20.8 an error is clean from the start', () => {
  expect(new OAuthError('PAR_REFUSED', '\u001b[31mno\nway\u202e')).toMatchObject({ message: 'no way' })
})

test('the state of the session is what is usual for the code, unless whoever throws knows it', () => {
  expect(new OAuthError('SESSION_DEAD', 'gone')).toMatchObject({ session: 'dead', hasExplicitState: false })
  const error = new OAuthError('SESSION_DEAD', 'gone', { session: 'unknown' })
  expect(error).toMatchObject({ session: 'unknown', hasExplicitState: true })
})

test('a copy with something else keeps the rest, and the cause', () => {
  const cause = new Error('underneath')
  const facts = { reason: 'dev-mode-needed', did: 'did:web:a.dev' } as const
  const error = new OAuthError('DID_DOCUMENT_INVALID', 'it is wrong', { cause, facts })
  expect(error.with({ message: 'it is very wrong' })).toMatchObject({
    code: 'DID_DOCUMENT_INVALID',
    message: 'it is very wrong',
    session: 'alive',
    hasExplicitState: false,
    facts,
    cause,
  })
  expect(error.with({ facts: { did: 'did:web:b.dev' } }).facts).toStrictEqual({ did: 'did:web:b.dev' })
  expect(error.with({ code: 'SESSION_DEAD' })).toMatchObject({ session: 'dead', cause, facts })
  expect(error.with({ session: 'unknown' }).with({ code: 'SESSION_DEAD' })).toMatchObject({ session: 'unknown' })
})

test('before there is a session, none is alive', async () => {
  const of = (error: unknown) => withoutSession(Promise.reject(error)).catch((reason: unknown) => reason)
  expect(await of(new OAuthError('USAGE', 'no', { cause: 1 }))).toMatchObject({ session: 'none', cause: 1 })
  const known = new OAuthError('USAGE', 'no', { session: 'alive' })
  expect(await of(known)).toBe(known)
  const unclear = new OAuthError('EXCHANGE_AMBIGUOUS', 'no')
  expect(await of(unclear)).toBe(unclear)
})

test('of a session only what is no secret becomes a fact', () => {
  const record = sessionRecord({ refreshToken: 'canary' })
  const { did, handle, issuer, scope, clientId } = record
  expect(loginFacts(record)).toStrictEqual({ did, handle, issuer, scope, clientId, redirectUri: undefined })
})

test('whether an error is ours, and has one of the codes', () => {
  const error = new OAuthError('USAGE', 'no')
  expect([isOAuthError(error), isOAuthError(error, 'USAGE', 'XRPC_ERROR')]).toStrictEqual([true, true])
  expect([isOAuthError(error, 'XRPC_ERROR'), isOAuthError(new Error('no'))]).toStrictEqual([false, false])
})
