/** The documents for contributors name files and scripts that exist. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import packageJson from '../../package.json' with { type: 'json' }

const DOCUMENTS = ['CONTRIBUTING.md', 'SECURITY.md', '.github/pull_request_template.md']

describe.each(DOCUMENTS)('%s', (path) => {
  const text = readFileSync(path, 'utf8')

  test('links to what exists', () => {
    for (const [, target] of text.matchAll(/\]\(((?!https?:)[^)#]*)(?:#[^)]*)?\)/g))
      expect(existsSync(join(dirname(path), target!)), target).toBe(true)
  })

  test('names paths that exist', () => {
    const paths = [...text.matchAll(/`((?:\.?[\w-]+\/)+[\w.-]*)`/g)].map(([, name]) => name!)
    const areHere = (name: string) => existsSync(name) || existsSync(`src/${name}`) || existsSync(`test/${name}`)
    expect(paths.filter((name) => !GENERATED.test(name) && !areHere(name))).toStrictEqual([])
  })

  test('names scripts of package.json', () => {
    for (const [, script] of text.matchAll(/\bnpm run ([\w:]+)/g)) expect(packageJson.scripts).toHaveProperty([script!])
  })
})

test('CONTRIBUTING.md names every script but those that others run', () => {
  const named = [...readFileSync('CONTRIBUTING.md', 'utf8').matchAll(/\bnpm (?:run )?([\w:]+)/g)].map(
    ([, name]) => name,
  )
  const internal = ['build', 'prepack', 'version', 'lexicons']
  for (const script of Object.keys(packageJson.scripts)) if (!internal.includes(script)) expect(named).toContain(script)
})

/** Built, or a stand-in for a name. */
const GENERATED = /^(?:api|dist)\/|ROOM/
