import { readFileSync } from 'node:fs'

/** The version of this package. src/ and dist/ have the same depth below package.json. */
export function packageVersion(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version
}
