/**
 * The format `github`: writes to the files that pass values from one step of a GitHub Actions job to the next.
 */
import { randomUUID } from 'node:crypto'
import { closeSync, constants, openSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { ROTATION } from '../credentials/variables.ts'
import { OAuthError } from '../errors.ts'
import { isCode, reasonOf, UNFLUSHABLE } from './store/file-errors.ts'

const { O_APPEND, O_CREAT, O_WRONLY, O_NONBLOCK = 0 } = constants

/** @throws {OAuthError} `USAGE` not running in a GitHub Actions step, or its files cannot be written */
export function githubTargets(environment: Readonly<Record<string, string | undefined>>): string[] {
  const files = [environment.GITHUB_ENV, environment.GITHUB_OUTPUT].filter((path) => path !== undefined && path !== '')
  if (files.length === 0) {
    throw misplaced('GITHUB_ENV and GITHUB_OUTPUT are not set: the format "github" works only in a GitHub Actions step')
  }
  const targets = [...new Set(files as string[])]
  for (const target of targets) checkWritable(target)
  return targets
}

function checkWritable(path: string): void {
  try {
    closeSync(openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, 0o600))
  } catch (error) {
    throw misplaced(`cannot write the file of GITHUB_ENV or GITHUB_OUTPUT, ${path}: ${reasonOf(error)}`)
  }
}

function misplaced(message: string): OAuthError {
  return new OAuthError('USAGE', message, { session: 'none', facts: { reason: 'workflow-step-needed' } })
}

/**
 * Masks the values with a workflow command on stdout before they are written to a file. When this resolves, the values
 * are on the disk; when it rejects, no file has any of them.
 *
 * @param secrets additional values to mask: parts that would reveal the others
 * @param isSecret whether the value of this name is masked
 * @throws {OAuthError} `OUTPUT_FAILED`
 */
export async function writeGithub(
  entries: readonly (readonly [name: string, value: string])[],
  secrets: readonly string[],
  files: readonly string[],
  stdout: (text: string) => Promise<void>,
  isSecret: (name: string) => boolean = () => true,
): Promise<void> {
  // A small number would be masked wherever the log has that digit, and is no secret.
  const values = entries.filter(([name]) => name !== ROTATION && isSecret(name)).map(([, value]) => value)
  const masked = [...values, ...secrets].filter((value) => value !== '')
  // In a workflow command %, CR and LF are escaped.
  const escaped = (value: string) => value.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
  await stdout(masked.map((value) => `::add-mask::${escaped(value)}\n`).join(''))
  const end = `end-${randomUUID()}`
  // Starts on a new line: an earlier command may not have ended its last one.
  const text = entries.map(([name, value]) => `${name}<<${end}\n${value}\n${end}\n`).join('')
  await appendToAll(files, `\n${text}`)
}

async function appendToAll(paths: readonly string[], text: string): Promise<void> {
  const [path, ...others] = paths
  if (path === undefined) return
  let file: FileHandle | undefined
  try {
    file = await open(path, 'a')
    const before = await file.stat()
    try {
      await file.appendFile(text)
      await flush(file)
      await appendToAll(others, text)
    } catch (error) {
      // A part of a value would be read as an error of the step.
      if (before.isFile()) await file.truncate(before.size).catch(() => undefined)
      throw error
    }
  } catch (error) {
    if (error instanceof OAuthError) throw error
    throw new OAuthError('OUTPUT_FAILED', `cannot write ${path}: ${reasonOf(error)}`, { cause: error })
  } finally {
    await file?.close().catch(() => undefined)
  }
}

async function flush(file: FileHandle): Promise<void> {
  await file.sync().catch((error: unknown) => {
    if (!isCode(error, ...UNFLUSHABLE)) throw error
  })
}
