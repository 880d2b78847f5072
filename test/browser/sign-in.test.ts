/** The whole way with a real browser on the real PDS's own pages: nothing here knows how they work, only what they say. */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { parse } from 'dotenv'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createCertificate } from '../support/certificates.ts'
import { type CliOptions, type CliResult, createHome, type Home, runCli, runShell } from '../world/cli.ts'
import { type Account, connectWorld } from '../world/world.ts'
import { describeInBrowser, launch } from './chromium.ts'
import { type Site, startSite } from './site.ts'

/** The PDS refuses names that it knows to be nobody's; this one it has to ask for. */
const HOST = 'client.lab-host.dev'
const SCOPE = 'atproto transition:generic'
/** The `client_name`, which only a trusted client is shown by. */
const NAME = 'Lab of names'

describeInBrowser('signing in with a browser', () => {
  const world = connectWorld()
  let site: Site
  let browser: Browser
  const homes: Home[] = []

  beforeAll(async () => {
    const certificate = await createCertificate([HOST])
    site = await startSite(certificate)
    browser = await launch({ [HOST]: site.port })
    await world.leadName(HOST, { port: site.port, ca: certificate.cert })
  })
  afterAll(async () => {
    await browser?.close()
    await site?.stop()
    await Promise.all(homes.map((home) => home.remove()))
  })

  async function begin(args: readonly string[] = []) {
    const account = await world.createAccount()
    const home = await createHome()
    const context = await browser.newContext({ locale: 'en-US', ignoreHTTPSErrors: true })
    homes.push(home)
    const run = (words: readonly string[], options: Partial<CliOptions> = {}) => runCli(words, { home, ...options })
    const { stdout, stderr, code } = await run(['init', account.handle, '--scope', SCOPE, ...args])
    expect(code, stderr).toBe(0)
    return { account, home, run, url: stdout.trim(), page: await context.newPage() }
  }

  test.concurrent('the address of the page that cannot load is what complete takes', async () => {
    const { account, run, url, page } = await begin()
    const redirected = page.waitForRequest((request) => request.url().startsWith('http://127.0.0.1/'))
    await signIn(page, url, account)
    expect(await page.locator('body').innerText()).toContain('An application on your device') // docs/client.md
    await page.getByRole('button', { name: 'Authorize' }).click()
    await expectSession(account, run, (await redirected).url())
  })

  test.concurrent('what the callback page of a hosted client copies is what complete takes', async ({ expect }) => {
    const { account, run, url, page } = await begin(hostedClient())
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write'], { origin: `https://${HOST}` })
    await signIn(page, url, account)
    expect(await page.locator('body').innerText()).toContain(HOST) // whom the person gives access to
    await page.getByRole('button', { name: 'Authorize' }).click()
    await page.getByRole('button', { name: 'Copy the URL' }).click()
    await expect.poll(() => page.getByRole('status').textContent()).toBe('Copied.')
    expect(page.url()).toBe(`https://${HOST}/callback/`)
    expect(await page.locator('#issuer').textContent()).toBe(world.pdsUrl)
    await expectSession(account, run, await page.evaluate(() => navigator.clipboard.readText()))
  })

  test.concurrent('docs/client.md: by which name the consent screen shows a hosted client', async () => {
    const shown = async (path?: string) => {
      const { account, url, page } = await begin(hostedClient(path))
      await signIn(page, url, account)
      return page.locator('body').innerText()
    }
    const [bare, full] = [await shown('/oauth-client-metadata.json'), await shown()]
    expect(bare).toContain(HOST)
    expect(bare).not.toContain('oauth-client-metadata.json')
    expect(full).toMatch(new RegExp(`https://${HOST}/[\\w-]+\\.json`))
    for (const text of [bare, full]) expect(text).not.toContain(NAME)
  })

  test.concurrent('9.6 a refusal comes to the callback page, and complete says how to start again', async ({
    expect,
  }) => {
    const { account, home, run, url, page } = await begin(hostedClient())
    await signIn(page, url, account)
    await page.getByRole('button', { name: 'Deny' }).click()
    await expect.poll(() => page.getByRole('heading', { level: 1 }).textContent()).toBe('Not signed in')
    expect(await page.locator('#what').textContent()).toContain('The sign-in was denied by you or by the server.')
    const completed = await run(['complete'], { stdin: await page.locator('textarea').inputValue() })
    expect(completed).toMatchObject({ code: 4, stdout: '' })
    expect(completed.stderr).toContain('[AUTHORIZATION_DENIED]')
    const [hint] = /(?<=hint: )atproto-oauth init .+/.exec(completed.stderr)!
    const again = await runShell(hint, { home })
    expect(again.code, again.stderr).toBe(0)
    expect(again.stdout).toContain(`${world.pdsUrl}/oauth/authorize?`)
  })

  /** @returns the options of `init` for a client whose document is published under a name of its own, for the PDS keeps it */
  function hostedClient(path = `/${randomUUID()}.json`): string[] {
    const template = JSON.stringify(CLIENT_DOCUMENT).replaceAll('example.com', HOST)
    const document = { ...JSON.parse(template), client_id: `https://${HOST}${path}`, client_name: NAME }
    site.publish(path, JSON.stringify(document))
    return ['--client-id', document.client_id, '--redirect-uri', document.redirect_uris[0]]
  }
})

const CLIENT_DOCUMENT = JSON.parse(
  readFileSync(new URL('../../oauth-templates/oauth-client-metadata.json', import.meta.url), 'utf8'),
)

/** To the question of consent. */
async function signIn(page: Page, url: string, { handle, password }: Account): Promise<void> {
  await page.goto(url)
  expect(await page.getByRole('textbox', { name: 'Identifier' }).inputValue()).toBe(handle) // the hint of `init`
  await page.getByRole('textbox', { name: 'Password' }).fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('button', { name: 'Authorize' }).waitFor()
}

/** Pastes what the browser gave into `complete`, and uses what that printed. */
async function expectSession(
  { did, handle }: Account,
  run: (words: readonly string[], options?: Partial<CliOptions>) => Promise<CliResult>,
  pasted: string,
): Promise<void> {
  const completed = await run(['complete'], { stdin: pasted })
  expect(completed.code, completed.stderr).toBe(0)
  const called = await run(['call', 'com.atproto.server.getSession'], { env: parse(completed.stdoutBytes) })
  expect(called.code, called.stderr).toBe(0)
  expect(JSON.parse(called.stdout)).toMatchObject({ did, handle })
}
