import { readFileSync } from 'node:fs'
import { join } from 'node:path'

let version: string | undefined

/** The version of this package. src/ and dist/ have the same depth below package.json. */
export function packageVersion(): string {
  version ??= JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')).version as string
  return version
}
