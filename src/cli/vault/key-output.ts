/**
 * Where the address and the key of a vault go: printed in a format, saved to targets, or kept on this machine alone.
 */
import { type Command, Option } from 'commander'
import { VAULT, VAULT_KEY, variable } from '../../credentials/variables.ts'
import { type Entries, TEXT_FORMATS } from '../../credentials/write.ts'
import { isSameAddress, withLogin } from '../../node/vault/connect.ts'
import type { KnownVault } from '../../node/vault/known.ts'
import type { SaveTarget } from '../../ports.ts'
import { toSafeJson } from '../../text.ts'
import type { Context } from '../context.ts'
import { checkSaveFolders } from '../credentials/deliver.ts'
import { entryPrinter, type Format } from '../credentials/print.ts'
import { CliError } from '../errors.ts'
import { collect, type SavingOptions } from '../options.ts'

export interface KeyOutputOptions extends SavingOptions {
  readonly format?: Exclude<Format, 'bundle'>
}

/** @param what goes there, in words */
export function addKeyOutputOptions(command: Command, what: string): Command {
  const formats = [...TEXT_FORMATS.filter((format) => format !== 'bundle'), 'github']
  return command
    .addOption(
      new Option('--format <format>', `Print ${what} in this format (default without a terminal: dotenv)`).choices(
        formats,
      ),
    )
    .addOption(
      new Option(
        '--save <target>',
        `Save ${what} to file:PATH, gh:[OWNER/REPO][@ENVIRONMENT] or exec:COMMAND (repeatable)`,
      ).argParser(collect),
    )
}

export interface KeyOutput {
  readonly targets: readonly SaveTarget[]
  /** @throws {OAuthError} `SAVE_FAILED` a target has the key of another vault */
  refuseTaken(address: string): Promise<void>
  save(vault: KnownVault): Promise<void>
  /** To stdout; at a terminal the address alone, unless a format is given. */
  print(vault: KnownVault): Promise<void>
}

/**
 * Checks what is given, before anything is changed.
 *
 * @throws {OAuthError} `USAGE`, `STORE_UNAVAILABLE`
 */
export async function keyOutputFor(options: KeyOutputOptions, context: Context): Promise<KeyOutput> {
  const { io, output } = context
  const targets = await targetsOf(options, context)
  const isShown = targets.length === 0 && !io.stdout.isTTY
  const format = options.format ?? (isShown && !output.json ? 'dotenv' : undefined)
  const print = format && entryPrinter(format, context)
  return {
    targets,
    async refuseTaken(address) {
      for (const target of targets) await refuseIfTaken(target, address, io.environment)
    },
    async save({ address, login, key }) {
      for (const target of targets) {
        await target.save([
          [VAULT, withLogin({ address, login })],
          [VAULT_KEY, key],
        ])
      }
    },
    async print({ address, key }) {
      const entries: Entries = [
        [VAULT, address],
        [VAULT_KEY, key],
      ]
      if (print) await print(entries, [key])
      else if (output.json) {
        const saved = { address, savedTo: targets.map(({ name }) => name) }
        await output.data(`${toSafeJson(isShown ? { ...saved, ...Object.fromEntries(entries) } : saved)}\n`)
      } else await output.data(`${address}\n`)
    },
  }
}

/** Only `--save` counts: the variable is for sessions. */
async function targetsOf({ save }: SavingOptions, context: Context): Promise<readonly SaveTarget[]> {
  if (save === undefined) return []
  if (save.some((name) => ['store', 'vault'].includes(name))) {
    throw new CliError('USAGE', 'address and key are kept on this machine without --save', {
      session: 'none',
      hint: 'use --save with file:PATH, gh:OWNER/REPO or exec:COMMAND',
    })
  }
  await checkSaveFolders(context)
  return context.runtime.saving.targets
}

/** A file may hold the only copy of the key of another vault. */
async function refuseIfTaken(
  { name, read }: SaveTarget,
  address: string,
  environment: Context['io']['environment'],
): Promise<void> {
  const there = (await read?.()) ?? {}
  const other = variable(there, VAULT)
  if (variable(there, VAULT_KEY) === undefined) return
  // By an earlier run of this command, or of the vault that is replaced.
  if (other !== undefined && (await isSameAddress(other, address, environment).catch(() => false))) return
  throw new CliError('SAVE_FAILED', `${name} already holds the key of a vault`, {
    session: 'none',
    hint: 'choose another save target, or move the existing one away',
  })
}
