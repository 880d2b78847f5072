import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fromNodeSession, toNodeSession } from '../../src/credentials/node-session.ts'
import { readCredentials } from '../../src/credentials/read.ts'
import { isOAuthError } from '../../src/errors.ts'
import type { Credentials } from '../../src/model.ts'
import { parseNonces, parsePending, parseSession, sealed, storedLogin } from '../../src/node/store/records.ts'
import { asHandle } from '../../src/protocol/identity/syntax.ts'
import { generateDpopJwk } from '../../src/protocol/oauth/dpop.ts'
import { KEY, pendingRecord, sessionRecord, THUMBPRINT } from '../node/helpers.ts'
import { changeOf, holds, kindOf, nestedText, pathsIn, replaced, TOO_DEEP, valueAt } from './support.ts'

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const PATH = '/home/alice/record.json'
/** Pieces of every secret in these records. */
const SECRET = /canary|rPQUCt|Dcz3Kf/
const { did, pds, clientId } = sessionRecord()
const handle = asHandle('alice.example.com')
const clientKey = { kid: 'first', thumbprint: THUMBPRINT }
const AT = 1_700_000_000_000

/** Records that have every member. */
const PENDING = {
  ...pendingRecord(),
  did,
  handle,
  clientKey,
  refusedCodes: ['h'],
  emptyIncludes: ['include:a.b.c'],
  setPermissions: ['repo:a.b.d'],
  appState: 'user 7',
}
const SPENT = { version: 1, status: 'spent', state: 'canary-state', codeHash: 'h', outcome: 'completed', did, at: AT }
const RECEIVED = {
  version: 1,
  status: 'received',
  state: 'canary-state',
  codeHash: 'h',
  did,
  handle,
  requestedScope: 'atproto',
  emptyIncludes: ['include:a.b.c'],
  setPermissions: ['repo:a.b.d'],
  appState: 'user 7',
  credentials: {
    did,
    clientId,
    clientKey,
    dpopPrivateJwk: KEY,
    pdsIssuer: pds,
    refreshToken: 'canary-refresh',
    accessToken: 'canary-access',
    accessTokenExpiresAt: AT,
    issuer: pds,
    scope: 'atproto',
    thumbprint: THUMBPRINT,
    createdAt: AT,
    rotatedAt: AT,
    rotation: 1,
    bundled: false,
  },
  at: AT,
}
const SESSION = sealed({
  ...sessionRecord({ clientKey, issuer: pds, createdAt: AT, rotatedAt: AT, clockOffset: 1, rotation: 1 }),
  ...sessionRecord({ spentTokens: ['h'], intent: { tokenHash: 'h', at: AT }, bundled: false }),
  ...sessionRecord({ handle, savedTo: ['file:/x'], undelivered: ['file:/x'] }),
  ended: { at: AT, reason: 'r', handedOver: 'h' },
})

/** The record, or nothing if it was refused as it should be. */
function read<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch (error) {
    if (!isOAuthError(error, 'STORE_INVALID')) throw error
    expect(`${error.message} ${JSON.stringify(error.facts)} ${error.stack}`).not.toMatch(SECRET)
    expect(error.cause).toBeUndefined()
    return undefined
  }
}

describe.each<[string, object, (text: string) => object]>([
  ['pending', PENDING, (text) => storedLogin(parsePending(text, PATH))],
  ['spent', SPENT, (text) => storedLogin(parsePending(text, PATH))],
  ['received', RECEIVED, (text) => storedLogin(parsePending(text, PATH))],
  ['session', SESSION, (text) => parseSession(text, PATH, THUMBPRINT)],
])('a stored record: %s', (_, honest, parse) => {
  const seal = 'seal' in honest ? { seal: honest.seal } : {}

  test('as it was written it is read, and so is what a newer version has added', () => {
    const later = { ...honest, later: { of: [1, null] } }
    for (const record of [honest, later]) expect({ ...parse(JSON.stringify(record)), ...seal }).toStrictEqual(record)
  })

  test('with anything in the place of any member, it is a record or STORE_INVALID', () => {
    holds(
      fc.property(changeOf(honest), ({ path, text }) => {
        const record = read(() => parse(text))
        if (record === undefined || path[0] === 'seal') return
        expect(kindOf(valueAt(record, path))).toBe(kindOf(valueAt(honest, path)))
      }),
    )
  })

  const members = pathsIn(honest).filter(({ length }) => length > 0)
  test.each(members.map((path) => ({ name: path.join('.'), path })))('$name of another type is refused', ({ path }) => {
    const before = kindOf(valueAt(honest, path))
    for (const value of [null, true, 7, 'text', [[]], { a: {} }].filter((each) => kindOf(each) !== before)) {
      const message = expect.stringContaining(path[0] === 'seal' ? PATH : `version: ${path[0]}`)
      const run = () => parse(JSON.stringify(replaced(honest, path, value)))
      expect(run, JSON.stringify(value)).toThrow(expect.objectContaining({ code: 'STORE_INVALID', message }))
    }
  })

  test('nested deeper than it could be written again, it is refused', () => {
    const text = JSON.stringify(honest).replace(/\}$/, `,"later":${nestedText(TOO_DEEP)}}`)
    expect(read(() => parse(text))).toBeUndefined()
  })
})

describe.each<[string, object, (value: unknown) => Credentials | Promise<Credentials>, readonly string[]]>([
  [
    'bundle',
    { version: 1, ...RECEIVED.credentials },
    (value) => readCredentials({ ATPROTO_OAUTH_SESSION: encoded(value) }, false)!,
    ['CREDENTIALS_INVALID'],
  ],
  [
    'session of the official library',
    toNodeSession({
      ...RECEIVED.credentials,
      did,
      server: pds,
      issuer: pds,
      dpopPrivateJwk: await generateDpopJwk(),
    }),
    (value) => fromNodeSession(value, { clientId: 'https://app.example/c.json', clientJwk: { ...KEY, kid: 'first' } }),
    ['CREDENTIALS_INVALID', 'CREDENTIALS_INCOMPLETE', 'CREDENTIALS_MISMATCH'],
  ],
])('what somebody gives us: a %s', (_, honest, parse, codes) => {
  test('with anything in the place of any member, it is credentials or an error that quotes nothing', async () => {
    const whole = { ...RECEIVED.credentials, ...(await parse(honest)) }
    await holds(
      fc.asyncProperty(changeOf(honest), async ({ text }) => {
        try {
          const credentials = await parse(JSON.parse(text))
          for (const [name, member] of Object.entries(credentials)) {
            if (member !== undefined) expect(kindOf(member), name).toBe(kindOf(valueAt(whole, [name])))
          }
        } catch (error) {
          if (!isOAuthError(error) || !codes.includes(error.code)) throw error
          expect(`${error.message} ${JSON.stringify(error.facts)} ${error.stack}`).not.toMatch(SECRET)
          expect(error.cause).toBeUndefined()
        }
      }),
    )
  })
})

test('nonces: whatever is in the file, what can be used of it', () => {
  holds(
    fc.property(changeOf({ 'https://a.example': 'n1', 'https://b.example': 'n2' }), ({ text }) => {
      for (const nonce of Object.values(parseNonces(text))) expect(nonce).toBeTypeOf('string')
    }),
  )
})
