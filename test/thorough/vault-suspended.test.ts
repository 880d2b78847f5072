/**
 * A process that is stopped (SIGSTOP) in the middle of a refresh, for longer than others leave its claim alone, and goes
 * on after another machine has refreshed. The time is not waited for: the clocks of both are advanced.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { newHome } from '../e2e/support.ts'
import { expire, newSession, newVault, put, record, stored } from '../e2e/vault-support.ts'
import { startGitServer } from '../support/git-server.ts'
import { HANG_MS, lacks } from '../support/machine.ts'
import { startRedisServer } from '../support/redis-server.ts'
import { newRedisVault } from '../support/redis-vault.ts'
import { type CliResult, type Home, runCli, spawnCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'

const world = connectWorld()
const STEPS = new URL('../support/vault-steps.mjs', import.meta.url).href
const GET_SESSION = ['call', 'com.atproto.server.getSession']
/** Milliseconds: more than a claim is left alone. */
const LONG = 1_000_000
const patience = { timeout: HANG_MS / 10 }

const succeeded = (result: Pick<CliResult, 'code' | 'stderr'>) =>
  expect(result, result.stderr).toMatchObject({ code: 0 })

function started(home: Home, env: Readonly<Record<string, string>>) {
  const child = spawnCli(GET_SESSION, { home, env })
  const said = { stderr: '' }
  child.stdout.resume()
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.stderr += text))
  const ended = new Promise<Pick<CliResult, 'code' | 'stderr'>>((resolve) =>
    child.on('close', (code) => resolve({ code, ...said })),
  )
  return { child, said, ended }
}

/** The machine has seen the claim for so long. */
async function hasWatched(home: Home): Promise<void> {
  const folder = join(home.state, 'vaults')
  const files = await readdir(folder, { recursive: true })
  const [watch] = files.filter((file) => /^[0-9a-f]{32}\/watch\/\w+$/.test(file))
  const [claim, boot, since] = (await readFile(join(folder, watch!), 'utf8')).split(' ')
  await writeFile(join(folder, watch!), `${claim} ${boot} ${Number(since) - LONG}`)
}

const services = {
  async git() {
    const server = await startGitServer()
    return { vault: await newVault(server), close: () => server.close() }
  },
  async 'valkey-server'() {
    const server = await startRedisServer([], undefined, 'valkey-server')
    return { vault: await newRedisVault(server, 'suspended:'), close: () => server.close() }
  },
}

describe.each([
  ['git', '1 before push', '1 after push 0'],
  ['valkey-server', '1 before change', '1 after change'],
] as const)('on %s', (service, beforeClaim, afterClaim) => {
  test.skipIf(service !== 'git' && lacks(service)).each([
    ['before its claim is stored', beforeClaim, false],
    ['after its claim was stored', afterClaim, true],
  ])('a refresh that is stopped %s sends no token', async (_, step, isClaimed) => {
    const { vault, close } = await services[service]()
    await using _server = { [Symbol.asyncDispose]: close }
    await put((await newSession(world)).session, vault)
    await expire(vault)
    const [home, other] = [await newHome(), await newHome()]
    const log = join(home.path, 'steps')
    await writeFile(log, '')
    const steps = { STEPS_LOG: log, STEPS_STOP: step, STEPS_STOPPED: String(LONG) }
    const { child, ended } = started(home, { ...vault.env, ...steps, NODE_OPTIONS: `--import ${STEPS}` })
    const state = () => readFile(`/proc/${child.pid}/stat`, 'utf8')
    await vi.waitFor(async () => expect(await state()).toMatch(/\) T /), patience)
    expect((await record(vault)).claim !== undefined).toBe(isClaimed)

    if (isClaimed) {
      const waiting = started(other, vault.env)
      await vi.waitFor(() => expect(waiting.said.stderr).toContain('which is refreshing this session'), patience)
      waiting.child.kill()
      await waiting.ended
      await hasWatched(other)
    }
    succeeded(await runCli(GET_SESSION, { home: other, env: vault.env }))
    expect(await stored(vault)).toMatchObject({ rotation: 1 })

    child.kill('SIGCONT')
    succeeded(await ended)
    // The first request to the token endpoint asks for a nonce, with no token.
    const sent = (await readFile(log, 'utf8')).split('\n').filter((each) => each === 'before /oauth/token')
    expect(sent.length).toBeLessThanOrEqual(1)
    expect(await stored(vault)).toMatchObject({ rotation: 1 })
    for (const each of [home, other, await newHome()])
      succeeded(await runCli(GET_SESSION, { home: each, env: vault.env }))
  })
})
