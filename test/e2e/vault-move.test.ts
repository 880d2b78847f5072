/** A vault that moves from a git server to Redis and back, on the built CLI, with a session of the real PDS. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type GitServer, startGitServer, WRITER } from '../support/git-server.ts'
import { lacks } from '../support/machine.ts'
import { type RedisServer, startRedisServer } from '../support/redis-server.ts'
import { type CliResult, runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { callbackFor, expectFailure, newHome } from './support.ts'

const PASSWORD = 'canary/3f9a'
const ENCODED = encodeURIComponent(PASSWORD)

describe.skipIf(lacks('redis-server'))('a vault that moves', () => {
  const world = connectWorld()
  let redis: RedisServer
  let gits: GitServer
  const ran: CliResult[] = []
  beforeAll(async () => {
    redis = await startRedisServer(['--requirepass', PASSWORD])
    gits = await startGitServer()
  })
  afterAll(async () => {
    await redis.close()
    await gits.close()
  })

  async function run(...[args, options]: Parameters<typeof runCli>): Promise<CliResult> {
    const result = await runCli(args, {
      ...options,
      env: { ATPROTO_OAUTH_VAULT_TOKEN: WRITER.password, ...options.env },
    })
    ran.push(result)
    return result
  }

  test('to Redis and back: machines with the old address are told, and go on at the new one', async () => {
    const repository = gits.repository('bot')
    const onGit = `git:${gits.url('bot')}`
    const onRedis = `redis://127.0.0.1:${redis.port}?prefix=bot:`
    const withPassword = onRedis.replace('//', `//:${ENCODED}@`)
    const [home, second, job] = [await newHome(), await newHome(), await newHome()]
    expect(await run(['vault', 'new', onGit], { home })).toMatchObject({ code: 0 })
    const account = await world.createAccount()
    const callback = await callbackFor(account, home)
    expect(await run(['complete', '--save', 'vault', callback], { home })).toMatchObject({ code: 0 })
    const key = (await runCli(['vault', 'key'], { home })).stdout.trim()
    const env = { ATPROTO_OAUTH_VAULT: onGit, ATPROTO_OAUTH_VAULT_KEY: key }
    expect(await run(['vault', 'use', onGit], { home: second, stdin: key })).toMatchObject({ code: 0 })
    expect(await run(['refresh'], { home: second })).toMatchObject({ code: 0 })
    expect(await run(['refresh'], { home: job, env })).toMatchObject({ code: 0 })

    const moved = await run(['vault', 'move', withPassword], { home })
    expect(moved, moved.stderr).toMatchObject({ code: 0, stdout: `${onRedis}\n` })
    expect(moved.stderr).toContain(`moved the vault from ${onGit} to ${onRedis}`)
    expect(JSON.parse(await readFile(join(home.state, 'vault.json'), 'utf8'))).toMatchObject({
      current: onRedis,
      vaults: [{ address: onGit }, { address: onRedis, login: `:${ENCODED}` }],
    })
    expect(await run(['refresh'], { home })).toMatchObject({ code: 0 })
    expect(await run(['vault', 'move', withPassword], { home })).toMatchObject({ code: 0 })

    for (const options of [{ home: second }, { home: job, env }]) {
      const told = await run(['refresh'], options)
      expectFailure(told, 2, 'VAULT_INVALID', 'alive')
      expect(told.stderr).toContain(`the vault at ${onGit} has moved to ${onRedis}`)
      const again = await run(['call', 'com.atproto.server.getSession'], options)
      expect(again.stderr).toContain(`has moved to ${onRedis}`)
      expect(await run(['vault', 'check'], options)).toMatchObject({ code: 4 })
    }
    expect(await run(['vault', 'use', withPassword], { home: second })).toMatchObject({ code: 0 })
    expect(await run(['refresh'], { home: second })).toMatchObject({ code: 0 })
    const there = { ...env, ATPROTO_OAUTH_VAULT: withPassword }
    const called = await run(['call', 'com.atproto.server.getSession'], { home: job, env: there })
    expect(JSON.parse(called.stdout)).toMatchObject({ did: account.did })
    const checked = await run(['vault', 'check'], { home: second })
    expect(checked.stdout).toMatch(/^ok {2}records +1 session$/m)

    const back = ['vault', 'move', onGit]
    expectFailure(await run(back, { home: second }), 2, 'VAULT_INVALID', 'alive')
    const destroyed = await run(['vault', 'destroy', '--yes'], { home, env: { ATPROTO_OAUTH_VAULT: onGit } })
    expect(destroyed, destroyed.stderr).toMatchObject({ code: 0 })
    expect(repository.refs()).toBe('')
    const returned = await run([...back, '--json'], { home: second })
    expect(returned, returned.stderr).toMatchObject({ code: 0 })
    expect(JSON.parse(returned.stdout)).toMatchObject({ address: onGit, previous: onRedis, records: 1 })
    expect(await run(['refresh'], { home: job, env })).toMatchObject({ code: 0 })
    expect(await run(['refresh'], { home: second })).toMatchObject({ code: 0 })
    expectFailure(await run(['refresh'], { home }), 2, 'VAULT_INVALID', 'alive')
    expect(await run(['vault', 'use', onGit], { home })).toMatchObject({ code: 0 })
    expect(await run(['refresh'], { home })).toMatchObject({ code: 0 })
    expect(ran.map(({ stdout, stderr }) => stdout + stderr).join('')).not.toMatch(/canary/)
    expect(ran.map(({ stderr }) => stderr).join('')).not.toContain(key)
  })
})
