/** A front on the session of alice in the fake world, and requests to it without a socket. */
import { createFront, type Front, type FrontOptions, type Refusal } from '../../src/front/front.ts'
import { type PermitOptions, parsePermit } from '../../src/front/permit.ts'
import type { LocalRequest, LocalResponse } from '../../src/ports.ts'
import { openSession } from '../../src/session/open.ts'
import type { Json } from '../../src/testing/http.ts'
import type { FakeWorld } from '../support/fake-atproto.ts'
import { signedIn } from '../support/login.ts'

export const ORIGIN = 'http://127.0.0.1:1234'
export const PASSWORD = 'the-password-of-this-run'

export interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: object | Uint8Array | ReadableStream<Uint8Array>
  readonly signal?: AbortSignal
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** JSON, or the text of another response. */
  readonly body: Json & { readonly accessJwt: string; readonly refreshJwt: string }
}

export interface OpenFront {
  readonly world: FakeWorld
  readonly refusals: Refusal[]
  readonly settled: () => Promise<void>
  /** @param nsid or a whole path */
  ask(nsid: string, asked?: Asked): Promise<Answer>
  /** The headers of a program that has signed in. */
  signIn(
    identifier?: string,
  ): Promise<{ readonly authorization: string; readonly refreshJwt: string; accessJwt: string }>
  readonly handle: (request: LocalRequest) => Promise<LocalResponse>
  /** Another run on the same session. */
  readonly another: () => Front
}

export async function openFront({
  permit = {},
  faults = {},
  scope,
  ...changes
}: Partial<Omit<FrontOptions, 'permit'>> & {
  readonly permit?: PermitOptions
  readonly faults?: Partial<FakeWorld['faults']>
  readonly scope?: string
} = {}): Promise<OpenFront> {
  const { world, separate } = await signedIn(faults, ...(scope === undefined ? [] : [scope]))
  const session = await openSession(separate, world)
  const refusals: Refusal[] = []
  const options: FrontOptions = {
    origin: ORIGIN,
    handle: world.alice.handle as FrontOptions['handle'],
    password: PASSWORD,
    permit: parsePermit(permit),
    onRefused: (refusal) => void refusals.push(refusal),
    ...changes,
  }
  const front = createFront(session, options, world)
  const ask: OpenFront['ask'] = async (nsid, { method, headers = {}, body, signal } = {}) => {
    const isBytes = body instanceof Uint8Array || body instanceof ReadableStream
    const content = async () => (body === undefined || isBytes ? body : new TextEncoder().encode(JSON.stringify(body)))
    const answer = await front.handle({
      method: method ?? (body === undefined ? 'GET' : 'POST'),
      target: nsid.startsWith('/') ? nsid : `/xrpc/${nsid}`,
      headers: { host: '127.0.0.1:1234', ...(body && !isBytes && { 'content-type': 'application/json' }), ...headers },
      body: content,
      smallBody: content,
      signal: signal ?? new AbortController().signal,
    })
    const text = await new Response(answer.body as BodyInit).text()
    const answered = Object.fromEntries(answer.headers)
    const isJson = answered['content-type']?.startsWith('application/json') === true
    return { status: answer.status, headers: answered, body: (isJson ? JSON.parse(text) : text) as Answer['body'] }
  }
  return {
    world,
    refusals,
    ask,
    settled: front.settled,
    handle: front.handle,
    another: () => createFront(session, options, world),
    async signIn(identifier = world.alice.did) {
      const { status, body } = await ask('com.atproto.server.createSession', {
        body: { identifier, password: PASSWORD },
      })
      if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`)
      return { authorization: `Bearer ${body.accessJwt}`, refreshJwt: body.refreshJwt, accessJwt: body.accessJwt }
    },
  }
}
