/**
 * Which modules a module needs before it runs.
 */
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'

const STATEMENT = /^(?:import|export)\s+(?!type\b)(?:[\w*{][^'"]*?\sfrom\s+)?'([^']+)'/gm

/**
 * The paths of all modules that these import, directly or not, with `import` statements: what `import()` names is loaded later.
 *
 * @param except modules that are not followed
 */
export async function staticImports(
  files: readonly string[],
  except: ReadonlySet<string> = new Set(),
): Promise<ReadonlySet<string>> {
  const found = new Set(files.map((file) => resolve(file)))
  for (const path of found) {
    for (const [, name] of (await readFile(path, 'utf8')).matchAll(STATEMENT)) {
      const imported = resolve(dirname(path), name!)
      if (name!.startsWith('.') && !except.has(imported)) found.add(imported)
    }
  }
  return found
}
