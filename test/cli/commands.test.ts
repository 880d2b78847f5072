import { describe, expect, test } from 'vitest'
import { COMMANDS } from '../../src/cli/commands.ts'
import { run } from '../support/cli.ts'

const runner = Object.assign(async () => undefined, { print: async () => undefined })

describe('the commands that --help lists', () => {
  test.each(COMMANDS)('$name takes what it says, once it is loaded', async ({ name, takes, load }) => {
    const command = (await load())(runner)
    expect(command.name()).toBe(name)
    expect(command.usage()).toBe(takes)
  })

  test('--help is the same whether they are loaded or not', async () => {
    const none = await run({} as never, ['--help'])
    const all = await run({} as never, ['--help', ...COMMANDS.map(({ name }) => name)])
    expect(all).toStrictEqual(none)
    expect(none.stdout).toContain('call [options] [nsid] [field...]')
  })

  test('whoever reads the help and stops early sees no stack trace', async () => {
    const stdoutError = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })
    expect(await run({} as never, ['--help'], { stdoutError })).toStrictEqual({ code: 0, stdout: '', stderr: '' })
  })
})
