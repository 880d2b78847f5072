import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isOAuthError } from '../../src/errors.ts'
import { parseCallback, validateCallback } from '../../src/login/callback.ts'
import { parseChallenges } from '../../src/protocol/http/www-authenticate.ts'
import { pendingOf } from '../protocol/helpers.ts'
import { createFakeWorld } from '../support/fake-atproto.ts'
import { answerOf, anyText, holds, spoiled } from './support.ts'

const PENDING = pendingOf(createFakeWorld())
const { state, issuer, redirectUri } = PENDING
const CODE = `cod-${'0a'.repeat(32)}`
const HONEST = `${redirectUri}?${new URLSearchParams({ iss: issuer, state, code: CODE })}`
const DENIED = `${redirectUri}?${new URLSearchParams({ iss: issuer, state, error: 'access_denied', error_description: 'no' })}`
const pasted = fc.oneof(anyText, spoiled(HONEST), spoiled(DENIED, `?${HONEST.split('?')[1]}`, HONEST.replace('?', '#')))

test('9.1 whatever is pasted is a callback or refused by one of our codes', () => {
  holds(
    fc.property(pasted, (paste) => {
      const callback = answerOf(() => parseCallback(paste))
      if (!callback) return
      expect(callback.state).toMatch(/^[\w-]{16,128}$/)
      const judged = answerOf(() => validateCallback(callback, PENDING))
      if (!judged) return
      // However it was spoiled: nothing passes that does not name the server of this login.
      expect(callback.parameters.getAll('iss')).toStrictEqual([issuer])
      if ('denied' in judged) expect(judged.denied.code).toBe('AUTHORIZATION_DENIED')
      else expect(judged.code).toBe(callback.parameters.get('code'))
    }),
  )
})

test('no refusal quotes the code', () => {
  const noise = fc.constantFrom('&iss=x', '&state=y', '&response=z', '#code=1', '&code=2', '&id_token=3')
  holds(
    fc.property(
      fc.oneof(
        spoiled(HONEST),
        noise.map((more) => HONEST + more),
      ),
      (paste) => {
        try {
          validateCallback(parseCallback(paste), PENDING)
        } catch (error) {
          if (!isOAuthError(error)) throw error
          expect(error.message + JSON.stringify(error.facts) + error.stack).not.toContain(CODE.slice(10, 40))
        }
      },
    ),
  )
})

test('what terminals, mail programs and quotes do to a callback is undone', () => {
  const value = fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }).filter((text) => text.isWellFormed())
  const quotes = fc.constantFrom(
    ['', ''],
    ['"', '"'],
    ["'", "'"],
    ['<', '>'],
    ['“', '”'],
    ['(', '),'],
    ['\u001b[200~', '\u001b[201~'],
  )
  const breaks = fc.constantFrom('\n', '\r\n', '\n  ', '\u200b', ' \n')
  const entity = fc.constantFrom('&', '&amp;', '&#38;', '\\&')
  holds(
    fc.property(
      value,
      quotes,
      breaks,
      fc.integer({ min: 20, max: 200 }),
      entity,
      fc.boolean(),
      (code, [open, close], gap, width, and, bare) => {
        const url = `${redirectUri}?${new URLSearchParams({ code, state, iss: issuer })}`.replaceAll('&', and)
        const wrapped = (bare ? url.slice(url.indexOf('?') + 1) : url)
          .match(new RegExp(`.{1,${width}}`, 'g'))!
          .join(gap)
        expect(validateCallback(parseCallback(open + wrapped + close), PENDING)).toStrictEqual({ code })
      },
    ),
  )
})

test('14.1 whatever is in WWW-Authenticate, it is read to its end or to the first mistake', () => {
  const header = fc.oneof(
    anyText,
    spoiled('DPoP error="use_dpop_nonce", algs="ES256", Bearer realm=x', 'Basic QUJD==, DPoP error=invalid_token'),
  )
  holds(
    fc.property(header, (text) => {
      for (const { scheme, parameters } of parseChallenges(text)) {
        for (const name of [scheme, ...parameters.keys()]) expect(name).toMatch(/^[!#$%&'*+.^_`|~0-9a-z-]+$/)
      }
    }),
  )
})

test('14.1 challenges written by the grammar are read as they were meant', () => {
  const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9a-z-]{1,8}$/)
  const value = fc.string({ unit: 'grapheme-ascii', maxLength: 12 })
  const parameters = fc.uniqueArray(fc.tuple(token, value), { selector: ([name]) => name, minLength: 1, maxLength: 4 })
  const challenges = fc.array(fc.tuple(token, parameters), { minLength: 1, maxLength: 3 })
  const comma = fc.constantFrom(',', ', ', ' ,', ' ,\t, ')
  holds(
    fc.property(challenges, comma, (meant, gap) => {
      const quoted = (text: string) => `"${text.replace(/["\\]/g, '\\$&')}"`
      const header = meant
        .map(
          ([scheme, list]) =>
            `${scheme.toUpperCase()} ${list.map(([name, text]) => `${name}=${quoted(text)}`).join(gap)}`,
        )
        .join(gap)
      const read = parseChallenges(header).map((challenge) => [challenge.scheme, [...challenge.parameters]])
      expect(read).toStrictEqual(meant)
    }),
  )
})
