/**
 * Prints or saves the private key of a confidential client, but never into the folder that gets published.
 */
import { relative } from 'node:path'
import { CLIENT_JWK, variable } from '../../credentials/variables.ts'
import type { OAuthError } from '../../errors.ts'
import type { ClientJwk } from '../../model.ts'
import { isWithin } from '../../node/client-files.ts'
import type { SaveTarget } from '../../ports.ts'
import { toSafeJson } from '../../text.ts'
import type { Context } from '../context.ts'
import { entryPrinter, type Format, warnIfReadable } from '../credentials/print.ts'
import { CliError } from '../errors.ts'
import type { SavingOptions } from '../options.ts'

interface KeyOptions extends SavingOptions {
  readonly addKey?: boolean
  readonly force?: boolean
  readonly format?: Exclude<Format, 'bundle'>
}

export interface KeyDestination {
  readonly targets: readonly SaveTarget[]
  /** Absent if the key is not printed. */
  readonly print?: ReturnType<typeof entryPrinter> | undefined
}

/**
 * Where the key will go, decided before anything is written. Only `--save` counts: the variable is for sessions.
 *
 * @throws {OAuthError} `USAGE`, `SAVE_FAILED`
 */
export async function chooseKeyDestination(
  options: KeyOptions,
  folder: string,
  context: Context,
): Promise<KeyDestination> {
  const { io, output, runtime } = context
  const usage = (message: string, hint: string) => new CliError('USAGE', message, { session: 'none', hint })
  const targets = options.save === undefined ? [] : runtime.saving.targets
  if (options.save?.includes('store')) {
    throw usage('the session store cannot hold a client key', 'use --save file:PATH, gh:OWNER/REPO or exec:COMMAND')
  }
  for (const { name, read } of targets) {
    const inFolder = name.startsWith('file:') && !relative(folder, name.slice('file:'.length)).startsWith('..')
    if (inFolder) throw published(name)
    if (options.addKey && !read && !options.force) {
      const hint = 'print the new one, save it under another name, or add --force'
      throw usage(`${name} may hold an existing client key that sessions need, and cannot be read`, hint)
    }
    if (variable((await read?.()) ?? {}, CLIENT_JWK) === undefined) continue
    throw new CliError('SAVE_FAILED', `${name} already holds a client key that sessions may need`, {
      session: 'none',
      hint: 'choose another save target, or move the existing one away',
    })
  }
  const format = options.format ?? (targets.length > 0 || output.json ? undefined : 'dotenv')
  if (targets.length === 0 && (await isWithin(folder, io.stdout.fd))) throw published('stdout')
  return { targets, print: format && entryPrinter(format, context) }
}

function published(where: string): OAuthError {
  return new CliError('USAGE', `${where} is in the directory to be published, which must not contain the private key`, {
    session: 'none',
    hint: 'save the key to another directory, or choose another one with --out',
  })
}

/** Saves and prints a new key. With `--json`, prints the facts, and the key unless it was saved. */
export async function deliverKey(
  key: ClientJwk | undefined,
  destination: KeyDestination | undefined,
  facts: object,
  context: Context,
): Promise<void> {
  const { output } = context
  const entries = key ? [[CLIENT_JWK, JSON.stringify(key)] as const] : []
  for (const target of destination?.targets ?? []) {
    await target.save(entries)
    output.note(`saved the private key to ${target.name}`)
  }
  if (key && destination?.print) return destination.print(entries, [key.d])
  if (!output.json) return
  const isElsewhere = destination !== undefined && destination.targets.length > 0
  await output.data(`${toSafeJson({ ...facts, ...(isElsewhere ? {} : Object.fromEntries(entries)) })}\n`)
  if (!key || isElsewhere) return
  await output.durable()
  warnIfReadable(context)
}
