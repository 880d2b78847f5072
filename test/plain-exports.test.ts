/** How the build writes exports. */
import { expect, test } from 'vitest'
import { withPlainExports } from '../scripts/build/plain-exports.ts'

const getter = (name: string, value: string) =>
  `Object.defineProperty(exports,"${name}",{enumerable:!0,get:function(){return ${value}}})`

test('what cannot change is a plain member', () => {
  const code = 'const x=1;function y(){}class z{}'
  const exports = [getter('a', 'x'), 'exports.b$=y', getter('c', '`text`')]
  expect(withPlainExports(`${code}${exports.join(',')};\n//# end`)).toBe(
    `${code}module.exports={a:x,b$:y,c:\`text\`};\n//# end`,
  )
})

test.each(['x=2', 'x??=2', 'x++', '[x]=[2]', '({y:x}={})', '({y:[,...x]}={})', 'for(x of [2]);', 'for(x in {});'])(
  'what is assigned to later keeps its getter: %s',
  (change) => {
    const code = `let x=1,other=3;function later(){${change}}`
    expect(withPlainExports(`${code}${getter('a', 'x')},${getter('b', 'other')};`)).toBe(
      `${code}module.exports={get a(){return x},b:other};`,
    )
  },
)

test('what is no list of exports stays', () => {
  for (const code of ['', 'exports.a=x,y();', 'exports.a=x;y();', 'exports.a=y();']) {
    expect(withPlainExports(code)).toBe(code)
  }
})
