/** Following docs/ci.md: machines with the programs that it uses, their vaults, and the blocks to follow. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, vi } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }
import type { SessionRecord } from '../../src/model.ts'
import { connectEngine } from '../../src/node/vault/connect.ts'
import { readContents } from '../../src/node/vault/inspect.ts'
import { seal } from '../../src/node/vault/record.ts'
import { type Block, blocksToRun } from '../support/blocks.ts'
import { HANG_MS } from '../support/machine.ts'
import { type CliResult, type Home, runShell } from '../world/cli.ts'
import { ownWorld } from '../world/own.ts'
import { signIn } from '../world/person.ts'
import type { Account } from '../world/world.ts'
import { npxProgram } from './github.ts'
import { CONSENT, newHome } from './support.ts'

export const DAY = 24 * 3600 * 1000

export async function blocksOfCi(): Promise<Block[]> {
  return (await blocksToRun()).filter(({ page }) => page === 'docs/ci.md')
}

/** The only block under a heading. */
export async function blockUnder(heading: string): Promise<Block> {
  const found = (await blocksOfCi()).filter((block) => block.heading === heading)
  expect(found).toHaveLength(1)
  return found[0]!
}

export const template = (name: string) => readFile(new URL(`../../oauth-templates/${name}`, import.meta.url), 'utf8')

/** The home of a machine on which these programs are installed, and `npx`. */
export async function newMachine(
  programs: Readonly<Record<string, string>> = {},
): Promise<{ home: Home; PATH: string }> {
  const home = await newHome()
  const bin = join(home.path, 'bin')
  await install(bin, { npx: npxProgram(packageJson.version), ...programs })
  return { home, PATH: `${bin}:${process.env['PATH']}` }
}

async function install(bin: string, programs: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(bin, { recursive: true })
  for (const [name, script] of Object.entries(programs)) await writeFile(join(bin, name), script, { mode: 0o755 })
}

/** Runs commands as a person does who sits there: `login` opens the browser, in which they sign in. */
export async function follow(
  script: string,
  account: Account,
  home: Home,
  PATH: string,
  stdin = '',
): Promise<CliResult> {
  const opened = join(home.path, 'opened')
  await install(join(home.path, 'bin'), {
    'xdg-open': `#!/bin/sh\nprintf %s "$1" > '${opened}.new' && mv '${opened}.new' '${opened}'\n`,
  })
  const lines = `set -eo pipefail\n${script.replaceAll('alice.bsky.social', account.handle)}`
  const done = runShell(lines, { home, env: { PATH, DISPLAY: ':0' }, stdin })
  const signedIn = vi
    .waitFor(() => readFile(opened, 'utf8'), { timeout: HANG_MS })
    .then((url) => signIn(url, account, CONSENT))
    .then((callback) => fetch(callback))
  signedIn.catch(() => undefined)
  if (script.includes('atproto-oauth login')) await Promise.race([done, signedIn])
  const result = await done
  expect(result, result.stderr).toMatchObject({ code: 0 })
  return result
}

export async function posts({ did }: Account): Promise<string[]> {
  const query = new URLSearchParams({ repo: did, collection: 'app.bsky.feed.post' })
  const response = await fetch(`${ownWorld().pdsUrl}/xrpc/com.atproto.repo.listRecords?${query}`)
  const { records } = (await response.json()) as { records: { value: { text: string } }[] }
  return records.map(({ value }) => value.text).sort()
}

/** The vault that a machine has. */
export async function vaultOf(home: Home) {
  const known = JSON.parse(await readFile(join(home.state, 'vault.json'), 'utf8'))
  const { address, key } = known.vaults[0]
  const environment = { PATH: process.env['PATH'], HOME: home.path }
  const engine = await connectEngine(address, { environment, cache: join(home.path, 'cache') })
  const read = async () => {
    const { keys, sessions } = await readContents(engine, key)
    return { keys, only: sessions[0]! }
  }
  return {
    key: key as string,
    session: async () => (await read()).only.record.session,
    /** As if time had passed, for whoever reads the vault. */
    async change(edit: (session: SessionRecord) => Partial<SessionRecord>) {
      const { keys, only } = await read()
      const session = { ...only.record.session, ...edit(only.record.session) }
      const { name, text } = await seal({ ...only.record, session }, keys)
      expect(await engine.swap(name, only.text, text)).toBe('won')
    },
  }
}

export const expired = () => ({ accessTokenExpiresAt: Date.now() - 1000 })
