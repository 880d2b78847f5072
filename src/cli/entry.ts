/**
 * The entry point of the built program. `--version` and `--help` are printed from files that the build wrote, because
 * loading the command parser would take most of their time.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Next to the bundle: the output of `--help` at 80 columns, the width of most terminals and of no terminal. */
const HELP = join(import.meta.dirname, '../help.txt')

/** As in node/version.ts, which is part of a larger file. */
const PACKAGE = join(import.meta.dirname, '../../package.json')

const USUAL_COLUMNS = 80

/** @param loaders of the launcher: `require.extensions` */
export async function main(loaders: NodeJS.RequireExtensions): Promise<void> {
  const said = process.argv.length === 3 ? answerTo(process.argv[2]!) : undefined
  if (said === undefined) {
    return (await import('./start.ts')).start(loaders)
  }
  process.stdout.on('error', failed)
  process.stdout.write(said)
}

function failed({ code }: NodeJS.ErrnoException): void {
  if (code === 'EPIPE') return // for example `--help | head`
  process.stderr.write(`atproto-oauth: error: the output could not be written: ${code} [OUTPUT_FAILED]\n`)
  process.exitCode = 10
}

function answerTo(asked: string): string | undefined {
  if (asked === '--version' || asked === '-V') return `${JSON.parse(readFileSync(PACKAGE, 'utf8')).version}\n`
  if (asked !== '--help' && asked !== '-h') return undefined
  const columns = process.stdout.isTTY ? process.stdout.columns : USUAL_COLUMNS
  return columns === USUAL_COLUMNS ? readFileSync(HELP, 'utf8') : undefined
}
