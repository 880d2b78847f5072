/** What a bug report needs, of errors that nobody expects: the built CLI, with one planted in a getter that it uses. */
import { readFile } from 'node:fs/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import { runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { expectFailure, keptInStore, logIn } from './support.ts'

const world = connectWorld()
const URL_TO_SIGN = `${world.pdsUrl}/xrpc/com.atproto.server.getSession`

const before = (code: string) => ({ NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` })
const planted = (statement: string) =>
  before(`Object.defineProperty(URL.prototype, 'username', { get() { ${statement}; return '' } })`)

describe.each([
  ['thrown', "throw new TypeError('planted')", 'none'],
  ['that nobody waits for', "Promise.reject(new TypeError('planted'))", 'unknown'],
] as const)('an error %s', (_, statement, state) => {
  test('is one message, and with --verbose the versions and the lines in src', async () => {
    const { home, env } = await logIn(world)
    const fail = async (...flags: string[]) => {
      const result = await runCli(['proof', 'GET', URL_TO_SIGN, ...flags], {
        home,
        env: { ...env, ...planted(statement) },
      })
      if (!flags.includes('--json')) expectFailure(result, 1, 'UNEXPECTED', state)
      return result.stderr
    }
    expect(await fail()).not.toMatch(/^ {4}at |dist/m)
    expect(JSON.parse(await fail('--json'))).toMatchObject({ code: 'UNEXPECTED', exit: 1, session: state })

    const report = await fail('--verbose')
    expect(report).toMatch(/^atproto-oauth \d\S+, Node v\d\S+, \w+ \w+$/m)
    expect(report).toContain('\nTypeError: planted\n')
    const [, line] = /\/src\/session\/proof\.ts:(\d+):\d+\)/.exec(report)!
    expect((await readFile('src/session/proof.ts', 'utf8')).split('\n')[Number(line) - 1]).toContain('url.username')
  })
})

test('one that nobody waits for, as the response to a refresh begins: the new tokens are stored first', async () => {
  const { home } = await keptInStore(world)
  onTestFinished(() => home.remove())
  const env = before(`
    import { ClientRequest } from 'node:http'
    const { emit } = ClientRequest.prototype
    ClientRequest.prototype.emit = function (name, ...given) {
      const isRefreshed = name === 'response' && this.path === '/oauth/token' && given[0].statusCode === 200
      if (isRefreshed) Promise.reject(new TypeError('planted'))
      return emit.call(this, name, ...given)
    }`)
  expectFailure(await runCli(['refresh'], { home, env }), 1, 'UNEXPECTED', 'unknown')
  expect(await runCli(['refresh'], { home })).toMatchObject({
    code: 0,
    stderr: expect.not.stringContaining('retrying'),
  })
})
