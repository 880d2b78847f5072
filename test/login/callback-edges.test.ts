/** The edges of callback.ts, each of which a mutant of it had moved unnoticed. */
import { describe, expect, test } from 'vitest'
import { parseCallback, validateCallback } from '../../src/login/callback.ts'
import { failure } from '../protocol/helpers.ts'
import { BASE, CODE, ISS, PENDING, QUERY, STATE, URL_ } from './callback.ts'

const judge = (paste: string) => validateCallback(parseCallback(paste), PENDING)

describe('pasted twice', () => {
  test.each([
    ['one below the other', `${URL_}\n${URL_}`],
    ['with lines between', `${URL_}\r\n\r\n\n${URL_}\n`],
    ['with space around', `  ${URL_} \n\t${URL_}`],
    ['three times', `${URL_}\n${URL_}\n${URL_}`],
    ['in capitals', `${URL_.replace('http', 'HTTP')}\n${URL_.replace('http', 'HTTP')}`],
  ])('%s', (_, paste) => {
    expect(judge(paste)).toStrictEqual({ code: CODE })
  })

  test('lines that are the same by chance stay', () => {
    const code = 'x'.repeat(80)
    const wrapped = `${URL_.replace(CODE, '')}\n${code.slice(0, 40)}\n${code.slice(40)}`
    expect(judge(wrapped)).toStrictEqual({ code })
  })

  test('9.2 the parameters alone are then there twice', async () => {
    const bare = `iss=${ISS}&state=${STATE}&code=${CODE}`
    expect(await failure(() => judge(`${bare}&\n${bare}&`))).toMatchObject({ code: 'CALLBACK_REFUSED' })
  })
})

describe('taken apart', () => {
  test.each([URL_, `"${URL_}"`, `<"${URL_}">`, `(('${URL_}')),`, `${URL_}\n${URL_}`])(
    '9.3 the address is seen in %.4s…',
    (paste) => {
      expect(parseCallback(paste).base).toBe(BASE)
    },
  )

  test('the parameters alone, with iss not encoded', () => {
    expect(judge(`iss=${ISS}&state=${STATE}&code=${CODE}`)).toStrictEqual({ code: CODE })
  })

  test('the address without its scheme', () => {
    expect(judge(URL_.replace('http://', ''))).toStrictEqual({ code: CODE })
  })

  test('a URL without its question mark is not a callback', async () => {
    expect(await failure(() => judge(`${BASE}&${QUERY}`))).toMatchObject({
      code: 'CALLBACK_UNREADABLE',
    })
  })

  test('6.9 64 KiB are read, one more is not', async () => {
    expect(judge(URL_.padEnd(65_536))).toStrictEqual({ code: CODE })
    expect((await failure(() => judge(URL_.padEnd(65_537)))).code).toBe('CALLBACK_UNREADABLE')
  })

  test.each(['response', 'access_token'])('9.9 %s in the place of the code is complete, and refused', async (name) => {
    expect(await failure(() => judge(`${BASE}?iss=${ISS}&state=${STATE}&${name}=x`))).toMatchObject({
      code: 'CALLBACK_REFUSED',
      message: `unexpected parameter "${name}" in the callback URL`,
    })
  })

  test.each(['response', 'access_token', 'id_token'])('9.2 %s twice', async (name) => {
    expect((await failure(() => judge(`${URL_}&${name}=x&${name}=x`))).message).toContain(
      `repeated parameter "${name}"`,
    )
  })

  test.each([
    [`code-${'0a'.repeat(20)}`, 'only the code'],
    [`code_${'0a'.repeat(20)}`, 'only the code'],
    [`mine is ${CODE}`, 'not a callback URL'],
    [`${CODE} thanks`, 'not a callback URL'],
  ])('%s: %s', async (paste, what) => {
    expect((await failure(() => judge(paste))).message).toContain(what)
  })
})

describe('validated without the checks of parsing', () => {
  const bare = (query: string) => ({ parameters: new URLSearchParams(query), state: STATE })

  test.each(['', 'iss='])('9.5 no iss: %j', async (query) => {
    expect((await failure(() => validateCallback(bare(query), PENDING))).message).toContain('has no iss')
  })

  test('9.8 no code', async () => {
    expect(await failure(() => validateCallback(bare(`iss=${ISS}`), PENDING))).toMatchObject({
      code: 'CALLBACK_REFUSED',
      message: 'the callback URL has no code',
    })
  })

  test('9.3 a login whose redirect is no URL', async () => {
    const error = await failure(() => validateCallback(parseCallback(URL_), { ...PENDING, redirectUri: 'none' }))
    expect(error.code).toBe('CALLBACK_REFUSED')
  })

  test('9.6 an error without a description, to the letter', () => {
    const judged = judge(`${BASE}?iss=${ISS}&state=${STATE}&error=access_denied`)
    expect('denied' in judged && judged.denied.message).toBe(
      `the sign-in was denied or has expired: ${ISS} returned access_denied`,
    )
  })

  test('6.9 a state that cannot be ours is said to be none', async () => {
    expect((await failure(() => judge(URL_.replace(STATE, '..')))).message).toContain(
      'matches no login that was started here',
    )
  })
})
