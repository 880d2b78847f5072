import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { chooseClient } from '../src/protocol/client.ts'

describe('oauth-templates', () => {
  const document = JSON.parse(readFileSync('oauth-templates/oauth-client-metadata.json', 'utf8'))

  test('5.3, 5.5, 5.6 the client document has what servers ask of a public client', () => {
    expect(document).toMatchObject({
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      application_type: 'web',
      token_endpoint_auth_method: 'none',
      dpop_bound_access_tokens: true,
    })
    expect(document.scope.split(' ')).toContain('atproto')
    expect(document).not.toHaveProperty('token_endpoint_auth_signing_alg')
    expect(new URL(document.client_uri).origin).toBe(new URL(document.client_id).origin)
  })

  test('init takes its client_id and redirect, once the host is a real one', () => {
    const hosted = (url: string) => url.replace('example.com', 'bot.alice.dev')
    const [redirectUri] = document.redirect_uris
    const choice = { clientId: hosted(document.client_id), redirectUri: hosted(redirectUri), scope: document.scope }
    expect(chooseClient(choice)).toStrictEqual(choice)
    expect(new URL(redirectUri).pathname).toBe('/callback/') // where callback/index.html is served
  })

  const page = readFileSync('oauth-templates/callback/index.html', 'utf8')

  test('the callback page asks nobody for anything and passes the code on to nobody', () => {
    expect(page).toContain('<meta name="referrer" content="no-referrer" />')
    expect(page).not.toMatch(/\s(?:src|href|style|on[a-z]+)\s*=\s*"|@import|url\(|fetch\(|innerHTML|https?:\/\//)
  })

  test('the callback page has no script and no style but what its policy names', () => {
    const [policy] = /(?<=http-equiv="Content-Security-Policy"\s+content=")[^"]+/.exec(page)!
    const hashes = (tag: string) =>
      [...page.matchAll(new RegExp(`<${tag}\\b[^>]*>(.*?)</${tag}>`, 'gs'))]
        .map(([, content = '']) => `'sha256-${createHash('sha256').update(content).digest('base64')}'`)
        .join(' ')
    expect(policy.split('; ')).toStrictEqual([
      "default-src 'none'",
      `script-src ${hashes('script')}`,
      `style-src ${hashes('style')}`,
      "base-uri 'none'",
      "form-action 'none'",
      "require-trusted-types-for 'script'",
      "trusted-types 'none'",
    ])
  })
})
