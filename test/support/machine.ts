/**
 * What the tests take from the machine they run on. Its programs are used where they are there; its owner's settings,
 * and whatever the tool itself would start, are not: tests bring their own.
 */
import { accessSync, constants, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, delimiter, join } from 'node:path'

/** The tool starts these. A test that wants one writes its own. */
const BROUGHT_BY_TESTS = ['gh', 'xdg-open', 'wslview', 'open', 'secret-tool', 'security']
/** Names of programs, as if they were not installed: `ATPROTO_OAUTH_TEST_WITHOUT='zsh jq' npm test`. */
const WITHOUT = process.env['ATPROTO_OAUTH_TEST_WITHOUT']?.split(' ') ?? []

/** Variables that do not change what a test sees, or are meant for the tests. */
const KEPT =
  /^(PATH|PATHEXT|SYSTEMROOT|COMSPEC|TE?MP|TMPDIR|TZ|LANG|LANGUAGE|LC_\w+|TERM|CI|CHROMIUM|SCREENSHOTS|REQUIRE_OPTIONAL|PROPERTY_\w+|ATPROTO_OAUTH_(TEST|WORLD)_\w+|VITEST\w*|NODE_ENV|NODE_V8_COVERAGE|DEV|PROD|SSR|MODE|BASE_URL|FORCE_COLOR)$/i

export function isKept(variable: string): boolean {
  return KEPT.test(variable)
}

/** Hangs end here, whatever the machine's speed: ten minutes, in milliseconds. */
export const HANG_MS = 600_000

/** Gives this process and its children an empty home, and a PATH without what tests bring. Once, before any test. */
export function isolateFromMachine(): void {
  const folder = mkdtempSync(join(tmpdir(), 'atproto-oauth-machine-'))
  const compiled = folder.replace('machine', 'compiled') // test/support/compiled.ts
  process.once('exit', () => {
    for (const path of [folder, compiled]) rmSync(path, { recursive: true, force: true })
  })
  const [home, bin] = [join(folder, 'home'), join(folder, 'bin')]
  for (const path of [home, bin]) mkdirSync(path)
  const isWindows = process.platform === 'win32'
  if (!isWindows) linkPrograms(process.env['PATH'] ?? '', bin)
  for (const name of Object.keys(process.env)) if (!isKept(name)) delete process.env[name]
  process.env['ATPROTO_OAUTH_TEST_COMPILED'] = compiled
  Object.assign(process.env, { HOME: home, USERPROFILE: home, ...(!isWindows && { PATH: bin }) })
}

/** The first of each name wins, as in PATH itself; `node` is the one that runs the tests. */
function linkPrograms(path: string, bin: string): void {
  symlinkSync(process.execPath, join(bin, 'node'))
  const taken = new Set([...BROUGHT_BY_TESTS, ...WITHOUT, 'node'])
  for (const folder of path.split(delimiter)) {
    for (const name of programsIn(folder)) {
      if (taken.has(name)) continue
      taken.add(name)
      symlinkSync(join(folder, name), join(bin, name))
    }
  }
}

function programsIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return [] // PATH names folders that are not there
  }
}

export function isInstalled(program: string): boolean {
  if (WITHOUT.includes(basename(program))) return false
  const candidates = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, program))
  return (program.includes('/') ? [program] : candidates).some(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * For `skipIf`: whether one of the programs is missing. It says so on stderr; with `REQUIRE_OPTIONAL=1`, as in
 * `.ci/run`, it is an error, for nobody would notice that a test never runs.
 */
export function lacks(...programs: string[]): boolean {
  const missing = programs.filter((program) => !isInstalled(program))
  if (missing.length === 0) return false
  const message = `not installed: ${missing.join(', ')}`
  if (process.env['REQUIRE_OPTIONAL'] === '1') throw new Error(message)
  process.stderr.write(`SKIPPED: ${message}\n`)
  return true
}
