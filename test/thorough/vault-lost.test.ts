/** A vault that is gone from its service, and a machine that has used it: the hint is pasted, and stores it again. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { expectFailure, newHome } from '../e2e/support.ts'
import { expire, newSession, newVault, put, records, type TestVault } from '../e2e/vault-support.ts'
import { type GitServer, startGitServer } from '../support/git-server.ts'
import { lacks } from '../support/machine.ts'
import { type RedisServer, startRedisServer } from '../support/redis-server.ts'
import { newRedisVault } from '../support/redis-vault.ts'
import { type CliResult, type Home, runCli, runShell } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'

const world = connectWorld()
const GET_SESSION = ['call', 'com.atproto.server.getSession']
const succeeded = (result: CliResult) => expect(result, result.stderr).toMatchObject({ code: 0 })
/** The command that `vault check` or a hint has for it. */
const commandIn = ({ stdout, stderr }: CliResult) =>
  /to store it there again, on the machine that refreshed last: (atproto-oauth refresh [^;\n]+);/.exec(
    stdout + stderr,
  )?.[1]

interface Lost extends Pick<TestVault, 'engine' | 'keys'> {
  readonly env: Readonly<Record<string, string>>
  lose(): Promise<void>
}

const isKept = { 'kept on this machine': true, 'named in the environment': false } as const

describe.each(['git', 'redis-server'] as const)('%s', (service) => {
  describe.skipIf(service !== 'git' && lacks(service))('a vault that is gone', () => {
    let git: GitServer
    let redis: RedisServer
    let count = 0
    beforeAll(async () => {
      if (service === 'git') git = await startGitServer()
      else redis = await startRedisServer()
    })
    afterAll(async () => {
      await git?.close()
      await redis?.close()
    })

    async function vaultToLose(): Promise<Lost> {
      count++
      if (service === 'git') {
        const vault = await newVault(git, `vault-${count}`)
        return { ...vault, lose: async () => vault.repository.setTip(undefined) }
      }
      return { ...(await newRedisVault(redis, `${count}:`)), lose: async () => void (await redis.admin('FLUSHALL')) }
    }

    /** A machine that has used the vault, and the variables that its commands have. */
    async function machine(vault: Lost, where: keyof typeof isKept) {
      const home = await newHome()
      const { ATPROTO_OAUTH_VAULT: address, ATPROTO_OAUTH_VAULT_KEY: key, ...token } = vault.env
      const env: Record<string, string> = isKept[where] ? token : vault.env
      if (isKept[where]) succeeded(await runCli(['vault', 'use', address!], { home, env, stdin: key }))
      succeeded(await runCli(['status', '--account', (await accounts(vault))[0]!], { home, env }))
      return { home, env }
    }

    const accounts = async (vault: Lost) => (await records(vault)).map(({ record }) => record.session.did)

    test.each([
      ['kept on this machine', 'good'],
      ['kept on this machine', 'expired'],
      ['named in the environment', 'good'],
      ['named in the environment', 'expired'],
    ] as const)(
      '%s, with an access token that is %s: every hint stores all its sessions again',
      async (where, token) => {
        const vault = await vaultToLose()
        for (const _ of ['one', 'another']) await put((await newSession(world)).session, vault)
        if (token === 'expired') await expire(vault)
        const before = await accounts(vault)
        const { home, env } = await machine(vault, where)
        for (const args of [['check'], ['list'], ['new', vault.env['ATPROTO_OAUTH_VAULT']!]]) {
          await vault.lose()
          const said = await runCli(['vault', ...args], { home, env })
          expect(said.code, said.stderr).toBe(args[0] === 'check' ? 4 : 2)
          expect((await vault.engine.list()).size).toBe(0)
          const command = commandIn(said)
          expect(command, said.stdout + said.stderr).toBeDefined()
          const pasted = await runShell(command!, { home, env })
          succeeded(pasted)
          expect(pasted.stderr).toContain('was lost: stored it again')
          expect((await accounts(vault)).sort()).toStrictEqual(before.sort())
          succeeded(await runCli(['vault', 'check'], { home, env }))
        }
        const other: Home = await newHome()
        for (const did of before) {
          succeeded(await runCli([...GET_SESSION, '--account', did], { home: other, env: vault.env }))
        }
      },
    )

    test('that this machine has not used, or whose sessions have ended: no command is said to store it again', async () => {
      const vault = await vaultToLose()
      await put((await newSession(world)).session, vault)
      const { home, env } = await machine(vault, 'named in the environment')
      succeeded(await runCli(['revoke'], { home, env }))
      await vault.lose()
      for (const each of [home, await newHome()]) {
        const said = await runCli(['vault', 'check'], { home: each, env })
        expect(said.code).toBe(4)
        expect(commandIn(said)).toBeUndefined()
        expect(said.stdout).toMatch(/create a vault there: atproto-oauth vault new '?(?:git|redis):/)
      }
    })

    test('another machine has refreshed since: nothing is sent while the server can tell, and that machine goes on', async () => {
      const vault = await vaultToLose()
      await put((await newSession(world)).session, vault)
      const { home, env } = await machine(vault, 'named in the environment')
      const other = await newHome()
      succeeded(await runCli(['refresh'], { home: other, env }))
      await vault.lose()
      const refused = await runShell(commandIn(await runCli(['vault', 'check'], { home, env }))!, { home, env })
      expectFailure(refused, 6, 'REFRESH_AMBIGUOUS')
      expect(refused.stderr).toContain('run any command on another machine, which stores the new tokens')
      succeeded(await runCli(['refresh'], { home: other, env }))
      succeeded(await runCli(['refresh'], { home, env }))
      expect((await records(vault))[0]!.record.session.rotation).toBe(3)
    })
  })
})
