/**
 * The person at the browser, over HTTP: opens the authorization URL, signs in,
 * consents or refuses, and comes back with the callback URL. The page itself is
 * a React app over the JSON API used here.
 */
import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import https from 'node:https'
import { text } from 'node:stream/consumers'

const API = '/@atproto/oauth-provider/~api'
/** What a browser says of a page visited; global `fetch` would overwrite it. */
const NAVIGATE = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
const FROM_THE_PAGE = { 'sec-fetch-mode': 'same-origin', 'sec-fetch-dest': 'empty', 'sec-fetch-site': 'same-origin' }

export interface Login {
  readonly handle: string
  readonly password: string
}

/** `scope` grants less than was asked for. */
export type Decision = { readonly consent: true; readonly scope?: string | undefined } | { readonly refuse: true }

/** The server would not go on, with its response: a wrong password, an authorization URL that was used or is too old. */
export class SignInError extends Error {
  override readonly name = 'SignInError'
  readonly step: string
  readonly status: number
  readonly body: string

  constructor(step: string, { status, body }: Answer) {
    super(`${step} was answered with ${status}: ${body.slice(0, 300)}`)
    this.step = step
    this.status = status
    this.body = body
  }
}

/**
 * @returns the callback URL, which nobody has visited
 * @throws {SignInError}
 */
export async function signIn(authorizationUrl: string, login: Login, decision: Decision): Promise<string> {
  const browser = new Browser()
  const page = await browser.visit(authorizationUrl, 'cross-site')
  if (page.location !== undefined) return page.location // decided without the person
  if (page.status !== 200) throw new SignInError('the authorization page', page)

  const signedIn = await browser.post(authorizationUrl, 'sign-in', {
    username: login.handle,
    password: login.password,
    locale: 'en',
    remember: true,
  })
  const { account } = signedIn as { account: { did?: string; sub?: string } }
  const decided =
    'refuse' in decision
      ? await browser.post(authorizationUrl, 'reject', {})
      : await browser.post(authorizationUrl, 'consent', {
          ...(account.did !== undefined ? { did: account.did } : { sub: account.sub }),
          ...(decision.scope !== undefined && { scope: decision.scope }),
        })

  const { url } = decided as { url: string }
  const redirect = await browser.visit(new URL(url, authorizationUrl).href, 'same-origin', authorizationUrl)
  if (redirect.location === undefined) throw new SignInError('the redirect', redirect)
  return redirect.location
}

interface Answer {
  readonly status: number
  readonly body: string
  readonly location: string | undefined
}

/** As much of a browser as the authorization server looks for: cookies and the headers a page cannot forge. */
class Browser {
  readonly #cookies = new Map<string, string>()

  visit(url: string, site: 'cross-site' | 'same-origin', referer?: string): Promise<Answer> {
    return this.#send('GET', url, { ...NAVIGATE, 'sec-fetch-site': site, ...(referer !== undefined && { referer }) })
  }

  async post(page: string, endpoint: string, body: object): Promise<unknown> {
    const { origin } = new URL(page)
    const headers = {
      ...FROM_THE_PAGE,
      origin,
      referer: page,
      'x-csrf-token': this.#cookies.get('csrf-token') ?? '',
      'content-type': 'application/json',
    }
    const answer = await this.#send('POST', `${origin}${API}/${endpoint}`, headers, JSON.stringify(body))
    if (answer.status !== 200) throw new SignInError(endpoint, answer)
    return JSON.parse(answer.body)
  }

  async #send(method: string, url: string, headers: Record<string, string>, body?: string): Promise<Answer> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const { request: send } = url.startsWith('https:') ? https : http
    const request = send(url, { method, headers: { ...headers, ...(cookie !== '' && { cookie }) } })
    request.end(body)
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    for (const header of response.headers['set-cookie'] ?? []) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(header) ?? []
      if (name !== undefined && value !== undefined) this.#cookies.set(name, value)
    }
    return { status: response.statusCode ?? 0, body: await text(response), location: response.headers.location }
  }
}
