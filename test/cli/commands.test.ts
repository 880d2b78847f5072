import { describe, expect, test } from 'vitest'
import { COMMANDS } from '../../src/cli/commands.ts'
import { startNode } from '../node/helpers.ts'
import { run } from '../support/cli.ts'

const nothing = () => async () => undefined

describe('the commands that --help lists', () => {
  test.each(COMMANDS)('$name takes what it says, once it is loaded', async ({ name, usage, load }) => {
    const command = (await load())({ action: nothing, settings: nothing, print: nothing })
    expect(command.name()).toBe(name)
    expect(command.usage()).toBe(usage)
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

  test('a program that ends without having come to an end is no success', async () => {
    const code = `
      const { runProcess } = await import(process.env.SRC + 'cli/program.ts')
      const stdout = { on() {}, write: () => true } // and that is the last that is heard of it
      runProcess({ arguments: ['completion', 'bash'], environment: {}, stdout, stderr: process.stderr })`
    expect(await startNode(code).ended).toMatchObject({ code: 1, stderr: '' })
  })

  test.each([[['help']], [['help', 'call']], [['client', 'help', 'new']]])('%j is a success', async (words) => {
    const code = `
      const { runProcess } = await import(process.env.SRC + 'cli/program.ts')
      const { stdout, stderr } = process
      runProcess({ arguments: ${JSON.stringify(words)}, environment: {}, stdout, stderr })`
    expect(await startNode(code).ended).toMatchObject({
      code: 0,
      stderr: '',
      stdout: expect.stringMatching(/^Usage: /),
    })
  })

  test('help that could not be written is no success', async () => {
    const stdoutError = Object.assign(new Error('write ENOSPC'), { code: 'ENOSPC' })
    const { code, stderr } = await run({} as never, ['call', '--help'], { stdoutError })
    expect([code, stderr]).toStrictEqual([10, expect.stringContaining('no space left on device [OUTPUT_FAILED]')])
  })
})
