/** Input that is known to have broken others, through every door that input has. */
import { describe, expect, test } from 'vitest'
import { exitOf, hintOf } from '../../src/cli/errors.ts'
import { shellQuote } from '../../src/cli/shell.ts'
import { chooseClient } from '../../src/client/client-id.ts'
import { editDotenv, parseDotenv } from '../../src/credentials/dotenv.ts'
import { readCredentials } from '../../src/credentials/read.ts'
import { isOAuthError, USUAL_STATE } from '../../src/errors.ts'
import { parseCallback } from '../../src/login/callback.ts'
import { explainScope } from '../../src/protocol/explain/explain.ts'
import { parseChallenges } from '../../src/protocol/http/www-authenticate.ts'
import { parseIdentifier } from '../../src/protocol/identity/syntax.ts'
import { parseScope } from '../../src/protocol/scope/scope.ts'
import { buildXrpcRequest } from '../../src/protocol/xrpc/request.ts'
import { sanitize, sanitizeLines } from '../../src/text.ts'
import { ENVIRONMENT } from '../credentials/helpers.ts'
import { UNSEEN } from './support.ts'

const DOORS: Record<string, (text: string) => unknown> = {
  identifier: (text) => parseIdentifier(text, false),
  'a handle’s end': (text) => parseIdentifier(`alice.${text}`, true),
  'a server': (text) => parseIdentifier(`https://${text}`, true),
  'a DID': (text) => parseIdentifier(`did:web:${text}`, true),
  scope: parseScope,
  'a scope to explain': explainScope,
  'a permission to explain': (text) => explainScope(`atproto repo:${text}?action=${text} rpc:${text}`),
  client: (text) => chooseClient({ clientId: `https://app.example.com/${text}` }),
  'loopback client': (text) => chooseClient({ clientId: `http://localhost?scope=${text}` }),
  redirect: (text) => chooseClient({ redirectUri: `http://127.0.0.1/${text}` }),
  paste: parseCallback,
  state: (text) => parseCallback(`http://127.0.0.1/callback?iss=https%3A%2F%2Fas.dev&code=x&state=${text}`),
  'WWW-Authenticate': (text) => expect(parseChallenges(`DPoP error="${text}`)).toBeInstanceOf(Array),
  nsid: (nsid) => buildXrpcRequest({ nsid }, 'did:plc:x' as never),
  'DPoP key': (text) => readCredentials({ ...ENVIRONMENT, ATPROTO_OAUTH_DPOP_PRIVATE_JWK: text }, false),
  'client_id in the environment': (text) => readCredentials({ ...ENVIRONMENT, ATPROTO_OAUTH_CLIENT_ID: text }, false),
  PDS: (text) => readCredentials({ ...ENVIRONMENT, ATPROTO_OAUTH_PDS_ISSUER: `https://${text}` }, false),
  bundle: (text) => readCredentials({ ATPROTO_OAUTH_SESSION: text }, false),
}

/** Long enough that anything quadratic takes minutes. */
const MEGABYTE = 1_048_576
const NASTY: Record<string, string> = {
  'Kelvin sign': '\u212aelly.fake.dev',
  'I with a dot': '\u0130stanbul.fake.dev',
  'long s': '\u017fecret.fake.dev',
  'full-width letters': '\uff41\uff4c\uff49\uff43\uff45.fake.dev',
  NUL: 'ali\u0000ce.fake.dev',
  'lone surrogate': 'ali\ud800ce.fake.dev',
  traversal: '../../etc/passwd',
  'encoded traversal': '..%2F..%2Fetc%2Fpasswd',
  'a megabyte of letters': 'a'.repeat(MEGABYTE),
  'a megabyte of labels': 'a.'.repeat(MEGABYTE / 2),
  'a megabyte of spaces': ' '.repeat(MEGABYTE),
  'a megabyte of spaces before a letter': `${' '.repeat(MEGABYTE)}x`,
  'a megabyte of quotes': '"'.repeat(MEGABYTE),
  'a megabyte of brackets': `${'>'.repeat(MEGABYTE - 1)}x`,
  'a megabyte of backslashes': '\\'.repeat(MEGABYTE),
  'a megabyte of commas': ','.repeat(MEGABYTE),
  'a megabyte of percent signs': '%'.repeat(MEGABYTE),
  'a megabyte of slashes': '/'.repeat(MEGABYTE),
  'a megabyte of ampersands': '&amp;'.repeat(MEGABYTE / 5),
  'a megabyte of escapes': '\u001b['.repeat(MEGABYTE / 2),
  'a megabyte of Kelvin signs': '\u212a'.repeat(MEGABYTE),
}

/** Doors that none of these may pass. A URL folds what looks like ASCII, and a path may hold anything. */
const SHUT = [
  'identifier',
  'a handle’s end',
  'a DID',
  'paste',
  'state',
  'nsid',
  'DPoP key',
  'client_id in the environment',
]

describe.each(Object.entries(NASTY))('%s', (_, text) => {
  test.each(Object.entries(DOORS))('as %s', (door, enter) => {
    try {
      enter(text)
    } catch (error) {
      if (!isOAuthError(error)) throw error
      expect(Object.keys(USUAL_STATE)).toContain(error.code)
      expect(exitOf(error)).toBeLessThanOrEqual(4)
      expect(error.message + hintOf(error)).not.toMatch(UNSEEN)
      expect((error.message + hintOf(error)).length).toBeLessThan(7000)
      return
    }
    expect(SHUT).not.toContain(door)
  })

  test('in a message, a command, a file', () => {
    for (const shown of [sanitize(text), shellQuote(text)]) {
      expect(shown).not.toMatch(UNSEEN)
      expect(shown.length).toBeLessThanOrEqual(20_000)
    }
    expect(sanitizeLines(text)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u)
    const edited = editDotenv(`A=${text}\n`, [['B', 'b']])
    expect(parseDotenv(edited)).toMatchObject({ B: 'b' })
  })
})
