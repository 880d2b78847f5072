import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { parse } from 'dotenv'
import { expect, test } from 'vitest'
import { lacks } from '../support/machine.ts'
import { type CliOptions, type Home, runAtTerminal, runCli, spawnCli } from '../world/cli.ts'
import { signIn } from '../world/person.ts'
import { type Account, connectWorld } from '../world/world.ts'
import { bringOpener, CONSENT, newHome } from './support.ts'

const world = connectWorld()
const PAGE = /http:\S+\/oauth\/authorize\S+/

/** `login`, and the person at the browser, which comes back to the listener. */
async function login(args: string[], env: CliOptions['env'] = {}, before?: { account: Account; home: Home }) {
  const { account, home } = before ?? { account: await world.createAccount(), home: await newHome() }
  const child = spawnCli(['login', account.handle, ...args], { home, env })
  let stderr = ''
  let back: Promise<Response> | undefined
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    stderr += piece
    const url = PAGE.exec(stderr)?.[0]
    if (url && !back && stderr.includes('continues when the browser returns'))
      back = signIn(url, account, CONSENT).then((to) => fetch(to))
  })
  const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, 'close') as Promise<[number | null]>])
  return { account, home, stdout, stderr, code, page: await (await back!).text() }
}

test('the browser comes back to this machine, and the credentials are printed', async () => {
  const { account, home, stdout, code, page, stderr } = await login(['--no-open'])
  expect(code).toBe(0)
  expect(page).toContain('You can close this window')
  expect(stderr).toContain(`signed in as ${account.handle}`)
  const env = parse(stdout)
  expect(env).toMatchObject({ ATPROTO_OAUTH_DID: account.did })
  // Refreshed under the client_id that declares the port.
  expect(await runCli(['refresh'], { home, env })).toMatchObject({ code: 0 })
  expect(await runCli(['call', 'com.atproto.server.getSession'], { home, env })).toMatchObject({ code: 0 })
})

test('it is opened by the system, as one argument; --save store keeps the session', async () => {
  const home = await newHome()
  const opener = await bringOpener(home)
  const result = await login(['--save', 'store'], opener.env)
  expect(result).toMatchObject({ code: 0, stdout: '' })
  expect(await opener.opened()).toMatch(/^1\nhttp:\S+request_uri=\S+\n$/)
  expect(await runCli(['call', 'com.atproto.server.getSession'], { home: result.home })).toMatchObject({ code: 0 })
})

test('a second time: told before the browser is needed, and replaced', async () => {
  const first = await login(['--save', 'store', '--no-open'])
  expect(first.stderr).not.toContain('already has')
  const kept = await login(['--save', 'store', '--no-open'], {}, first)
  const told = `${first.account.handle} already has a session here: in the per-user store`
  expect(kept.stderr.slice(0, kept.stderr.search(PAGE))).toContain(told)
  expect(kept.stderr).toContain('to revoke it, press Ctrl-C and run the same command with --replace')
  expect(kept.stderr).toContain('was not revoked')
  const last = await login(['--save', 'store', '--no-open', '--replace'], {}, first)
  expect(last.stderr).toContain('They are revoked once the new one is saved.')
  expect(last.stderr.match(/^revoked an earlier session /gm)).toHaveLength(2)
  expect(await runCli(['call', 'com.atproto.server.getSession'], first)).toMatchObject({ code: 0 })
})

test.skipIf(lacks('script'))(
  'over SSH nothing is opened, and the address may be pasted, while the time runs',
  async () => {
    const account = await world.createAccount()
    const home = await newHome()
    const answer = async (screen: string) => `${await signIn(PAGE.exec(screen)![0], account, CONSENT)}\r`
    const { code, screen } = await runAtTerminal(`login ${account.handle} --format raw`, [['left): ', answer]], {
      home,
      env: { SSH_CONNECTION: '192.0.2.1 5 192.0.2.2 22', DISPLAY: ':9' },
    })
    expect(screen).toContain('SSH session')
    expect(screen).toMatch(/Callback URL \([45]:\d\d left\)/)
    expect(screen).toContain(`ATPROTO_OAUTH_DID=${account.did}`)
    expect(code).toBe(0)
  },
)

test.skipIf(lacks('script'))('Ctrl-C while waiting', async () => {
  const account = await world.createAccount()
  const { code, screen } = await runAtTerminal(`login ${account.handle} --no-open`, [['left): ', '\x03']], {
    home: await newHome(),
  })
  expect(code).toBe(130)
  expect(screen).toContain('[INTERRUPTED]')
})
