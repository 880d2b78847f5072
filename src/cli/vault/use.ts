/**
 * `vault use`: uses a vault that exists on this machine too.
 */
import { Command } from 'commander'
import { cleaned, VAULT_KEY, variable } from '../../credentials/variables.ts'
import { isOAuthError } from '../../errors.ts'
import { normalizeAddress, resolveAddress, vaultFolders, withoutLogin } from '../../node/vault/connect.ts'
import { VAULT_RECORD, type VaultEngine } from '../../node/vault/engine.ts'
import { parseUserKey, unwrapKeys, userKeyId, wrapsOf } from '../../node/vault/envelope.ts'
import { vaultNotFound } from '../../node/vault/keyring.ts'
import { type KnownVault, prepareKnownVaults, writeKnownVault } from '../../node/vault/known.ts'
import { opens } from '../../node/vault/make.ts'
import { inheritMemory } from '../../node/vault/open.ts'
import { toSafeJson } from '../../text.ts'
import { inCi } from '../ci.ts'
import type { Context } from '../context.ts'
import { CliError } from '../errors.ts'
import type { Runner } from '../invocation.ts'
import { type CliIO, programName, readStdin } from '../io.ts'
import type { CommonOptions } from '../options.ts'
import { shellQuote } from '../shell.ts'
import { connect, requireHome, warnOfVariable } from './setting.ts'

/** Bytes; a key has 43 characters. */
const KEY_LARGEST = 4096

export function vaultUseCommand(runner: Runner): Command {
  return new Command('use')
    .description('Use an existing vault on this machine')
    .argument('<address>', 'Address of the vault')
    .addHelpText('after', NOTES)
    .action(runner.action(runUse, 'login'))
}

const NOTES = `
The key is read from ATPROTO_OAUTH_VAULT_KEY or stdin; at a terminal it is asked for, and not shown. It is checked
against the vault before it is kept. Keys of earlier vaults are kept too: to switch back, only the address is needed.
The key is asked for again if it was replaced in the meantime. A vault that has moved keeps its key.

Examples:
  atproto-oauth vault use git:https://github.com/alice/bot
  ssh laptop atproto-oauth vault key | atproto-oauth vault use git:https://github.com/alice/bot
`

async function runUse(given: string, _: CommonOptions, context: Context): Promise<void> {
  const { io, output } = context
  const home = requireHome(context)
  const address = await normalizeAddress(given, io.environment)
  const { current, vaults } = await prepareKnownVaults(home)
  const inVariable = variable(io.environment, VAULT_KEY)
  const known = vaults.find((vault) => vault.address === address)
  const login = (await withoutLogin(given)).login ?? known?.login
  const engine = await connect(address, context, login)
  let key = inVariable ?? known?.key ?? (await keyOfOther(engine, vaults)) ?? (await askForKey(address, io))
  parseUserKey(key)
  const isKept = inVariable === undefined && known !== undefined
  let checked = await check(engine, key).catch((error: unknown) => {
    if (!isKept || !isOAuthError(error, 'VAULT_KEY_WRONG')) throw error
    return undefined
  })
  // The key was kept here, and the vault has a new one since.
  if (checked === undefined || (isKept && !checked.isNewest)) {
    key = await askForKey(address, io)
    checked = await check(engine, key)
  }
  const { memory } = vaultFolders(home)
  if (known !== undefined && known.key !== key) await inheritMemory(engine, known.key, key, memory)
  // Where the vault was before, with the keys that it had.
  let hasMoved = false
  for (const vault of vaults) {
    const { identity } = await resolveAddress(vault.address, io.environment).catch(() => ({ identity: undefined }))
    if (identity === undefined || !checked.movedFrom.includes(identity)) continue
    await inheritMemory(engine, vault.key, key, memory, identity)
    if (vault.address === current) hasMoved = true
  }
  await writeKnownVault(home, { address, key, login })
  await output.data(output.json ? `${toSafeJson({ address, previous: current })}\n` : `${address}\n`)
  if (current !== undefined && current !== address && !hasMoved) {
    output.note(`The key of the vault that was used before is kept. To switch back:
  ${programName(io)} vault use ${shellQuote(current)}`)
  }
  await warnOfVariable(address, context)
}

/** The key of a vault that is kept here and was moved to this address. */
async function keyOfOther(engine: VaultEngine, vaults: readonly KnownVault[]): Promise<string | undefined> {
  if (vaults.length === 0) return undefined
  const text = await engine.read(VAULT_RECORD)
  for (const { key } of text === undefined ? [] : vaults) {
    if ((await opens(text!, parseUserKey(key), engine.address)) !== undefined) return key
  }
  return undefined
}

interface Checked {
  /** The vault has no newer key. */
  readonly isNewest: boolean
  /** Addresses where it was before. */
  readonly movedFrom: readonly string[]
}

async function check(engine: VaultEngine, key: string): Promise<Checked> {
  const userKey = parseUserKey(key)
  const text = await engine.read(VAULT_RECORD)
  if (text === undefined) throw vaultNotFound(engine.address)
  const { movedFrom = [] } = await unwrapKeys(text, userKey, engine.address)
  return { isNewest: wrapsOf(text).at(-1)?.kid === userKeyId(userKey), movedFrom }
}

async function askForKey(address: string, io: CliIO): Promise<string> {
  const { stdin, stderr } = io
  if (stdin.isTTY && !inCi(io)) {
    const { password } = await import('@inquirer/prompts')
    return cleaned(await password({ message: `Key of the vault at ${address}:` }, { input: stdin, output: stderr }))
  }
  const bytes = stdin.isTTY ? new Uint8Array() : await readStdin(io, KEY_LARGEST)
  const text = bytes === undefined ? '' : cleaned(Buffer.from(bytes).toString('utf8'))
  if (text !== '') return text
  throw new CliError(
    'USAGE',
    bytes === undefined ? 'stdin is too long for a key' : 'the key is missing: stdin is empty',
    {
      session: 'none',
      hint: `set ${VAULT_KEY}, or pass the key on stdin; on a machine that has it: atproto-oauth vault key`,
    },
  )
}
