/** oauth-templates/callback/index.html as a browser has it. `SCREENSHOTS=<folder>` keeps pictures to look at. */
import { join } from 'node:path'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { describeInBrowser, launch } from './chromium.ts'
import { contrast, seen } from './looks.ts'
import { type Site, startSite } from './site.ts'

const ISSUER = 'https://pds.example'
const STATE = 'nMaYCd2iJb0NkmoKCkvQSSmjjYsQAiUHPfJfU3MQ9bE'
const FROM = `iss=${encodeURIComponent(ISSUER)}&state=${STATE}`
const ANSWER = `${FROM}&code=cod-${'0a'.repeat(32)}`
const denied = (error: string, error_description?: string) =>
  `${FROM}&${new URLSearchParams({ error, ...(error_description && { error_description }) })}`

/** By this name the page is in no secure context, and has no clipboard. */
const INSECURE = 'callback.test'

describeInBrowser('the callback page', () => {
  let site: Site
  let origin: string
  let browser: Browser
  let contexts: BrowserContext[] = []
  /** What the browser complained of, violations of the policy among it. */
  let faults: string[] = []
  /** All that pages asked for. */
  let requested: string[] = []

  beforeAll(async () => {
    site = await startSite()
    origin = `http://127.0.0.1:${site.port}`
    browser = await launch({ [INSECURE]: site.port })
  })
  afterAll(async () => {
    await browser?.close()
    await site?.stop()
  })
  afterEach(async () => {
    await Promise.all(contexts.map((context) => context.close()))
    const complaints = faults
    contexts = []
    faults = []
    requested = []
    expect(complaints).toStrictEqual([])
  })

  async function newPage(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext(options)
    contexts.push(context)
    context.on('request', (request) => requested.push(request.url()))
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin })
    const page = await context.newPage()
    page.on('console', (message) => faults.push(message.text()))
    page.on('pageerror', (error) => faults.push(error.message))
    page.on('dialog', (dialog) => {
      faults.push(`dialog: ${dialog.message()}`)
      void dialog.dismiss()
    })
    return page
  }

  async function open(parameters: string, options?: BrowserContextOptions): Promise<Page> {
    const page = await newPage(options)
    await page.goto(`${origin}/callback/${parameters}`)
    return page
  }

  const field = (page: Page) => page.getByRole('textbox', { name: 'The callback URL' })
  const button = (page: Page) => page.getByRole('button', { name: 'Copy the URL' })
  const copiedIn = (page: Page) => page.evaluate(() => navigator.clipboard.readText())

  test.each(['?', '#'])('keeps the whole URL after %s, and takes the code out of the address bar', async (mark) => {
    const before = site.requests.length
    const page = await open(mark + ANSWER)
    const title = 'Signed in: one step left'
    expect(await seen(page)).toMatchObject({ title, heading: title, facts: [ISSUER], tellsCommand: true })
    expect(await field(page).inputValue()).toBe(`${origin}/callback/${mark}${ANSWER}`)
    expect(page.url()).toBe(`${origin}/callback/`)
    expect(requested).toStrictEqual([`${origin}/callback/${mark === '?' ? `?${ANSWER}` : ''}`]) // and nothing else
    expect(site.requests.length - before).toBe(1)
  })

  test('leaves the code in no history entry, referrer or reloaded page', async () => {
    site.publish('/next', '<link rel="icon" href="data:," />')
    const page = await open(`?${ANSWER}`)
    expect(await page.evaluate(() => history.length)).toBe(2) // the blank page and this one
    await page.evaluate(() => location.assign('/next'))
    await page.waitForURL('**/next')
    const { path, headers } = site.requests.at(-1)!
    expect(path).toBe('/next')
    expect(headers).not.toHaveProperty('referer')
    await page.goBack()
    expect(page.url()).toBe(`${origin}/callback/`)
    await page.reload()
    expect(await seen(page)).toMatchObject({ heading: 'Nothing to see here', address: '', tellsCommand: false })
    expect(await page.content()).not.toContain(STATE)
    expect(await button(page).isVisible()).toBe(false)
  })

  test('can be served with doubled slashes in its path', async () => {
    const page = await newPage()
    await page.goto(`${origin}//callback/?${ANSWER}`)
    expect(page.url()).toBe(`${origin}//callback/`)
    expect(await field(page).inputValue()).toBe(`${origin}//callback/?${ANSWER}`)
  })

  test('says in plain words why no sign-in happened', async () => {
    const page = await newPage()
    for (const { answer, plain } of [
      { answer: denied('access_denied'), plain: 'The sign-in was denied by you or by the server.' },
      { answer: denied('access_denied', 'This request has expired'), plain: 'The sign-in took too long' },
      { answer: denied('access_denied', 'Initiated from another device'), plain: 'started in one browser' },
      { answer: denied('server_error'), plain: 'The server failed.' },
      { answer: denied('server_error', 'Its token has expired'), plain: 'The server failed.' },
      { answer: denied('constructor'), plain: 'The server ended the sign-in with an error.' },
      { answer: `${denied('access_denied')}&code=cod-1`, plain: 'The sign-in was denied by you or by the server.' },
    ]) {
      const address = `${origin}/callback/?${answer}`
      await page.goto(address)
      const given = new URLSearchParams(answer)
      const reason = [given.get('error'), given.get('error_description')].filter(Boolean).join(': ')
      const heading = 'Not signed in'
      const what = expect.stringContaining(plain)
      expect(await seen(page)).toMatchObject({ heading, what, address, facts: [ISSUER, reason], tellsCommand: true })
      expect(page.url()).toBe(`${origin}/callback/`)
    }
  })

  test('does not take for a sign-in what is none', async () => {
    const page = await newPage()
    for (const [parameters, heading, what] of [
      ['?code=cod-1&state=s', 'The callback URL is cut off', 'It lacks iss,'],
      [`?iss=${ISSUER}`, 'The callback URL is cut off', 'It lacks state and code,'],
      [`?${ANSWER}&code=cod-2`, 'Invalid callback URL', 'It contains code twice'],
      [`?${ANSWER}#${ANSWER}`, 'Invalid callback URL', 'It contains a response twice'],
      ['', 'Nothing to see here', 'This visit has no callback URL'],
      ['?utm_source=x#top', 'Nothing to see here', 'This visit has no callback URL'],
    ] as const) {
      await page.goto(`${origin}/callback/${parameters}`)
      expect(await seen(page)).toMatchObject({ heading, what: expect.stringContaining(what), tellsCommand: false })
      expect(page.url()).not.toContain('cod-')
    }
  })

  test('copies at the press of a button, and says so each time', async () => {
    const page = await open(`?${ANSWER}`)
    await page.evaluate(() => {
      const told: (string | null)[] = []
      const status = document.querySelector('[role=status]')!
      new MutationObserver(() => told.push(status.textContent)).observe(status, { childList: true })
      Object.assign(window, { told })
    })
    for (const told of [['Copied.'], ['Copied.', '', 'Copied.']]) {
      await page.evaluate(() => navigator.clipboard.writeText('something else'))
      await button(page).click()
      await expect.poll(() => page.evaluate('told')).toStrictEqual(told)
      expect(await copiedIn(page)).toBe(`${origin}/callback/?${ANSWER}`)
    }
  })

  test('works by keyboard alone, with a focus that can be seen', async () => {
    const page = await open(`?${ANSWER}`)
    const focused = () =>
      page.evaluate(() => [document.activeElement?.id, getComputedStyle(document.activeElement!).outlineStyle])
    await page.keyboard.press('Tab')
    expect(await focused()).toStrictEqual(['address', 'solid'])
    expect(await page.evaluate(() => getSelection()?.toString())).toBe(`${origin}/callback/?${ANSWER}`)
    await page.keyboard.press('Tab')
    expect(await focused()).toStrictEqual(['copy', 'solid'])
    await page.keyboard.press('Enter')
    await expect.poll(() => page.getByRole('status').textContent()).toBe('Copied.')
    expect(await copiedIn(page)).toBe(`${origin}/callback/?${ANSWER}`)
  })

  test('selects the URL where a page may not write to the clipboard', async () => {
    const page = await newPage()
    const address = `http://${INSECURE}/callback/?${ANSWER}`
    await page.goto(address)
    await button(page).click()
    await expect.poll(() => page.getByRole('status').textContent()).toContain('press Ctrl-C')
    await page.keyboard.press('Control+C')
    await page.goto(`${origin}/callback/`)
    expect(await copiedIn(page)).toBe(address)
  })

  test('says without JavaScript what to do, and where the address stays', async () => {
    const page = await open(`?${ANSWER}`, { javaScriptEnabled: false })
    expect(page.url()).toBe(`${origin}/callback/?${ANSWER}`)
    const text = await page.locator('main').innerText()
    for (const said of [
      'Back to the terminal',
      'Copy the whole callback URL from the address bar.',
      'npx atproto-oauth complete',
      'JavaScript is off: the address stays in the address bar',
    ]) {
      expect(text).toContain(said)
    }
    expect(await page.locator('button:visible, textarea:visible, dt:visible').count()).toBe(0)
    expect(requested).toStrictEqual([page.url()])
  })

  test('shows parameters as short text only, whatever is in them', async () => {
    const page = await open(`?${denied('access_denied', 'x')}`)
    const { elements } = await seen(page)
    for (const payload of [
      '<img src=x onerror=alert(1)>',
      '"><script>alert(1)</script>',
      '</textarea><svg onload=alert(1)>',
      '</script><script>alert(1)</script>',
      'javascript:alert(1)',
      `<a href="${origin}/next">click</a>`,
      'pds.example\u202Emoc.live\u200B\u0000\u2028',
      '__proto__',
      'x'.repeat(2_000),
    ]) {
      const clean = payload.replace(/[\u202E\u200B\0\u2028]/g, '\uFFFD')
      const shown = clean.length > 200 ? `${clean.slice(0, 200)}…` : clean
      const names = ['iss', 'state', 'error', 'error_description', payload]
      for (const mark of ['?', '#']) {
        const address = `${origin}/callback/${mark}${new URLSearchParams(names.map((name) => [name, payload]))}`
        await page.goto('about:blank') // or a fragment alone would load nothing
        await page.goto(address)
        expect(await seen(page)).toMatchObject({ elements, address, facts: [shown, `${shown}: ${shown}`] })
      }
    }
    expect(requested.filter((url) => !url.startsWith(`${origin}/callback/`))).toStrictEqual([])
  })

  test('has a policy under which nothing runs, loads or is sent that is not the page’s own', async () => {
    const page = await open(`?${ANSWER}`)
    const before = site.requests.length
    const outcome = await page.evaluate(async () => {
      const tried = (act: () => unknown) =>
        Promise.resolve()
          .then(act)
          .then(String, (error: Error) => error.name)
      const script = document.createElement('script')
      const image = new Image()
      return {
        html: await tried(() => document.body.insertAdjacentHTML('beforeend', '<b>x</b>')),
        script: await tried(() => Object.assign(script, { text: 'document.title = "ran"' })),
        fetch: await tried(() => fetch('/next')),
        image: await new Promise((resolve) => {
          image.onload = () => resolve('loaded')
          image.onerror = () => resolve('refused')
          image.src = '/next.png'
        }),
      }
    })
    expect(outcome).toStrictEqual({ html: 'TypeError', script: 'TypeError', fetch: 'TypeError', image: 'refused' })
    expect(site.requests.length).toBe(before)
    const told = faults.splice(0).join('\n')
    for (const kind of ['TrustedHTML', 'TrustedScript', 'Connecting', 'Loading the image']) expect(told).toContain(kind)
  })

  test.each(['light', 'dark'] as const)('can be read in %s, on a narrow screen too', async (colorScheme) => {
    const page = await newPage({ colorScheme })
    for (const [name, parameters] of Object.entries({
      signed: ANSWER,
      denied: denied('access_denied', 'This request has expired'),
      nothing: '',
    })) {
      await page.goto(`${origin}/callback/?${parameters}`)
      for (const width of [1280, 360, 320]) {
        await page.setViewportSize({ width, height: 780 })
        expect(await page.evaluate(() => document.scrollingElement!.scrollWidth)).toBeLessThanOrEqual(width)
        const folder = process.env['SCREENSHOTS']
        if (folder) await page.screenshot({ path: join(folder, `${name}-${colorScheme}-${width}.png`), fullPage: true })
      }
      if (name === 'nothing') continue
      expect((await button(page).boundingBox())?.height).toBeGreaterThanOrEqual(44) // for a finger
      for (const selector of ['h1', 'label', 'textarea', 'button', 'pre', '.quiet']) {
        expect(await contrast(page, selector), selector).toBeGreaterThan(4.5)
      }
    }
    const dark = await page.evaluate(() => getComputedStyle(document.body).backgroundColor === 'rgb(22, 23, 27)')
    expect(dark).toBe(colorScheme === 'dark')
  })
})
