/** `src/` as JavaScript, for processes of tests: with `tsx`, each takes five times as long to start. */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** Beside `src/`, which such a process may import. */
const SUPPORT = ['test/support/store-encryption.ts']

/** The names of our files, between quotes or before a query. */
const compiledNames = (code: string) => code.replaceAll(/(?<=[/\w-])\.ts(?=['"`?])/g, '.js')

/** Code that imports from `process.env.SRC`, and where that is. The first process that needs it makes it. */
export function compiled(code: string): { readonly code: string; readonly source: string } {
  const folder = process.env['ATPROTO_OAUTH_TEST_COMPILED']!
  if (!existsSync(folder)) {
    const building = mkdtempSync(`${folder}-`)
    build(building)
    try {
      renameSync(building, folder)
    } catch (error) {
      rmSync(building, { recursive: true })
      if (!existsSync(folder)) throw error // another process has not made it either
    }
  }
  return { code: compiledNames(code), source: pathToFileURL(join(folder, 'src/')).pathname }
}

interface Compiler {
  buildSync(options: object): unknown
}

function build(folder: string): void {
  const sources = filesIn(join(ROOT, 'src'), '.ts').map((name) => `src/${name}`)
  // The one that tsx has.
  const { buildSync } = createRequire(import.meta.resolve('tsx'))('esbuild') as Compiler
  const paths = { absWorkingDir: ROOT, entryPoints: [...sources, ...SUPPORT], outbase: ROOT, outdir: folder }
  buildSync({ ...paths, format: 'esm', platform: 'node', target: 'node20.19', tsconfigRaw: {}, logLevel: 'error' })
  for (const name of filesIn(folder, '.js')) {
    const path = join(folder, name)
    writeFileSync(path, compiledNames(readFileSync(path, 'utf8')))
  }
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'junction')
  copyFileSync(join(ROOT, 'package.json'), join(folder, 'package.json'))
  chmodSync(folder, 0o755) // some processes are another user's
}

function filesIn(folder: string, end: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith(end))
}
