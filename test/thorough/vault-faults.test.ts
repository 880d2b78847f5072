/**
 * The vault when something goes wrong: the built CLI is killed at each step, the git server fails, and others change the
 * branch. The session lives, or what is allowed to end it is said.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { expectFailure, newHome, sentByUs } from '../e2e/support.ts'
import {
  expire,
  filesWith,
  newVault,
  record,
  records,
  secretsOf,
  stored,
  type TestVault,
  vaultSession,
} from '../e2e/vault-support.ts'
import { HANG_MS } from '../support/machine.ts'
import { type CliResult, type Home, runCli, spawnCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'

const world = connectWorld()
const STEPS = new URL('../support/vault-steps.mjs', import.meta.url).href
const GET_SESSION = ['call', 'com.atproto.server.getSession']

/** A home whose runs write their steps down, and can be killed at one of them. */
async function machine(vault: TestVault) {
  const home = await newHome()
  const log = join(home.path, 'steps')
  await writeFile(log, '')
  const steps = async () => (await readFile(log, 'utf8')).split('\n').slice(0, -1)
  const env = { ...vault.env, NODE_OPTIONS: `--import ${STEPS}`, STEPS_LOG: log }
  return {
    home,
    steps,
    run: (args: readonly string[], more: Record<string, string> = {}): Promise<CliResult> =>
      runCli(args, { home, env: { ...env, ...more } }),
    /** Kills it at the step that has this name for the `nth` time. */
    async kill(args: readonly string[], step: string, nth = 1, more: Record<string, string> = {}): Promise<void> {
      const killed = await runCli(args, { home, env: { ...env, ...more, STEPS_KILL: `${nth} ${step}` } })
      expect([killed.signal, (await steps()).at(-1)], killed.stderr).toStrictEqual(['SIGKILL', step])
    },
  }
}

const succeeded = (result: CliResult) => expect(result, result.stderr).toMatchObject({ code: 0 })

/** Starts a run, and waits until it says that it waits for another machine. */
async function waiting(home: Home, vault: TestVault, args: readonly string[]): Promise<() => Promise<CliResult>> {
  const child = spawnCli(args, { home, env: vault.env })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = new Promise<CliResult>((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr, stdoutBytes: Buffer.from(stdout) })),
  )
  await vi.waitFor(() => expect(stderr).toContain(`waiting for ${hostname()}, which is refreshing this session`), {
    timeout: HANG_MS / 10,
  })
  return () => ended
}

describe('a refresh that is killed', () => {
  /** In their order; after the response and before the write-ahead, the new tokens are nowhere else. */
  const harmless: [step: string, nth: number, isClaimed: boolean][] = [
    ['before push', 1, false],
    ['after push 0', 1, true],
    ['before /oauth/token', 2, true],
    ['after rename ahead', 1, true],
    ['before push', 2, true],
    ['after push 0', 2, false],
    ['before rm ahead', 2, false],
  ]

  test('the next run on the same machine goes on, and another machine waits for it', async () => {
    const vault = await newVault()
    await vaultSession(world, vault)
    const [first, other] = [await machine(vault), await machine(vault)]
    succeeded(await first.run(['refresh']))
    succeeded(await other.run(GET_SESSION))
    for (const [step, nth, isClaimed] of harmless) {
      await first.kill(['refresh'], step, nth)
      expect((await record(vault)).claim !== undefined, step).toBe(isClaimed)
      if (step === 'after push 0' && isClaimed) {
        const finished = await waiting(other.home, vault, ['refresh'])
        succeeded(await first.run(['refresh']))
        succeeded(await finished())
      } else {
        succeeded(await first.run(isClaimed ? ['refresh'] : GET_SESSION))
        succeeded(await other.run(GET_SESSION))
      }
    }
    // What was sent twice would have ended the session.
    const sent = [...(await first.steps()), ...(await other.steps())].filter(
      (step) => step === 'after /oauth/token 200',
    )
    expect(await stored(vault)).toMatchObject({ rotation: sent.length })
  })

  test('new tokens that were nowhere else yet are lost, which is said', async () => {
    const vault = await newVault()
    await vaultSession(world, vault)
    const { home, kill, run } = await machine(vault)
    await kill(['refresh'], 'after /oauth/token 200')
    expect(await filesWith(secretsOf(await stored(vault), vault), home.path)).toStrictEqual([])
    const next = await run(['refresh'])
    expect(next.stderr).toContain('an earlier refresh was sent, but no response was stored')
    expectFailure(next, 5, 'SESSION_DEAD')
    expectFailure(await runCli(GET_SESSION, { home: await newHome(), env: vault.env }), 5, 'SESSION_DEAD')
  })
})

describe('who can write to the branch and has no key', () => {
  type Forge = (texts: Forged) => string
  interface Forged {
    readonly text: string
    readonly ofOther: string
    readonly ofOtherVault: string
  }
  const edited = (text: string, change: object) => {
    const [header, ...rest] = text.split('.')
    const parsed = JSON.parse(Buffer.from(header!, 'base64url').toString())
    return [Buffer.from(JSON.stringify({ ...parsed, ...change })).toString('base64url'), ...rest].join('.')
  }
  const forgeries: [what: string, forge: Forge][] = [
    ['the record of another account', ({ ofOther }) => ofOther],
    ['the record of another vault', ({ ofOtherVault }) => ofOtherVault],
    ['a truncated record', ({ text }) => text.slice(0, text.length / 2)],
    ['an empty record', () => ''],
    ['a changed byte', ({ text }) => `${text.slice(0, -30)}${text.at(-30) === 'A' ? 'B' : 'A'}${text.slice(-29)}`],
    ['compression in the header', ({ text }) => edited(text, { zip: 'DEF' })],
    ['another algorithm in the header', ({ text }) => edited(text, { alg: 'A256KW' })],
    ['no encryption in the header', ({ text }) => edited(text, { enc: 'none' })],
    ['critical extensions in the header', ({ text }) => edited(text, { crit: ['b64'], b64: false })],
    ['another name in the header', ({ ofOther }) => edited(ofOther, { name: '0'.repeat(40) })],
  ]

  test('cannot have a token of the wrong session sent', async () => {
    const [vault, otherVault] = [await newVault(), await newVault()]
    const accounts = [await vaultSession(world, vault), await vaultSession(world, vault)]
    await vaultSession(world, otherVault)
    const before = await records(vault)
    const one = before.find((each) => each.record.session.did === accounts[0]!.did)!
    const other = before.find((each) => each.record.session.did === accounts[1]!.did)!
    const [{ text: ofOtherVault }] = (await records(otherVault)) as [(typeof before)[0]]
    await expire(vault)
    await world.clearRequests()
    let current = await vault.engine.read(one.name)
    for (const [what, forge] of forgeries) {
      const forged = forge({ text: one.text, ofOther: other.text, ofOtherVault })
      expect(await vault.engine.swap(one.name, current, forged), what).toBe('won')
      current = forged
      const args = [...GET_SESSION, '--account', one.record.session.did]
      const called = await runCli(args, { home: await newHome(), env: vault.env })
      expect(called.code, what).not.toBe(0)
      expect(await vault.engine.read(one.name), what).toBe(forged)
    }
    expect((await sentByUs(world)).filter((line) => line.startsWith('POST') || line.includes('xrpc'))).toStrictEqual([])
  })
})
