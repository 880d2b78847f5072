/**
 * Makes dist/types stand alone, as dist/cjs does: the declarations of a bundled package that ours name are copied
 * beside them. Without that, the types of whoever installs the package would silently be `any`. Declarations that
 * the library's faces do not lead to are removed: nobody can import them.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { isBuiltin } from 'node:module'
import { dirname, posix } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const TYPES = `${ROOT}dist/types`
/** Each in one file, which imports nothing. */
const BUNDLED: Readonly<Record<string, { readonly from: string; readonly to: string }>> = {
  '@badrap/valita': { from: 'node_modules/@badrap/valita/dist/mjs/index.d.mts', to: 'third-party/valita.d.ts' },
}

const reached = await reach('testing/index.d.ts', await reach('index.d.ts'))
for (const name of await readdir(TYPES, { recursive: true })) {
  const file = name.replaceAll('\\', '/')
  if (!file.endsWith('.d.ts')) continue
  if (!reached.has(file)) {
    await rm(`${TYPES}/${file}`)
    continue
  }
  const text = await readFile(`${TYPES}/${file}`, 'utf8')
  const standing = outdented(text).replace(/(?<=\bfrom ')[^.'][^']*(?=')/g, (specifier) => standAlone(specifier, file))
  if (standing !== text) await writeFile(`${TYPES}/${file}`, standing)
}
for (const { from, to } of Object.values(BUNDLED)) {
  await mkdir(dirname(`${TYPES}/${to}`), { recursive: true })
  await writeFile(`${TYPES}/${to}`, withoutComments(await readFile(ROOT + from, 'utf8')))
}

async function reach(file: string, found = new Set<string>()): Promise<Set<string>> {
  if (found.has(file)) return found
  found.add(file)
  const text = await readFile(`${TYPES}/${file}`, 'utf8')
  for (const [, path] of text.matchAll(/\b(?:from |import\(|import )['"](\.[^'"]+)\.ts['"]/g)) {
    await reach(posix.join(posix.dirname(file), `${path}.d.ts`), found)
  }
  return found
}

function standAlone(specifier: string, file: string): string {
  if (isBuiltin(specifier)) return specifier
  const bundled = BUNDLED[specifier]
  if (!bundled) throw new Error(`${file} names ${specifier}: give it its place in BUNDLED`)
  const path = posix.relative(posix.dirname(file), bundled.to).replace(/\.d\.ts$/, '.ts')
  return path.startsWith('.') ? path : `./${path}`
}

/** Nobody reads them there, and they are half of the file. */
function withoutComments(text: string): string {
  return outdented(text.replace(/^\s*\/\*[\s\S]*?\*\/\n/gm, ''))
}

/** With one space for four: that is a sixth of the types of the lexicons. */
function outdented(text: string): string {
  return text.replace(/^(?: {4})+/gm, (indent) => ' '.repeat(indent.length / 4))
}
