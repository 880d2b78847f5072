import { describe, expect, test, vi } from 'vitest'
import { hasColours, painter } from '../../src/cli/colour.ts'
import { fakeNodeRuntime, run, signIn } from '../support/cli.ts'
import { createFakeWorld } from '../support/fake-atproto.ts'

vi.mock('../../src/node/runtime.ts', async (load) => ({ ...(await load<object>()), nodeRuntime: fakeNodeRuntime }))

const [RED, GREEN, YELLOW, CYAN] = ['\u001b[31m', '\u001b[32m', '\u001b[33m', '\u001b[36m']
const END = '\u001b[39m'
const BOTH = { terminals: ['stdout', 'stderr'] } as const
const STDERR = { terminals: ['stderr'] } as const
const URL_LINE = /^https:\/\/as\.fake\.dev\/oauth\/authorize\?[\w%=&.~-]+\n$/

describe('a stream has colours', () => {
  test.each([
    ['at a terminal', true, {}, true],
    ['in a pipe', undefined, {}, false],
    ['at a terminal that has none', true, { TERM: 'dumb' }, false],
    ['with NO_COLOR', true, { NO_COLOR: '1' }, false],
    ['with an empty NO_COLOR', true, { NO_COLOR: '' }, true],
    ['with FORCE_COLOR', undefined, { FORCE_COLOR: '1' }, true],
    ['with FORCE_COLOR and TERM=dumb', undefined, { FORCE_COLOR: 'true', TERM: 'dumb' }, true],
    ['with FORCE_COLOR=0', true, { FORCE_COLOR: '0' }, false],
    ['with FORCE_COLOR=false', true, { FORCE_COLOR: 'False' }, false],
    ['with an empty FORCE_COLOR', true, { FORCE_COLOR: '' }, true],
    ['with NO_COLOR and FORCE_COLOR', true, { NO_COLOR: '1', FORCE_COLOR: '1' }, false],
  ])('%s', (_, isTTY, environment, expected) => {
    expect(hasColours({ isTTY }, environment)).toBe(expected)
  })

  test('and text is as it was where there are none', () => {
    expect(painter(true)('red', 'xx')).toBe(`${RED}xx${END}`)
    expect(painter(false)('red', 'xx')).toBe('xx')
  })
})

describe('the labels of messages', () => {
  const usage = (options: Parameters<typeof run>[2], ...more: string[]) =>
    run(createFakeWorld(), ['init', 'alice.fake.dev', '--nonsense', ...more], options)

  test('at a terminal, and not where stderr is none', async () => {
    expect((await usage(STDERR)).stderr.split('\n')).toStrictEqual([
      `atproto-oauth: ${RED}error:${END} unknown option "--nonsense" [USAGE]`,
      `atproto-oauth: ${CYAN}hint:${END} atproto-oauth init --help`,
      '',
    ])
    expect((await usage({ terminals: ['stdout'] })).stderr).not.toContain('\u001b')
    expect((await usage({ ...STDERR, env: { NO_COLOR: '1' } })).stderr).not.toContain('\u001b')
    expect((await usage({ env: { FORCE_COLOR: '1' } })).stderr).toContain(`${RED}error:${END}`)
  })

  test('a warning', async () => {
    const { stderr } = await run(createFakeWorld(), ['init', 'alice.fake.dev', '--dev'], STDERR)
    expect(stderr).toContain(`atproto-oauth: ${YELLOW}warning:${END} development mode`)
  })

  test('never with --json', async () => {
    for (const env of [{}, { FORCE_COLOR: '1' }])
      expect(JSON.parse((await usage({ ...BOTH, env }, '--json')).stderr)).toMatchObject({ code: 'USAGE' })
  })

  test('text of a server has no colour of its own', async () => {
    const world = createFakeWorld()
    world.faults.httpFault = ({ url }) =>
      url.endsWith('/oauth/par')
        ? Response.json({ error: 'invalid_request', error_description: `${GREEN}all is well${END}` }, { status: 400 })
        : undefined
    const { code, stderr } = await run(world, ['init', 'alice.fake.dev'], BOTH)
    expect(code).toBe(4)
    expect(stderr).toContain('all is well')
    expect(stderr).not.toContain(GREEN)
  })
})

describe('the sign-in URL', () => {
  test.each([
    ['at a terminal', BOTH, {}, true],
    ['captured, with stderr at the terminal', STDERR, {}, false],
    ['captured, with FORCE_COLOR', {}, { FORCE_COLOR: '1' }, false],
    ['at a terminal, with NO_COLOR', BOTH, { NO_COLOR: '1' }, false],
  ])('of init, %s', async (_, terminals, env, isColoured) => {
    const { stdout } = await run(createFakeWorld(), ['init', 'alice.fake.dev'], { ...terminals, env })
    const bare = stdout.replace(CYAN, '').replace(END, '')
    expect(bare).toMatch(URL_LINE)
    expect(stdout).toBe(isColoured ? `${CYAN}${bare.trim()}${END}\n` : bare)
  })

  test('of login, on stderr', async () => {
    const world = createFakeWorld()
    const stderr = await new Promise<string>((resolve) => {
      let isSeen = false
      const onStderr = (text: string) => {
        if (isSeen || !text.includes('continues when the browser returns')) return
        isSeen = true
        resolve(text)
        const [url] = /https:\/\/as\.fake\.dev\/oauth\/authorize[^\s\u001b]+/.exec(text)!
        void fetch(world.authorize(url))
      }
      void run(world, ['login', 'alice.fake.dev', '--no-open'], { ...STDERR, onStderr })
    })
    expect(stderr).toContain(`\n\n  ${CYAN}https://as.fake.dev/oauth/authorize`)
    expect(stderr).toContain(`${END}\n\nWaiting for the sign-in.`)
  })
})

describe('verdicts', () => {
  test('of doctor', async () => {
    const world = createFakeWorld({ topology: 'together' })
    const well = await run(world, ['doctor', 'alice.fake.dev'], BOTH)
    expect(well.stdout).toContain(`${GREEN}ok${END}  Node`)
    world.faults.httpFault = ({ url }) =>
      url.endsWith('/oauth-protected-resource') ? new Response('', { status: 500 }) : undefined
    const ill = await run(world, ['doctor', 'alice.fake.dev'], BOTH)
    expect(ill.stdout).toContain(`${RED}xx${END}  PDS metadata`)
    expect(ill.stdout).toContain(`${CYAN}fix:${END} `)
    expect((await run(world, ['doctor', 'alice.fake.dev'], STDERR)).stdout).not.toContain('\u001b')
    expect((await run(world, ['doctor', 'alice.fake.dev', '--json'], BOTH)).stdout).not.toContain('\u001b')
  })

  test('of client check', async () => {
    const loopback = 'http://localhost?redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback&scope=atproto'
    const check = (...more: string[]) => run(createFakeWorld(), ['client', 'check', loopback, ...more], BOTH)
    expect((await check()).stdout).toContain(`result     ${GREEN}no problems found${END}\n`)
    const { stdout } = await check('--scope', 'atproto transition:generic')
    expect(stdout).toMatch(/^\u001b\[31merror\u001b\[39m {6}scope does not declare/m)
    expect(stdout).toContain(`\n           ${CYAN}fix:${END} add it`)
  })

  test('of status', async () => {
    const world = createFakeWorld()
    const env = await signIn(world)
    const { stdout } = await run(world, ['status'], { ...BOTH, env })
    expect(stdout).toContain(`session       ${GREEN}alive, as far as known without asking the server${END}\naccount `)
  })
})
