import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const JOSE = 'jose$'
const NOUNS = '\\.\\./(?:errors|hints|ports|model|printable)\\.ts$'

/** Which files a folder may import from. This table *is* the architecture. */
const MAY_IMPORT: Record<string, RegExp> = {
  'src/protocol': RegExp(`^(?:\\./|${NOUNS}|${JOSE})`),
  'src/doctor': RegExp(`^(?:\\./|${NOUNS}|\\.\\./(?:judge|lineage|status)\\.ts$|\\.\\./protocol/)`),
  'src/credentials': RegExp(`^(?:\\./|${NOUNS}|\\.\\./protocol/(?:dpop|syntax)\\.ts$|${JOSE})`),
  'src/node': RegExp(`^(?:\\./|${NOUNS}|node:|ipaddr\\.js$)`),
  'src/node/save': RegExp(
    `^(?:\\./|\\.\\./files\\.ts$|\\.\\./${NOUNS}|\\.\\./\\.\\./credentials/(?:dotenv|variables|write)\\.ts$|node:)`,
  ),
  'src/cli/completion': /^(?:\.\/|\.\.\/\.\.\/protocol\/(?:methods|presets)\.ts$|commander$)/,
  'src/cli': /^(?:\.\/|\.\.\/|node:|commander$|open$|@inquirer\/prompts$)/,
}
/** The files of src/ itself: nouns know only nouns, verbs reach the world through ports. */
const NOUN_FILES = ['model.ts', 'ports.ts', 'errors.ts', 'hints.ts', 'printable.ts']
const MAY_IMPORT_NOUN = /^\.\/(?:model|ports|errors|printable)\.ts$/
const MAY_IMPORT_VERB = /^\.\/[a-z]+\.ts$|^\.\/(?:protocol|credentials|doctor)\//
const MAY_IMPORT_INDEX = /^\.\//

const PURE = ['src/protocol', 'src/credentials', 'src/doctor']
const FORBIDDEN_GLOBALS =
  /\b(?:process[.[]|console|Buffer|Date\.now|new Date\(\)|Math\.random|setTimeout|setInterval|globalThis)\b|(?<![.\w])fetch\(/

function sources(folder: string): string[] {
  return readdirSync(folder).filter((file) => file.endsWith('.ts'))
}

function imports(source: string): string[] {
  return [...source.matchAll(/\b(?:from|import)\s*\(?\s*'([^'\s]+)'/g)].map((match) => match[1]!)
}

function code(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\/|(?<!:)\/\/.*$/gm, '')
}

for (const [folder, allowed] of Object.entries(MAY_IMPORT)) {
  test.each(sources(folder))(`${folder}/%s stays inside its layer`, (file) => {
    const source = readFileSync(`${folder}/${file}`, 'utf8')
    expect(imports(source).filter((name) => !allowed.test(name))).toStrictEqual([])
    if (PURE.includes(folder)) expect(code(source).match(FORBIDDEN_GLOBALS)?.[0]).toBeUndefined()
  })
}

test.each(sources('src'))('src/%s stays inside its layer', (file) => {
  const source = readFileSync(`src/${file}`, 'utf8')
  const allowed = NOUN_FILES.includes(file) ? MAY_IMPORT_NOUN : file === 'index.ts' ? MAY_IMPORT_INDEX : MAY_IMPORT_VERB
  expect(imports(source).filter((name) => !allowed.test(name))).toStrictEqual([])
  // ports.ts declares what the others must not have.
  if (file !== 'index.ts' && file !== 'ports.ts') expect(code(source).match(FORBIDDEN_GLOBALS)?.[0]).toBeUndefined()
})

test('the table covers every folder', () => {
  const entries = readdirSync('src', { withFileTypes: true, recursive: true }).filter((entry) => entry.isDirectory())
  const folders = entries.map(({ parentPath, name }) => `${parentPath}/${name}`)
  expect(folders.sort()).toStrictEqual(Object.keys(MAY_IMPORT).sort())
})

test('the rule catches what it is for', () => {
  expect(imports(`import { readFile } from 'node:fs'\nconst x = await import('open')`)).toStrictEqual([
    'node:fs',
    'open',
  ])
  expect(MAY_IMPORT['src/protocol']!.test('node:fs')).toBe(false)
  expect(MAY_IMPORT['src/protocol']!.test('../node/http.ts')).toBe(false)
  expect(MAY_IMPORT_VERB.test('./node/store.ts')).toBe(false)
  for (const bad of ['process.env', 'console.log(1)', 'await fetch(url)', 'Date.now()']) {
    expect(FORBIDDEN_GLOBALS.test(bad), bad).toBe(true)
  }
  expect(FORBIDDEN_GLOBALS.test('ports.fetch(url)')).toBe(false)
})

test.each(readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts')))(
  'src/%s is read in one sitting',
  (file) => expect(readFileSync(`src/${file}`, 'utf8').split('\n').length).toBeLessThanOrEqual(251),
)
