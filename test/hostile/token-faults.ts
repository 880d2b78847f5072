/**
 * What the token endpoint can do to whoever spends something there.
 */
import { type Fault, json } from '../support/fake-atproto.ts'
import { brokenOff, endless, fattened, html, JSON_TYPE, retyped } from '../support/fake-bodies.ts'

export const MALLORY = 'did:plc:mallory234567mallory2345'
export const refuse = (status: number, error: string) => () => json(status, { error, error_description: 'why' })
const refuseProof = (why: string) => json(400, { error: 'invalid_dpop_proof', error_description: why })
export const instead =
  (body: BodyInit | null, status = 200) =>
  () =>
  () =>
    new Response(body, { status, headers: JSON_TYPE })

/** After each of these nobody but the server knows whether a token or code was spent. */
export const NO_TOKENS: readonly [string, () => Fault][] = [
  ['dropped before the server had it', () => 'lostBefore'],
  ['dropped after the server committed', () => 'lostAfter'],
  ['500', refuse(500, 'server_error')],
  ['502 HTML, after the server committed', () => () => html(502)],
  ['503 with tokens in it', () => (answer) => new Response(answer.body, { status: 503, headers: JSON_TYPE })],
  ['the request arrived twice, and the second response came back', () => () => refuseProof('DPoP proof replayed')],
  ['the same, in other words', () => () => refuseProof('the jti of the proof was already used')],
  ['10.5 200 HTML', () => () => html()],
  ['10.5 200 without a body', instead(null)],
  ['10.5 200 with half of it', instead('{"access_token":"at-')],
  ['10.5 200 with ten megabytes', () => fattened],
  ['10.5 200 never-ending', () => () => endless().answer],
  ['10.5 200, one byte a second', () => () => brokenOff()],
  ['10.5 200 with JSON of a gateway', instead('{"status":"ok"}')],
  ['10.5 200 as text/plain, with half of it', () => async (answer) => new Response((await answer.text()).slice(0, 40))],
  ['10.5 204', instead(null, 204)],
]

const restatus = (status: number) => (answer: Response) =>
  new Response(answer.body, { status, headers: answer.headers })

/** The tokens are there, and what stands around them is wrong. */
export const ODD_TOKENS: readonly [string, () => Fault][] = [
  ['as text/plain', () => retyped('text/plain')],
  ['as text/json', () => retyped('text/json')],
  ['as text/html', () => retyped('text/html; charset=utf-8')],
  ['with two media types', () => retyped('application/json, application/json')],
  ['with a media type that is none', () => retyped(';')],
  [
    'without a media type',
    () => (answer) => {
      const other = new Response(answer.body, answer)
      other.headers.delete('content-type')
      return other
    },
  ],
  ['201', () => restatus(201)],
  ['202', () => restatus(202)],
  ['203', () => restatus(203)],
  ['206', () => restatus(206)],
]
