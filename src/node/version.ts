import { readFileSync } from 'node:fs'

/** Of this package; the built code is as deep below its root as this file. */
export function packageVersion(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version
}
