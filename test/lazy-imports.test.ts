/** How the build makes imports lazy. */
import { expect, test } from 'vitest'
import { lazyImports, withSynchronousLoads } from '../scripts/build/lazy-imports.ts'

const { transform } = lazyImports(new Set(['/src/one.ts']), new Set(['/src/two.ts'])) as unknown as {
  transform(code: string, id: string): { readonly code: string } | undefined
}
const changed = (lines: readonly string[], id = '/src/one.ts') => transform(lines.join('\n'), id)?.code.split('\n')

test('names are looked up when they are used, on the same lines', () => {
  const code = [
    `import { Two, type Type, two } from './two.ts'`,
    `import { readFile } from 'node:fs/promises'`,
    `import { three } from './three.ts'`,
    'export async function one(path: Type, { two: other }: Type): Promise<Two> {',
    '  const record = { two, three, two: three.two }',
    '  if (record instanceof Two) return new Two(await readFile(path))',
    '  return two(other as Two)',
    '}',
  ]
  expect(changed(code)).toStrictEqual([
    `const $lazy0 = () => __lazily(import('./two.ts'));`,
    `const $lazy1 = () => process.getBuiltinModule('node:fs/promises');`,
    `import { three } from './three.ts'`,
    'export async function one(path: Type, { two: other }: Type): Promise<Two> {',
    '  const record = { two: $lazy0().two, three, two: three.two }',
    '  if (record instanceof $lazy0().Two) return new ($lazy0().Two)(await $lazy1().readFile(path))',
    '  return $lazy0().two(other as Two)',
    '}',
  ])
})

test('the member of a module is constructed, not the function that loads the module', () => {
  const code = [`import * as tls from 'node:tls'`, 'export const open = (x: X) => new tls.TLSSocket(x, tls.a.b)']
  expect(changed(code)).toStrictEqual([
    `const $lazy0 = () => process.getBuiltinModule('node:tls');`,
    'export const open = (x: X) => new ($lazy0()).TLSSocket(x, $lazy0().a.b)',
  ])
})

test('other modules, other imports and types stay as they are', () => {
  expect(changed([`import { two } from './two.ts'`, 'two()'], '/src/other.ts')).toBeUndefined()
  expect(
    changed([`import type { Two } from './two.ts'`, `import { three } from './three.ts'`, 'three()']),
  ).toBeUndefined()
})

test.each([
  ['two()', 'uses two while it is loaded'],
  ['const table = { two }', 'uses two while it is loaded'],
  ['function one(two: string) { return two }', 'declares another two'],
  ['const one = ({ given: { two } = {} }) => two', 'declares another two'],
])('an import that cannot be lazy fails the build: %s', (line, problem) => {
  expect(() => changed([`import { two } from './two.ts'`, line])).toThrow(problem)
})

test('what is loaded is not waited for, in text of the same length', () => {
  const code = [
    '__lazily(Promise.resolve().then(()=>require("./two.cjs")))',
    '__lazily(Promise.resolve().then(()=>require("./two.cjs")).then(e=>e.t))',
    '__lazily(Promise.resolve().then(()=>Mr))',
  ]
  const loads = code.map(withSynchronousLoads)
  expect(loads.map((load) => load.trimEnd())).toStrictEqual(['require("./two.cjs")', 'require("./two.cjs").t', 'Mr'])
  expect(loads.map(({ length }) => length)).toStrictEqual(code.map(({ length }) => length))
  expect(() => withSynchronousLoads('__lazily(import("./two.cjs"))')).toThrow('cannot be made synchronous')
})
