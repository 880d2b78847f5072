/** How the build writes exports. */
import { expect, test } from 'vitest'
import { withPlainExports } from '../scripts/build/plain-exports.ts'

const getter = (name: string, value: string) =>
  `Object.defineProperty(exports,"${name}",{enumerable:!0,get:function(){return ${value}}})`

test('what cannot change is a plain member', () => {
  const code = (a: string, b: string, c: string) => `const x=1;function y(){}class z{}${a},${b},${c};`
  expect(withPlainExports(code(getter('a', 'x'), getter('b$', 'y'), getter('c', '`text`')))).toBe(
    code('exports.a=x', 'exports.b$=y', 'exports.c=`text`'),
  )
})

test.each(['x=2', 'x??=2', 'x++', '[x]=[2]', '({y:x}={})', '({y:[,...x]}={})', 'for(x of [2]);', 'for(x in {});'])(
  'what is assigned to later keeps its getter: %s',
  (change) => {
    const code = `let x=1,other=3;function later(){${change}}`
    expect(withPlainExports(`${code}${getter('a', 'x')},${getter('b', 'other')};`)).toBe(
      `${code}${getter('a', 'x')},exports.b=other;`,
    )
  },
)
