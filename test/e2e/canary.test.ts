/** 20.5: no secret of a session is said by the built CLI but where it was promised, nor shown by `ps` while it runs. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { parse } from 'dotenv'
import { expect, test } from 'vitest'
import { type CliOptions, type Home, spawnCli } from '../world/cli.ts'
import { signIn } from '../world/person.ts'
import { connectWorld } from '../world/world.ts'
import { CONSENT, GENERIC, newHome } from './support.ts'

const world = connectWorld()
/** A save target that keeps what `ps` would show of every process, its own and ours among them. */
const PS = `exec:cat > /dev/null; cat /proc/[0-9]*/cmdline 2> /dev/null | tr '\\0' ' ' >> ps.txt`

test.skipIf(process.platform !== 'linux')('every command, with --verbose and with --json', async () => {
  const account = await world.createAccount()
  const home = await newHome()
  const said: string[] = []
  const secrets = new Set<string>()

  const run = async (args: string[], options: Omit<CliOptions, 'home'> = {}) => {
    const child = spawnCli(args, { home, ...options })
    await once(child, 'spawn')
    said.push(readFileSync(`/proc/${child.pid}/cmdline`, 'utf8'))
    const closed = once(child, 'close')
    const [stdout, stderr] = await Promise.all([buffer(child.stdout), buffer(child.stderr), closed])
    said.push(stderr.toString())
    for (const secret of await stored(home)) secrets.add(secret)
    return { stdout: stdout.toString(), stderr: stderr.toString(), code: child.exitCode }
  }
  const heard = (text: string) => [...secrets].filter((secret) => text.includes(secret))

  const started = await run(['init', account.handle, '--scope', GENERIC, '--verbose'])
  expect(heard(started.stdout)).toStrictEqual([]) // the verifier and the key are stored by now
  const callback = await signIn(started.stdout.trim(), account, CONSENT)
  secrets.add(new URL(callback).searchParams.get('code')!)

  const completed = await run(['complete', '--verbose', '--save', 'store', '--save', PS, '--format', 'dotenv'], {
    stdin: callback,
  })
  const env = parse(completed.stdout)
  secrets.add(env['ATPROTO_OAUTH_REFRESH_TOKEN']!)
  expect(completed.code).toBe(0)

  const quiet = [
    ['call', 'com.atproto.server.getSession', '--save', PS],
    ['call', 'com.atproto.identity.resolveHandle', 'handle=nobody.test', '--json'],
    ['refresh', '--save', PS],
    ['refresh', '--json'],
    ['status'],
    ['status', '--json'],
  ]
  for (const args of quiet) {
    const { stdout } = await run([...args, '--verbose'], { env })
    expect(heard(stdout)).toStrictEqual([])
  }
  const leased = await run(['lease', '--at-least', '1m', '--verbose'], { env })
  expect(heard(leased.stdout)).toStrictEqual(
    [parse(leased.stdout)['ATPROTO_OAUTH_ACCESS_TOKEN'], JSON.parse(env['ATPROTO_OAUTH_DPOP_PRIVATE_JWK']!).d].sort(
      (one, other) => [...secrets].indexOf(one) - [...secrets].indexOf(other),
    ),
  )
  const revoked = await run(['revoke', '--verbose'], { env })
  expect([revoked.code, heard(revoked.stdout)]).toStrictEqual([0, []])
  const over = await run(['refresh', '--json'], { env })
  expect(over.code).toBe(5)

  const shown = await readFile(join(home.path, 'ps.txt'), 'utf8')
  expect(shown.match(/atproto-oauth\.cjs (?:complete|call|refresh) /g)?.length).toBeGreaterThanOrEqual(3)
  // A verifier, a key, a code, and of three rotations the tokens.
  expect(secrets.size).toBeGreaterThanOrEqual(9)
  for (const text of [...said, shown]) expect(heard(text)).toStrictEqual([])
})

const SECRET_MEMBERS = ['d', 'codeVerifier', 'refreshToken', 'accessToken']

/** The secrets in the files that the CLI keeps. */
async function stored({ state }: Home): Promise<string[]> {
  const entries = await readdir(state, { recursive: true, withFileTypes: true }).catch(() => [])
  const found: string[] = []
  // Locks have no secrets, and are no JSON once they are released.
  for (const entry of entries.filter(({ name }) => name.endsWith('.json'))) {
    const text = await readFile(join(entry.parentPath, entry.name), 'utf8')
    JSON.parse(text, (name, value: unknown) => {
      if (SECRET_MEMBERS.includes(name) && typeof value === 'string') found.push(value)
      return value
    })
  }
  return found
}
