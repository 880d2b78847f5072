/** Issue 3, the address guard: proxies and CAs from the environment, as the built CLI takes them. */
import { describe, expect, test } from 'vitest'
import { withPlace } from './matrix.ts'

const DIRECTORY = 'CONNECT plc.directory:443'
const PDS = 'CONNECT pds.fake.dev:443'

describe('20.4 a proxy', () => {
  test.each(['HTTPS_PROXY', 'https_proxy'])('%s: every request takes it, and none goes around', (name) =>
    withPlace(async ({ world, sockets, run }) => {
      const env = { HTTPS_PROXY: undefined, [name]: sockets.env['HTTPS_PROXY'] }
      const started = await run(['init', world.alice.did], { env })
      expect(started).toMatchObject({ code: 0, stdout: expect.stringMatching(/^https:\/\/as\.fake\.dev\//) })
      expect(new Set(sockets.asked)).toStrictEqual(new Set([DIRECTORY, PDS, 'CONNECT as.fake.dev:443']))
    }),
  )

  test.each(['NO_PROXY', 'no_proxy'])('%s: what it names is asked directly, all else is not', (name) =>
    withPlace(
      async ({ world, sockets, run }) => {
        world.serve(sockets.direct, world.identity.plc)
        const start = (env: Record<string, string>) =>
          run(['init', world.alice.did, '--dev', '--plc-url', sockets.direct], { env })
        expect(await start({})).toMatchObject({ code: 0 })
        const directory = `CONNECT ${new URL(sockets.direct).host}`
        expect(sockets.asked).toContain(directory)
        const before = sockets.asked.length
        expect(await start({ [name]: 'example.com, localhost' })).toMatchObject({ code: 0 })
        expect(sockets.asked.slice(before)).toContain(PDS)
        expect(sockets.asked.slice(before)).not.toContain(directory)
      },
      { settings: { dev: true } },
    ),
  )

  test.each(['HTTP_PROXY', 'http_proxy'])('%s: for http:, which needs --dev', (name) =>
    withPlace(
      async ({ world, sockets, run }) => {
        const origin = 'http://plc.fake.dev'
        world.serve(origin, world.identity.plc)
        const env = { [name]: sockets.env['HTTPS_PROXY'] }
        const started = await run(['init', world.alice.did, '--dev', '--plc-url', origin], { env })
        expect(started).toMatchObject({ code: 0 })
        expect(world.requests[0]!.url).toBe(`${origin}/${world.alice.did}`)
        expect(sockets.asked[0]).toContain('plc.fake.dev')
        expect(sockets.asked).toContain(PDS)
      },
      { settings: { dev: true } },
    ),
  )
})

test('20.4 a CA that is not known: nothing is sent, and it is told how one is added', () =>
  withPlace(async ({ world, sockets, run }) => {
    const started = await run(['init', world.alice.did], { env: { NODE_EXTRA_CA_CERTS: undefined } })
    expect(started).toMatchObject({ code: 3, stdout: '' })
    expect(started.stderr).toMatch(/cannot reach plc\.directory: its TLS certificate is from an unknown CA/)
    expect(started.stderr).toMatch(/NODE_EXTRA_CA_CERTS.*\[NETWORK_UNREACHABLE\]/)
    expect(sockets.asked).toStrictEqual([DIRECTORY])
    expect(world.requests).toStrictEqual([])
  }))
