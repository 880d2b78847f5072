import { describe, expect, test } from 'vitest'
import { checkArguments, fillIn, parseVariable } from '../../../src/cli/run/templates.ts'

const ACCESS = {
  url: 'http://127.0.0.1:41234',
  host: '127.0.0.1:41234',
  handle: 'alice.example.com',
  did: 'did:plc:abc',
  password: 'aaaa-bbbb-cccc-dddd',
}

describe('placeholders', () => {
  test.each([
    ['{url}/xrpc/', 'http://127.0.0.1:41234/xrpc/'],
    ['{host}', '127.0.0.1:41234'],
    ['{handle}:{password}', 'alice.example.com:aaaa-bbbb-cccc-dddd'],
    ['{"repo":"{did}","limit":{"n":1}}', '{"repo":"did:plc:abc","limit":{"n":1}}'],
    ['{did}{did}', 'did:plc:abcdid:plc:abc'],
    ['{"did":"x"} { did } {DID} {pds} {} {constructor}', '{"did":"x"} { did } {DID} {pds} {} {constructor}'],
    ['{{did}}', '{did}'],
    ['{{{did}}}', '{{did}}'],
    ['{{x}}', '{{x}}'],
    ['$& $1 $$', '$& $1 $$'],
  ])('%s', (template, filled) => {
    expect(fillIn(template, ACCESS)).toBe(filled)
  })

  test('the text that replaces one is not looked at again', () => {
    expect(fillIn('{handle}', { ...ACCESS, handle: '{password}$&' })).toBe('{password}$&')
  })

  test.each(['{password}', 'x{password}y', '{{{did}}} {password}'])('the password is in no argument: %s', (word) => {
    expect(() => checkArguments(['program', word])).toThrow('other users of this machine can see the arguments')
  })

  test('the text {password} may be in an argument', () => {
    expect(() => checkArguments(['program', '{{password}}', 'password', '{did}'])).not.toThrow()
  })
})

describe('--env', () => {
  test.each([
    ['A=', ['A', '']],
    ['_a1=b=c\n', ['_a1', 'b=c\n']],
    ['JSON={"a":{b}}', ['JSON', '{"a":{b}}']],
    ['TEXT={{user}}', ['TEXT', '{{user}}']],
  ])('%j', (argument, parsed) => {
    expect(parseVariable(argument)).toStrictEqual(parsed)
  })

  test.each([
    ['A', /^--env "A" has no value/, /^write what the variable contains, as in: --env 'A=\{url\}'$/],
    ['{url}', /^--env "\{url\}" has no value/, /^write what the variable contains, as in: --env 'BSKY_HOST=\{url\}'$/],
    ['A-B=c', /^"A-B" is not the name of a variable$/, /--env A_B=c$/],
    ['=c', /^"" is not the name of a variable$/, /--env BSKY_HOST=c$/],
    ['A={URL}', /^unknown placeholder "\{URL\}" in --env A$/, /^write it as \{url\}; the placeholders are \{url\} /],
    ['A=x{username}', /^unknown placeholder "\{username\}"/, /^write it as \{handle\};/],
    ['A={app_password}', /^unknown placeholder "\{app_password\}"/, /^write it as \{password\};/],
  ])('%s is rejected', (argument, message, hint) => {
    const error = { code: 'USAGE', message: expect.stringMatching(message) }
    expect(() => parseVariable(argument)).toThrow(
      expect.objectContaining({ ...error, hint: expect.stringMatching(hint) }),
    )
  })
})
