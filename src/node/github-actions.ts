/**
 * The format `github`: writes to the files that pass values from one step of a GitHub Actions job to the next.
 */
import { randomUUID } from 'node:crypto'
import { appendFile } from 'node:fs/promises'
import { ROTATION } from '../credentials/variables.ts'
import { OAuthError } from '../errors.ts'

/** @throws {OAuthError} `USAGE` not running in a GitHub Actions step */
export function githubTargets(environment: Readonly<Record<string, string | undefined>>): string[] {
  const files = [environment.GITHUB_ENV, environment.GITHUB_OUTPUT].filter((path) => path !== undefined && path !== '')
  if (files.length > 0) return [...new Set(files as string[])]
  throw new OAuthError(
    'USAGE',
    'GITHUB_ENV and GITHUB_OUTPUT are not set: the format "github" works only in a GitHub Actions step',
    {
      session: 'none',
      facts: { reason: 'workflow-step-needed' },
    },
  )
}

/**
 * Masks every value with a workflow command on stdout before it is written to a file.
 *
 * @param secrets additional values to mask: parts that would reveal the others
 */
export async function writeGithub(
  entries: readonly (readonly [name: string, value: string])[],
  secrets: readonly string[],
  files: readonly string[],
  stdout: (text: string) => Promise<void>,
): Promise<void> {
  // A small number would be masked wherever the log has that digit, and is no secret.
  const values = entries.filter(([name]) => name !== ROTATION).map(([, value]) => value)
  const masked = [...values, ...secrets].filter((value) => value !== '')
  // In a workflow command %, CR and LF are escaped.
  const escaped = (value: string) => value.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A')
  await stdout(masked.map((value) => `::add-mask::${escaped(value)}\n`).join(''))
  const end = `end-${randomUUID()}`
  // Starts on a new line: an earlier command may not have ended its last one.
  const text = entries.map(([name, value]) => `${name}<<${end}\n${value}\n${end}\n`).join('')
  for (const file of files) await appendFile(file, `\n${text}`)
}
