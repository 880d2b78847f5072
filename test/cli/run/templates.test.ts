import { describe, expect, test } from 'vitest'
import { checkArguments, fillIn, parseVariable } from '../../../src/cli/run/templates.ts'

const ACCESS = {
  url: 'http://127.0.0.1:41234',
  host: '127.0.0.1:41234',
  handle: 'alice.example.com',
  did: 'did:plc:abc',
  password: 'aaaa-bbbb-cccc-dddd',
}

/** So that no template literal is meant. */
const DOLLAR = '$'

describe('placeholders', () => {
  test.each([
    ['{url}/xrpc/', 'http://127.0.0.1:41234/xrpc/'],
    ['{host}', '127.0.0.1:41234'],
    ['{handle}:{password}', 'alice.example.com:aaaa-bbbb-cccc-dddd'],
    ['{"repo":"{did}","limit":{"n":1}}', '{"repo":"did:plc:abc","limit":{"n":1}}'],
    ['{did}{did}', 'did:plc:abcdid:plc:abc'],
    ['{"did":"x"} { did } {DID} {pds} {} {constructor}', '{"did":"x"} { did } {DID} {pds} {} {constructor}'],
    ['{{URL}} {{passwrod}} {{user}} {{urls}}', '{URL} {passwrod} {{user}} {{urls}}'],
    ['{{did}}', '{did}'],
    ['{{{did}}}', '{{did}}'],
    ['{{x}}', '{{x}}'],
    [`${DOLLAR}{{{did}}} ${DOLLAR} {did}`, `${DOLLAR}{{{did}}} ${DOLLAR} did:plc:abc`],
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

  test.each([
    [
      '{URL}/xrpc',
      /^write it as \{url\}, or as \{\{URL\}\} for this text; the placeholders are \{url\} \{host\} \{handle\} \{did\}$/,
    ],
    ['{"repo":"{Did}"}', /^write it as \{did\}, /],
    ['{ulr}', /^write it as \{url\}, /],
    ['{hots}', /^write it as \{host\}, /],
    ['--user={handel}', /^write it as \{handle\}, /],
    ['{hande}', /^write it as \{handle\}, /],
    ['{hanndle}', /^write it as \{handle\}, /],
    ['{passwrod}', /^pass \{password\} with --env, or as \{\{passwrod\}\} for this text; /],
    ['{PASSWORD}', /^pass \{password\} with --env, /],
  ])('%s is a slip in an argument', (word, hint) => {
    expect(() => checkArguments(['program', word])).toThrow(
      expect.objectContaining({
        code: 'USAGE',
        message: `unknown placeholder "${/\{\w+\}/.exec(word)![0]}" in the arguments`,
        hint: expect.stringMatching(hint),
      }),
    )
  })

  test.each([
    '{"url":1,"did":{"x":{}},"PASSWORD":"{a}"}',
    '{ print $1 }',
    '{print}',
    'file-{1..3}.{jpg,png}',
    '{}',
    '{id} {uri} {urls} {post} {hosts} {handler} {handles} {passwords} {user} {name} {pds}',
    `${DOLLAR}{URL} ${DOLLAR}{url} ${DOLLAR}{{did}} ${DOLLAR}{passwrod} ${DOLLAR}{password}`,
    '%{http_code} {0} {url:>10} {did!r} {_}',
  ])('%s is no placeholder', (word) => {
    expect(() => checkArguments(['program', word])).not.toThrow()
    expect(fillIn(word, ACCESS)).toBe(word)
  })
})

describe('--env', () => {
  test.each([
    ['A=', ['A', '']],
    ['_a1=b=c\n', ['_a1', 'b=c\n']],
    ['JSON={"a":{b}}', ['JSON', '{"a":{b}}']],
    ['TEXT={{user}}', ['TEXT', '{{user}}']],
    ['TEXT={{URL}} {name} {}', ['TEXT', '{{URL}} {name} {}']],
    ['ALL={url} {host} {handle} {did} {password}', ['ALL', '{url} {host} {handle} {did} {password}']],
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
    [
      'A={passwrod}',
      /^unknown placeholder "\{passwrod\}" in --env A$/,
      /^write it as \{password\}; the placeholders are /,
    ],
    ['A={handle}:{pasword}', /^unknown placeholder "\{pasword\}"/, /^write it as \{password\};/],
    [
      `A=${DOLLAR}{url}`,
      /^unknown placeholder "\$\{url\}" in --env A$/,
      /^write it as \{url\}; to pass this text, set A before the command/,
    ],
    [
      'A={secret}',
      /^unknown placeholder "\{secret\}" in --env A$/,
      /\{password\}; to pass this text, set A before the command/,
    ],
    ['A={app-password}', /^unknown placeholder "\{app-password\}"/, /^the placeholders are \{url\} /],
    ['A={app_password}', /^unknown placeholder "\{app_password\}"/, /^write it as \{password\};/],
  ])('%s is rejected', (argument, message, hint) => {
    const error = { code: 'USAGE', message: expect.stringMatching(message) }
    expect(() => parseVariable(argument)).toThrow(
      expect.objectContaining({ ...error, hint: expect.stringMatching(hint) }),
    )
  })
})
