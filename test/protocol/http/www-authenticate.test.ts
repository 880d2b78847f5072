import { describe, expect, test } from 'vitest'
import { challengeError, parseChallenges } from '../../../src/protocol/http/www-authenticate.ts'

/** As plain objects, for comparing. */
function parse(header: string | null) {
  return parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)])
}

describe('14.1 the grammar of RFC 9110 §11.6.1', () => {
  test.each<[string, string | null, unknown[]]>([
    ['no header', null, []],
    ['empty', '', []],
    ['scheme alone', 'DPoP', [['dpop', {}]]],
    [
      'several in one header',
      'Bearer, DPoP algs="ES256 RS256", error="use_dpop_nonce"',
      [
        ['bearer', {}],
        ['dpop', { algs: 'ES256 RS256', error: 'use_dpop_nonce' }],
      ],
    ],
    ['token value', 'DPoP error=use_dpop_nonce', [['dpop', { error: 'use_dpop_nonce' }]]],
    ['odd case', 'dpop ERROR="x"', [['dpop', { error: 'x' }]]],
    ['spaces around =', 'DPoP error = "x" ,\talgs= ES256', [['dpop', { error: 'x', algs: 'ES256' }]]],
    [
      'empty list members',
      ', ,DPoP error="x",, ,Bearer',
      [
        ['dpop', { error: 'x' }],
        ['bearer', {}],
      ],
    ],
    ['escapes', 'DPoP realm="say \\"hi\\", \\\\ok"', [['dpop', { realm: 'say "hi", \\ok' }]]],
    ['empty quoted string', 'DPoP error=""', [['dpop', { error: '' }]]],
    ['unknown parameters', 'DPoP x-y="1", error="x"', [['dpop', { 'x-y': '1', error: 'x' }]]],
    ['first of a repeated name', 'DPoP error="a", Error="b"', [['dpop', { error: 'a' }]]],
    [
      'token68',
      'Negotiate YWJj==, DPoP error="x"',
      [
        ['negotiate', {}],
        ['dpop', { error: 'x' }],
      ],
    ],
    [
      'token68 with one =',
      'Negotiate YWJ=, DPoP error="x"',
      [
        ['negotiate', {}],
        ['dpop', { error: 'x' }],
      ],
    ],
    [
      'token68 without =',
      'Negotiate a/b+c, DPoP error="x"',
      [
        ['negotiate', {}],
        ['dpop', { error: 'x' }],
      ],
    ],
    [
      'two schemes with parameters',
      'Bearer realm="x", error="invalid_token", DPoP error="y"',
      [
        ['bearer', { realm: 'x', error: 'invalid_token' }],
        ['dpop', { error: 'y' }],
      ],
    ],
    [
      'a challenge hidden in a description',
      'Basic realm="x, DPoP error=\\"invalid_token\\"", DPoP error="use_dpop_nonce"',
      [
        ['basic', { realm: 'x, DPoP error="invalid_token"' }],
        ['dpop', { error: 'use_dpop_nonce' }],
      ],
    ],
    ['nonsense', '"quoted"', []],
    ['nonsense after a challenge', 'DPoP error="x" @@@, Bearer', [['dpop', { error: 'x' }]]],
  ])('%s', (_, header, expected) => {
    expect(parse(header)).toStrictEqual(expected)
  })

  test('several headers are one list', () => {
    const headers = new Headers([
      ['www-authenticate', 'Bearer realm="a"'],
      ['www-authenticate', 'DPoP error="invalid_token"'],
    ])
    expect(challengeError(headers)).toBe('invalid_token')
  })

  test('an unfinished string gives no error to act on', () => {
    expect(challengeError(new Headers({ 'www-authenticate': 'DPoP error="invalid_token' }))).toBeUndefined()
  })
})

describe('13.8, 14.2 the error to act on', () => {
  const algs = 'RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES256K ES384 ES512'
  test.each([
    ['algs before error', `DPoP algs="${algs}", error="use_dpop_nonce"`, 'use_dpop_nonce'],
    [
      'with a description',
      `DPoP algs="${algs}", error="use_dpop_nonce", error_description="Authorization server requires nonce in DPoP proof"`,
      'use_dpop_nonce',
    ],
    ['not of Bearer', 'Bearer error="invalid_token"', undefined],
    ['after Bearer', 'Bearer error="invalid_request", DPoP error="invalid_token"', 'invalid_token'],
    ['before Bearer', 'DPoP algs="ES256", Bearer error="invalid_token"', undefined],
    ['in a second DPoP challenge', 'DPoP algs="ES256", DPoP error="invalid_token"', 'invalid_token'],
    ['not in a realm', 'DPoP realm="x, error=\\"invalid_token\\""', undefined],
    ['not in a description', 'DPoP error_description="error=invalid_token, x"', undefined],
    ['not in a scheme alike', 'XDPoP error="invalid_token"', undefined],
    ['none', 'DPoP', undefined],
  ])('%s', (_, header, error) => {
    expect(challengeError(new Headers({ 'www-authenticate': header }))).toBe(error)
  })

  test('of Bearer, if that is asked for', () => {
    const headers = new Headers({ 'www-authenticate': 'DPoP error="a", Bearer error="b"' })
    expect(challengeError(headers, 'bearer')).toBe('b')
    expect(challengeError(new Headers(), 'bearer')).toBeUndefined()
  })
})
