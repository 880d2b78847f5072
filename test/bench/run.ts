/** `npm run bench`: all benchmarks, or those that are named: `npm run bench -- start distance`. Flags are passed on. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const ALL = ['package', 'start', 'accounts', 'callers', 'batch', 'vault', 'distance']

const given = process.argv.slice(2)
const flags = given.filter((word) => word.startsWith('-'))
const named = given.filter((word) => !word.startsWith('-'))
const unknown = named.filter((name) => !ALL.includes(name))
if (unknown.length > 0) {
  process.stderr.write(`unknown benchmark "${unknown.join(', ')}"; there are: ${ALL.join(', ')}\n`)
  process.exit(2)
}
let failures = 0
for (const name of named.length > 0 ? named : ALL) {
  const file = fileURLToPath(new URL(`${name}.ts`, import.meta.url))
  const { status } = spawnSync(process.execPath, ['--import', 'tsx', file, ...flags], { stdio: 'inherit' })
  if (status !== 0) failures += 1
}
process.exit(failures === 0 ? 0 : 1)
