/** Completion in real shells, over the sessions of three accounts on the real PDS and of one in a vault. */
import { rename } from 'node:fs/promises'
import { beforeAll, expect, test } from 'vitest'
import { SETTING_KEYS } from '../../src/cli/config/keys.ts'
import { lacks } from '../support/machine.ts'
import { ALL, offeredByFish, typed } from '../support/shells.ts'
import { createHome, type Home, LAUNCHER, runCli } from '../world/cli.ts'
import { connectWorld } from '../world/world.ts'
import { callbackFor, sentByUs } from './support.ts'
import { newVault, vaultSession } from './vault-support.ts'

const world = connectWorld()
const CALL = 'call com.atproto.server.getSession --account'

let home: Home
/** The handles of the three, and of the one in the vault. */
let handles: string[]
let script: Record<string, string>

beforeAll(async () => {
  home = await createHome()
  const accounts = await Promise.all([1, 2, 3].map(() => world.createAccount()))
  for (const account of accounts) {
    const stdin = await callbackFor(account, home)
    expect(await runCli(['complete', '--save', 'store'], { home, stdin })).toMatchObject({ code: 0 })
  }
  const [first] = accounts
  expect(await runCli(['accounts', 'name', first!.handle, 'work'], { home })).toMatchObject({ code: 0 })
  handles = accounts.map(({ handle }) => handle)
  const shells = ['bash', 'zsh', 'fish'].map(async (shell) => [
    shell,
    (await runCli(['completion', shell], { home })).stdout,
  ])
  script = Object.fromEntries(await Promise.all(shells))
  return () => home.remove()
})

/** What a shell runs for accounts: the built program, in this home. */
const names = () =>
  `HOME='${home.path}' ATPROTO_OAUTH_HOME='${home.state}' '${process.execPath}' '${LAUNCHER}' accounts --names`

/** @returns what is offered for the last word of each line */
async function offered(shell: string, lines: readonly string[]): Promise<string[][]> {
  const whole = lines.map((line) => `atproto-oauth ${line}`)
  if (shell === 'fish') return offeredByFish(script['fish']!, whole, home.path, names())
  const all = whole.map((line) => line + ALL)
  const found = await typed(shell as 'bash' | 'zsh', script[shell]!, all, { names: names() })
  return found.map((words, at) => words.slice(lines[at]!.split(' ').length - 1))
}

test.for(['bash', 'zsh', 'fish'] as const)('%s completes accounts, names and settings', async (shell, { skip }) => {
  skip(shell === 'fish' ? lacks(shell) : lacks(shell, 'script'))
  await world.clearRequests()
  const [first = ''] = handles
  const lines = [`${CALL} `, `${CALL} ${first.slice(0, -2)}`, 'accounts use w', 'config set account ', 'config get ']
  const found = await offered(shell, lines)
  expect(found.map((words) => words.sort())).toStrictEqual([
    [...handles, 'work'].sort(),
    [first],
    ['work'],
    [...handles, 'work'].sort(),
    [...SETTING_KEYS].sort(),
  ])
  expect(await sentByUs(world)).toStrictEqual([])
})

test.skipIf(lacks('bash', 'script'))('accounts of a vault are completed while it cannot be reached', async () => {
  const vault = await newVault()
  const { handle } = await vaultSession(world, vault)
  const { ATPROTO_OAUTH_VAULT: address, ATPROTO_OAUTH_VAULT_KEY: stdin } = vault.env
  const used = await runCli(['vault', 'use', address], { home, stdin })
  expect(used.code, used.stderr).toBe(0)
  const listed = await runCli(['accounts'], { home })
  expect(listed.stdout).toContain(handle)
  await rename(vault.repository.folder, `${vault.repository.folder}.moved`)
  const [words = []] = await offered('bash', [`${CALL} `])
  expect(words.sort()).toStrictEqual([...handles, handle, 'work'].sort())
})
