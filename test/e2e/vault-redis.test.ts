/** A vault on Redis: a session for machines that share nothing but its address, its key and a password. */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'dotenv'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readContents } from '../../src/node/vault/inspect.ts'
import { seal } from '../../src/node/vault/record.ts'
import { createRedisEngine } from '../../src/node/vault/redis.ts'
import { parseRedisAddress } from '../../src/node/vault/redis-address.ts'
import { lacks } from '../support/machine.ts'
import { type RedisServer, startRedisServer } from '../support/redis-server.ts'
import { type CliResult, runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { callbackFor, expectFailure, newHome } from './support.ts'

const PASSWORD = 'canary/3f9a'
const ENCODED = encodeURIComponent(PASSWORD)

describe.skipIf(lacks('redis-server'))('a vault on Redis', () => {
  const world = connectWorld()
  let server: RedisServer
  const ran: CliResult[] = []
  beforeAll(async () => {
    server = await startRedisServer(['--requirepass', PASSWORD])
  })
  afterAll(() => server.close())

  async function run(...parameters: Parameters<typeof runCli>): Promise<CliResult> {
    const result = await runCli(...parameters)
    ran.push(result)
    return result
  }

  test('from new to destroy: three machines, and the password is never printed', async () => {
    const address = `redis://127.0.0.1:${server.port}?prefix=bot:`
    const withPassword = `redis://:${ENCODED}@127.0.0.1:${server.port}?prefix=bot:`
    const [home, second, third] = [await newHome(), await newHome(), await newHome()]
    const saved = join(home.path, 'vault.env')
    const made = await run(['vault', 'new', withPassword, '--save', `file:${saved}`], { home })
    expect(made, made.stderr).toMatchObject({ code: 0 })
    const known = join(home.state, 'vault.json')
    expect((await stat(known)).mode & 0o777).toBe(0o600)
    expect(JSON.parse(await readFile(known, 'utf8'))).toMatchObject({
      current: address,
      vaults: [{ address, login: `:${ENCODED}` }],
    })
    const account = await world.createAccount()
    const callback = await callbackFor(account, home)
    expect(await run(['complete', '--save', 'vault', callback], { home })).toMatchObject({ code: 0, stdout: '' })

    const key = (await runCli(['vault', 'key'], { home })).stdout
    expect(await run(['vault', 'use', withPassword], { home: second, stdin: key })).toMatchObject({ code: 0 })
    const called = await run(['call', 'com.atproto.server.getSession'], { home: second })
    expect(JSON.parse(called.stdout)).toMatchObject({ did: account.did })
    expect(await run(['refresh'], { home: second })).toMatchObject({ code: 0 })

    const env = parse(await readFile(saved, 'utf8'))
    expect(env).toStrictEqual({ ATPROTO_OAUTH_VAULT: withPassword, ATPROTO_OAUTH_VAULT_KEY: key.trim() })
    expect(await run(['call', 'com.atproto.server.getSession'], { home: third, env })).toMatchObject({ code: 0 })
    const apart = { ...env, ATPROTO_OAUTH_VAULT: address, ATPROTO_OAUTH_VAULT_TOKEN: PASSWORD }
    expect((await run(['status'], { home: third, env: apart })).stdout).toContain(`the vault at ${address}`)
    const wrong = { ...env, ATPROTO_OAUTH_VAULT: address, ATPROTO_OAUTH_VAULT_TOKEN: 'canary-wrong' }
    const refused = await run(['vault', 'list'], { home: third, env: wrong })
    expectFailure(refused, 4, 'VAULT_REFUSED')
    expect(refused.stderr).toContain('set ATPROTO_OAUTH_VAULT_TOKEN to the password')

    for (const args of [['check'], ['check', '--json'], ['list'], ['list', '--json']]) {
      expect(await run(['vault', ...args], { home: second }), args.join(' ')).toMatchObject({ code: 0 })
    }
    expect(await run(['revoke'], { home: second })).toMatchObject({ code: 0 })
    expect(await run(['vault', 'destroy', '--yes', '--json'], { home: second })).toMatchObject({ code: 0 })
    expectFailure(await run(['vault', 'list'], { home }), 2, 'VAULT_INVALID')
    expect(ran.map(({ stdout, stderr }) => stdout + stderr).join('')).not.toMatch(/canary/)
  })

  test('twenty processes with twenty homes, cold and once more over an expiry: one refresh serves all', async () => {
    const address = `redis://:${ENCODED}@127.0.0.1:${server.port}?prefix=many:`
    const home = await newHome()
    expect(await runCli(['vault', 'new', address], { home })).toMatchObject({ code: 0 })
    const account = await world.createAccount()
    const callback = await callbackFor(account, home)
    expect(await runCli(['complete', '--save', 'vault', callback], { home })).toMatchObject({ code: 0 })

    const key = (await runCli(['vault', 'key'], { home })).stdout.trim()
    const engine = createRedisEngine(parseRedisAddress(address))
    const expire = async () => {
      const { keys, sessions } = await readContents(engine, key)
      const { name, text, record } = sessions[0]!
      const session = { ...record.session, accessTokenExpiresAt: Date.now() - 1000 }
      expect(await engine.swap(name, text, (await seal({ ...record, session }, keys)).text)).toBe('won')
    }
    const rotation = async () => (await readContents(engine, key)).sessions[0]!.record.session.rotation

    const env = { ATPROTO_OAUTH_VAULT: address, ATPROTO_OAUTH_VAULT_KEY: key }
    const homes = await Promise.all(Array.from({ length: 20 }, () => newHome()))
    const args = ['call', 'com.atproto.server.getSession']
    const callAll = async () => {
      await expire()
      const results = await Promise.all(homes.map((each) => runCli(args, { home: each, env })))
      expect(results.filter(({ code }) => code !== 0).map(({ stderr }) => stderr)).toStrictEqual([])
    }
    await callAll()
    expect(await rotation()).toBe(1)
    // The server ends what they have seen.
    expect(await runCli(['refresh'], { home: await newHome(), env })).toMatchObject({ code: 0 })
    await callAll()
    expect(await rotation()).toBe(3)
  })
})
