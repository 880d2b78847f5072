import { describe, expect, test } from 'vitest'
import { hintOf } from '../../src/cli/errors.ts'
import { isOAuthError } from '../../src/errors.ts'
import { parseCallback, validateCallback } from '../../src/login/callback.ts'
import type { PendingAuthorization } from '../../src/model.ts'
import { failure } from '../protocol/helpers.ts'
import { BASE, CODE, ISS, PENDING, QUERY, STATE, URL_ } from './callback.ts'

function judge(paste: string, changes: Partial<PendingAuthorization> = {}) {
  return validateCallback(parseCallback(paste), { ...PENDING, ...changes })
}

/** The error that the server sent. */
function denied(paste: string, changes: Partial<PendingAuthorization> = {}) {
  const judged = judge(paste, changes)
  if (!('denied' in judged)) throw new Error(`not denied: ${JSON.stringify(judged)}`)
  return judged.denied
}

describe('what people paste', () => {
  test.each([
    ['the whole URL', URL_],
    ['with space around', `\n  ${URL_} \r\n`],
    ['in double quotes', `"${URL_}"`],
    ['in single quotes', `'${URL_}'`],
    ['in quotes of a word processor', `“${URL_}”`],
    ['in guillemets', `«${URL_}»`],
    ['in angle brackets', `<${URL_}>`],
    ['in backticks', `\`${URL_}\``],
    ['in parentheses with a comma', `(${URL_}),`],
    ['as HTML', URL_.replaceAll('&', '&amp;')],
    ['as numeric HTML', URL_.replaceAll('&', '&#38;')],
    ['escaped by a shell', URL_.replace('?', '\\?').replaceAll('=', '\\=').replaceAll('&', '\\&')],
    ['with the marks of a terminal', `\u001b[200~${URL_}\u001b[201~\n`],
    ['wrapped at the edge of a terminal', URL_.replace(/.{40}/g, '$&\n')],
    ['wrapped by a mail client', URL_.replace(/.{60}/g, '$&\r\n  ')],
    ['with words before and behind', `Here it is: ${URL_} thanks for waiting\nand more`],
    ['with words on the next line', `${URL_}\nI clicked on allow`],
    ['wrapped, with words behind', `${URL_.replace(/.{60}/g, '$&\n')} is what I see`],
    ['in quotes, with words behind', `see "${URL_}" and so on`],
    ['twice, with words between', `${URL_} again:\n${URL_}`],
    ['with zero-width spaces', `\ufeff${URL_.replace('&code', '\u200b&code')}\u200b`],
    ['with an empty fragment', `${URL_}#`],
    ['9.9 with another fragment', `${URL_}#_=_`],
    ['9.9 with unknown parameters', `${URL_}&utm_source=x&session_state=y&utm_source=z`],
    ['with iss not encoded', `${BASE}?iss=${ISS}&state=${STATE}&code=${CODE}`],
    ['in another order', `${BASE}?code=${CODE}&state=${STATE}&iss=https%3a%2f%2fas.fake.dev`],
    ['host in upper case', URL_.replace('http', 'HTTP')],
    ['the query with its mark', `?${QUERY}`],
    ['the query alone', QUERY],
    ['the fragment alone', `#${QUERY}`],
    ['9.1 the response in the fragment', `${BASE}#${QUERY}`],
  ])('%s', (_, paste) => {
    expect(parseCallback(paste).state).toBe(STATE)
    expect(judge(paste)).toStrictEqual({ code: CODE })
  })

  test.each([
    ['nothing', '', 'nothing was pasted'],
    ['space', ' \n\t', 'nothing was pasted'],
    ['only the code', CODE, 'only the code'],
    ['the code without its prefix', '0a'.repeat(32), 'only the code'],
    [
      'the authorization URL',
      'https://as.fake.dev/oauth/authorize?client_id=http%3A%2F%2Flocalhost&request_uri=urn%3Aietf%3Areq-1',
      'this is the sign-in URL',
    ],
    ['another address', 'https://bsky.app/', 'not a callback URL: it has no code'],
    ['the redirect alone', BASE, 'not a callback URL: it has no code'],
    ['a broken address', `https://[::1?${QUERY}`, 'the pasted URL is invalid'],
    ['words', 'I clicked on allow', 'not a callback URL'],
    ['6.9 a megabyte', `${BASE}?state=${'x'.repeat(1_048_576)}`, 'too long'],
  ])('%s: unreadable', async (_, paste, why) => {
    expect(await failure(() => parseCallback(paste))).toMatchObject({
      code: 'CALLBACK_UNREADABLE',
      message: expect.stringContaining(why),
    })
  })

  test.each([
    ['cut by a shell at the first &', `${BASE}?iss=https%3A%2F%2Fas.fake.dev`, 'state and code are missing'],
    ['cut at the second &', `${BASE}?iss=https%3A%2F%2Fas.fake.dev&state=${STATE}`, 'code is missing'],
    ['only the code', `code=${CODE}`, 'state and iss are missing'],
    ['9.4 without state', `${BASE}?iss=${ISS}&code=${CODE}`, 'state is missing'],
    ['9.4 with an empty state', `${BASE}?iss=${ISS}&state=&code=${CODE}`, 'state is missing'],
    ['9.5 without iss', `${BASE}?state=${STATE}&code=${CODE}`, 'iss is missing'],
    ['26.16 a denial cut off before iss', `${BASE}?error=access_denied`, 'iss is missing'],
    ['9.5 an error without iss', `${BASE}?state=${STATE}&error=access_denied`, 'iss is missing'],
    ['9.8 with an empty code', `${BASE}?iss=${ISS}&state=${STATE}&code=`, 'code is missing'],
  ])('%s: incomplete', async (_, paste, why) => {
    expect(await failure(() => parseCallback(paste))).toMatchObject({
      code: 'CALLBACK_INCOMPLETE',
      message: `the callback URL is cut off: ${why}`,
    })
  })

  test.each([
    ['parameters in query and fragment', `${BASE}?code=${CODE}#${QUERY}`],
    ['a state in the query, the rest in the fragment', `${BASE}?state=${STATE}#iss=${ISS}&code=${CODE}`],
  ])('9.1 %s are not merged', async (_, paste) => {
    expect(await failure(() => parseCallback(paste))).toMatchObject({
      code: 'CALLBACK_REFUSED',
      message: expect.stringContaining('both its query and its fragment'),
    })
  })

  test.each(['state', 'iss', 'code', 'error', 'error_description'])('9.2 %s twice', async (name) => {
    for (const paste of [`${URL_}&${name}=x&${name}=x`, `${URL_}&${name}=x&${name}=`]) {
      expect(await failure(() => parseCallback(paste))).toMatchObject({
        code: 'CALLBACK_REFUSED',
        message: `repeated parameter "${name}" in the callback URL`,
      })
    }
  })

  test.each([
    '../../etc/passwd',
    'con',
    '..',
    `${STATE}/x`,
    `${STATE}.json`,
    `${STATE}%00`,
    '%E2%98%A0'.repeat(20),
    'x'.repeat(129),
    'x'.repeat(50_000),
  ])('6.9 state %.20s is not even looked up', async (state) => {
    expect(await failure(() => parseCallback(`${BASE}?iss=${ISS}&state=${state}&code=x`))).toMatchObject({
      code: 'CALLBACK_STATE_UNKNOWN',
    })
  })
})

describe('judging, in this order', () => {
  test('9.3 first the address', async () => {
    const wrong = [
      'http://127.0.0.1:8080/callback',
      'http://127.0.0.1/',
      'http://127.0.0.1/callback/',
      'http://127.0.0.1/Callback',
      'https://127.0.0.1/callback',
      'http://evil.dev/callback',
      'http://me@127.0.0.1/callback',
    ]
    for (const base of wrong) {
      const error = await failure(() => judge(`${base}?iss=https://evil.dev&state=${STATE}&error=x`))
      expect(error, base).toMatchObject({
        code: 'CALLBACK_REFUSED',
        message: expect.stringContaining('but this login was started with the redirect URI'),
      })
    }
  })

  test.each([
    ['a custom scheme', 'com.example.app:/cb', `com.example.app:/cb?${QUERY}`],
    ['a redirect with a query of its own', 'https://app.example.com/cb?x=1', `https://app.example.com/cb?x=1&${QUERY}`],
    ['a redirect not in canonical spelling', 'https://app.example.com', `https://app.example.com/?${QUERY}`],
    ['a port', 'http://127.0.0.1:8080/cb', `http://127.0.0.1:8080/cb?${QUERY}`],
  ])('9.3 %s', (_, redirectUri, paste) => {
    expect(judge(paste, { redirectUri })).toStrictEqual({ code: CODE })
  })

  test.each([`${ISS}/`, 'https://AS.fake.dev', `${ISS}:443`, 'https://evil.dev', 'http://as.fake.dev', 'as.fake.dev'])(
    '9.5 then iss, before error and code: %s',
    async (iss) => {
      for (const rest of [`code=${CODE}`, 'error=access_denied', `access_token=x&code=${CODE}`]) {
        const paste = `${BASE}?${new URLSearchParams({ iss, state: STATE })}&${rest}`
        expect(await failure(() => judge(paste)), rest).toMatchObject({
          code: 'CALLBACK_REFUSED',
          message: `the callback URL is from ${iss}, but this login was started at ${ISS}`,
        })
      }
    },
  )

  test('9.5 form-decoding once, not twice', async () => {
    const twice = encodeURIComponent(encodeURIComponent(ISS))
    expect(await failure(() => judge(`${BASE}?iss=${twice}&state=${STATE}&code=x`))).toMatchObject({
      code: 'CALLBACK_REFUSED',
    })
  })

  test('9.6 then error, before code', () => {
    const error = denied(`${URL_}&error=access_denied&error_description=The+user+%1B[31mdenied`)
    expect(error).toMatchObject({
      code: 'AUTHORIZATION_DENIED',
      message: `the sign-in was denied or has expired: ${ISS} returned access_denied "The user denied"`,
      facts: { did: PENDING.did },
    })
  })

  test.each(['access_token=x', 'id_token=x', 'response=eyJ.x.y'])('9.9, 9.6 error also before %s', (extra) => {
    expect(denied(`${URL_}&error=server_error&${extra}`).code).toBe('AUTHORIZATION_DENIED')
  })

  test.each([
    ['access_denied', 'denied or has expired'],
    ['invalid_scope', 'rejected the requested scope'],
    ['login_required', 'the sign-in in the browser was not completed'],
    ['consent_required', 'consent was required'],
    ['interaction_required', 'requires an interaction'],
    ['account_selection_required', 'no account was selected'],
    ['server_error', 'server failed'],
    ['temporarily_unavailable', 'is temporarily unavailable'],
    ['invalid_request', 'returned an error'],
    ['constructor', 'returned an error'],
    ['__proto__', 'returned an error'],
  ])('9.7 %s', (name, why) => {
    const error = denied(`${BASE}?iss=${ISS}&state=${STATE}&error=${name}`)
    expect(error.message).toContain(why)
    expect(error.message).toContain(`returned ${name}`)
  })

  test.each([
    ['the handle', { handle: 'alice.fake.dev' }, 'alice.fake.dev'],
    ['the DID', {}, 'did:plc:alice234567alice234567ab'],
    ['the server', { did: undefined }, ISS],
    [
      'a hosted client',
      { clientId: 'https://bot.alice.dev/client.json', redirectUri: BASE },
      `did:plc:alice234567alice234567ab --client-id https://bot.alice.dev/client.json --redirect-uri ${BASE}`,
    ],
  ])('9.6 the same login again, with %s', (_, changes, identifier) => {
    const { did, ...rest } = PENDING
    const pending = { ...('did' in changes ? rest : PENDING), ...changes } as PendingAuthorization
    const judged = validateCallback(parseCallback(`${BASE}?iss=${ISS}&state=${STATE}&error=x`), pending)
    expect('denied' in judged && hintOf(judged.denied)).toBe(`atproto-oauth init ${identifier}`)
  })

  test.each(['access_token', 'id_token', 'response'])('9.9 %s was not asked for', async (name) => {
    expect(await failure(() => judge(`${URL_}&${name}=x`))).toMatchObject({
      code: 'CALLBACK_REFUSED',
      message: `unexpected parameter "${name}" in the callback URL`,
    })
  })

  test.each([
    ['opaque', 'a.b_c~d-e'],
    ['10 KB', 'c'.repeat(10_240)],
    ['decoded once', 'a%2Bb%2526'],
  ])('9.8 the code is given as it is: %s', (_, code) => {
    expect(judge(`${BASE}?iss=${ISS}&state=${STATE}&code=${code}`)).toStrictEqual({ code: decodeURIComponent(code) })
  })

  test('9.11 what was thrown is ours, and quotes no code', async () => {
    const error = await failure(() => judge(`${URL_}&response=x`))
    expect(isOAuthError(error)).toBe(true)
    expect(error.message + JSON.stringify(error.facts)).not.toContain(CODE)
  })
})
