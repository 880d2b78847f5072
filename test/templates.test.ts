import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import packageJson from '../package.json' with { type: 'json' }
import { chooseClient } from '../src/client/client-id.ts'
import { readWorkflow } from './support/workflow.ts'

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

const RECIPES = ['github-actions.yml', 'forgejo-actions.yml', 'gitlab-ci.yml', 'kubernetes-cronjob.yml', 'crontab']

describe.each(RECIPES)('oauth-templates/%s', (name) => {
  const content = readFileSync(`oauth-templates/${name}`, 'utf8')

  test('is short, names the page that sets it up, and has the package at the version that this is', () => {
    expect(content.trimEnd().split('\n').length).toBeLessThanOrEqual(52)
    expect(content).toContain('docs/ci.md of atproto-oauth')
    const versions = [...content.matchAll(/npx (?:--yes )?atproto-oauth(?:@(\S+))? (?!login)/g)].map(
      ([, version]) => version,
    )
    expect(versions.length).toBeGreaterThan(1)
    expect(new Set(versions)).toStrictEqual(new Set([packageJson.version]))
  })
})

describe.each(['github-actions.yml', 'forgejo-actions.yml'])('oauth-templates/%s', async (name) => {
  const { errors, concurrency, shell, jobs } = await readWorkflow(readFileSync(`oauth-templates/${name}`, 'utf8'))
  const steps = jobs.flatMap((job) => job.steps)

  test("GitHub's own parser has nothing against it", () => {
    expect(errors).toStrictEqual([])
    expect(jobs.map(({ id }) => id)).toStrictEqual(['post', 'expiry'])
  })

  test('one secret, in the steps that need it; no environment, no action, and no run that waits for another', () => {
    const secrets = JSON.stringify(jobs).match(/secrets\.\w+/g)
    expect(new Set(secrets)).toStrictEqual(new Set(['secrets.ATPROTO_OAUTH_VAULT_KEY']))
    expect([concurrency, ...jobs.map(({ environment }) => environment)]).toStrictEqual([
      undefined,
      undefined,
      undefined,
    ])
    expect(steps.map(({ uses }) => uses)).toStrictEqual([undefined, undefined])
  })

  test('no expression is pasted into a script, and a script ends at its first failure, also in a pipe', () => {
    expect(shell).toBe('bash')
    for (const { run } of steps) expect(run ?? '').not.toContain('${{')
  })
})

test('oauth-templates/github-actions.yml: each job has the permissions that it needs, and no others', async () => {
  const { permissions, jobs } = await readWorkflow(readFileSync('oauth-templates/github-actions.yml', 'utf8'))
  expect(permissions).toStrictEqual({})
  expect(jobs.map((job) => job.permissions)).toStrictEqual([
    { contents: 'write' },
    { contents: 'read', issues: 'write' },
  ])
})

describe('oauth-templates/github-actions-secrets.yml', async () => {
  const content = readFileSync('oauth-templates/github-actions-secrets.yml', 'utf8')
  const { errors, concurrency, permissions, shell, jobs } = await readWorkflow(content)
  const steps = jobs.flatMap((job) => job.steps)

  test("GitHub's own parser has nothing against it", () => {
    expect(errors).toStrictEqual([])
    expect(jobs.map(({ id }) => id)).toStrictEqual(['post', 'each', 'expiry'])
  })

  test.each([
    ['cancel-in-progress: false', 'cancel-in-progress: never'],
    ['queue: max', 'queue: all'],
    ['needs: post', 'needs: poast'],
    ['timeout-minutes: 10', 'time-out: 10'],
    ['issues: write', 'issue: write'],
    ['github.repository }}@', 'githob.repository }}@'],
  ])('which would see %j written as %j', async (right, wrong) => {
    expect(content).toContain(right)
    expect((await readWorkflow(content.replace(right, wrong))).errors).not.toStrictEqual([])
  })

  test('runs are one at a time, and neither a running nor a waiting one is cancelled', () => {
    expect(concurrency).toStrictEqual({ group: 'atproto-oauth', 'cancel-in-progress': 'false', queue: 'max' })
  })

  test('secrets are those of an environment, which a job reads when it starts, and stay in the steps that need them', () => {
    for (const { environment, steps } of jobs) {
      if (steps.some(({ env }) => JSON.stringify(env).includes('secrets.'))) expect(environment).toMatch(/^atproto/)
    }
    const withSession = jobs.flatMap(({ environment, steps }) =>
      steps.filter(({ env }) => 'ATPROTO_OAUTH_SESSION' in env).map(({ name }) => [environment, name]),
    )
    expect(withSession).toStrictEqual([
      ['atproto', 'Refresh the session, lease an access token'],
      ['atproto', 'How long can the session last?'],
    ])
    expect(permissions).toStrictEqual({})
  })

  test('no expression is pasted into a script, and a script ends at its first failure, also in a pipe', () => {
    expect(shell).toBe('bash')
    for (const { run } of steps) expect(run ?? '').not.toContain('${{')
  })

  test('actions are pinned by their commit, and the package by the version that this is', () => {
    for (const { uses } of steps) expect(uses ?? '').toMatch(/^$|@[0-9a-f]{40}$/)
    const versions = [...content.matchAll(/npx (?:--yes )?atproto-oauth(?:@(\S+))?/g)].map(([, version]) => version)
    expect(versions.length).toBeGreaterThan(6)
    expect(new Set(versions)).toStrictEqual(new Set([packageJson.version]))
  })
})
