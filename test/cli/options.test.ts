import { readdirSync, readFileSync } from 'node:fs'
import { Command, type Option } from 'commander'
import { describe, expect, test } from 'vitest'
import { wholeProgram } from '../../scripts/build/man.ts'
import { carriedFlags, flagOf, flagsFor, SETTINGS } from '../../src/cli/options.ts'
import { CONFIG_KEYS, type Config } from '../../src/node/config/read.ts'

const configOf = (entries: object): Config => ({ path: '/a/config.json', entries: new Map(Object.entries(entries)) })
const VARIABLE = /\[(ATPROTO_OAUTH_\w+)/
const everyOption = optionsOf(await wholeProgram(() => undefined))

function optionsOf(command: Command): Option[] {
  return [...command.options, ...command.commands.flatMap(optionsOf)]
}

describe('a setting', () => {
  test.each(Object.entries(SETTINGS))('%s: its flag, its key and its variable are one name', (key, setting) => {
    const option = setting.option()
    const [, variable] = VARIABLE.exec(option.description) ?? []
    expect([setting.flag, option.long, option.attributeName()]).toStrictEqual([flagOf(key), flagOf(key), key])
    expect(setting.name).toBe(variable === undefined ? setting.flag : `${setting.flag} (${variable})`)
    if (variable !== undefined)
      expect(variable).toBe(`ATPROTO_OAUTH_${setting.flag.slice(2)}`.toUpperCase().replaceAll('-', '_'))
  })

  test('the flag beats the variable, whose value is cleaned of what secret stores add', () => {
    const environment = { ATPROTO_OAUTH_SCOPE: '"atproto transition:email"\r\n' }
    expect(SETTINGS.scope.read({ scope: 'atproto' }, environment)).toBe('atproto')
    expect(SETTINGS.scope.read({}, environment)).toBe('atproto transition:email')
    expect(SETTINGS.scope.read({}, { ATPROTO_OAUTH_SCOPE: ' ' })).toBeUndefined()
    expect(SETTINGS.scope.read({}, {})).toBeUndefined()
  })

  test('the settings of the user come last, and say which file they are in', () => {
    const config = configOf({ 'plc-url': 'https://c.dev', save: ['store'], 'client-id': 7 })
    const variables = { ATPROTO_OAUTH_PLC_URL: 'https://b.dev' }
    const name = '--plc-url (ATPROTO_OAUTH_PLC_URL)'
    expect(SETTINGS.plcUrl.find({ plcUrl: 'https://a.dev' }, variables, config)).toStrictEqual({
      value: 'https://a.dev',
      source: 'flag',
      name,
    })
    expect(SETTINGS.plcUrl.find({}, variables, config)).toStrictEqual({
      value: 'https://b.dev',
      source: 'variable',
      name,
    })
    expect(SETTINGS.plcUrl.find({}, {}, config)).toStrictEqual({
      value: 'https://c.dev',
      source: 'config',
      name: 'plc-url in /a/config.json',
    })
    expect(SETTINGS.save.read({}, {}, config)).toStrictEqual(['store'])
    expect(SETTINGS.handleResolver.read({}, {}, config)).toBeUndefined()
    // What was typed is not affected by what is wrong in the file.
    expect(SETTINGS.clientId.read({ clientId: 'https://a.dev/c' }, {}, config)).toBe('https://a.dev/c')
    expect(() => SETTINGS.clientId.read({}, {}, config)).toThrow('client-id in /a/config.json must be a string')
  })

  test('only some can be in the file of the user', () => {
    const keys = Object.values(SETTINGS).flatMap(({ configKey }) => configKey ?? [])
    expect(keys.toSorted()).toStrictEqual(CONFIG_KEYS.filter((key) => key !== 'encrypt-store').toSorted())
    for (const { configKey, flag } of Object.values(SETTINGS)) expect([undefined, flag.slice(2)]).toContain(configKey)
  })

  test('an empty flag is refused, even where the variable is set', () => {
    const environment = { ATPROTO_OAUTH_HOME: '/home' }
    expect(() => SETTINGS.home.read({ home: '' }, environment)).toThrow('--home is empty: was its variable not set?')
    expect(() => SETTINGS.stateFile.read({ stateFile: '' }, {})).toThrow('--state-file is empty')
  })

  test.each([
    ['1', true],
    ['TRUE', true],
    ["'1'", true],
    ['0', false],
    ['false', false],
    ['', undefined],
  ])('a switch is set to %j: %s', (value, expected) => {
    expect(SETTINGS.dev.read({}, { ATPROTO_OAUTH_DEV: value })).toBe(expected)
    expect(SETTINGS.dev.read({ dev: true }, { ATPROTO_OAUTH_DEV: value })).toBe(true)
  })

  test('a switch that is set to something else is refused by the name of its variable', () => {
    expect(() => SETTINGS.dev.read({}, { ATPROTO_OAUTH_DEV: 'yes' })).toThrow('ATPROTO_OAUTH_DEV must be 1 or unset')
  })

  test('a repeated flag and a variable of several lines are the same list', () => {
    const environment = { ATPROTO_OAUTH_SAVE: 'store\r\n  file:a.env\n\n' }
    expect(SETTINGS.save.read({}, environment)).toStrictEqual(['store', 'file:a.env'])
    const command = new Command().addOption(SETTINGS.save.option())
    command.parseOptions(['--save', 'store', '--save', 'file:a.env'])
    expect(SETTINGS.save.read(command.opts(), {})).toStrictEqual(['store', 'file:a.env'])
  })

  test('what was typed, as words for another command; what the variables say is not repeated', () => {
    expect(SETTINGS.save.words({ save: ['store', 'file:a b'] })).toStrictEqual([
      '--save',
      'store',
      '--save',
      'file:a b',
    ])
    expect(SETTINGS.dev.words({ dev: false })).toStrictEqual([])
    expect(carriedFlags({ home: '/a b', stateFile: 'login.json', dev: true })).toBe(
      " --state-file login.json --home '/a b' --dev",
    )
    expect(carriedFlags({})).toBe('')
    expect(carriedFlags({ handleResolver: 'https://a.dev' })).toBe(' --handle-resolver https://a.dev')
  })
})

test('each variable in the help of an option is that of a setting, under its flag', () => {
  const shown = everyOption.flatMap(({ long, description }) => {
    const [, variable] = VARIABLE.exec(description) ?? []
    return variable === undefined ? [] : [`${long} (${variable})`]
  })
  const declared = Object.values(SETTINGS).map(({ name }) => name)
  expect([...new Set(shown)].sort()).toStrictEqual(declared.filter((name) => name.includes('(')).sort())
})

test('no other file of the command line reads the variable of a setting, or writes it into help', () => {
  const files = readdirSync('src/cli', { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  const stray = files
    .filter((file) => file !== 'options.ts')
    .filter((file) => /\[ATPROTO_OAUTH_|variable\([^)]*ATPROTO_OAUTH_/.test(readFileSync(`src/cli/${file}`, 'utf8')))
  expect(stray).toStrictEqual([])
})

test.each([
  ['init a.dev', ' --state-file login.json --home /a'],
  ['complete', ' --state-file login.json --home /a'],
  ['refresh', ' --account a.dev --home /a'],
  ['call a.b.c --account b.dev', ' --home /a'],
  ['call --list', ' --home /a'],
  ['doctor a.dev', ' --home /a'],
])('the flags of this run that `%s` needs', (command, flags) => {
  expect(flagsFor(`atproto-oauth ${command}`, { account: 'a.dev', home: '/a', stateFile: 'login.json' })).toBe(flags)
})
