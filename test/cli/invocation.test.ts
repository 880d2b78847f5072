import { Writable } from 'node:stream'
import { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import type { Context } from '../../src/cli/context.ts'
import { Invocation, type Runner } from '../../src/cli/invocation.ts'
import type { CliIO } from '../../src/cli/io.ts'
import { addCommonOptions } from '../../src/cli/options.ts'
import { type ErrorCode, type ErrorFacts, OAuthError } from '../../src/errors.ts'

type Action = Parameters<Command['action']>[0]

/** What `program below command …` says, on either stream, and its exit code. */
async function ran(make: (runner: Runner) => Action, ...args: string[]) {
  let said = ''
  const write = (chunk: Buffer, _: unknown, done: () => void) => {
    said += chunk
    done()
  }
  const host = {
    arguments: args,
    environment: { ATPROTO_OAUTH_HOME: '/nowhere' },
    stdout: new Writable({ write }),
    stderr: new Writable({ write }),
  } as unknown as CliIO
  const run = new Invocation(host)
  const command = addCommonOptions(new Command('command')).action(make(run))
  const program = addCommonOptions(new Command('program').enablePositionalOptions())
  program.addCommand(new Command('below').addCommand(command))
  run.follow(program)
  const error: unknown = await program.parseAsync(args, { from: 'user' }).then(
    () => undefined,
    (thrown) => thrown,
  )
  return { code: run.finish(error), said }
}

describe('the action of a command', () => {
  test('gets the context in place of the command; options after the command beat those before it', async () => {
    let seen: unknown
    const work = async (options: object, { common, output }: Context) => {
      seen = { options, common, json: output.json }
    }
    const before = ['--home', '/one', '--json', 'below', 'command']
    await ran((runner) => runner.action(work), ...before, '--home', '/two', '--quiet')
    expect(seen).toStrictEqual({
      options: { home: '/two', quiet: true },
      common: { home: '/two', json: true, quiet: true },
      json: true,
    })
  })

  test.each([
    ['nothing', undefined, 0],
    ['the exit code of another program', 7, 7],
  ])('that gives %s', async (_, given, code) => {
    expect(await ran((runner) => runner.action(async () => given), 'below', 'command')).toStrictEqual({
      code,
      said: '',
    })
  })

  test.each([
    ['the session is still valid after a usage error', undefined, true, ['atproto-oauth: session: still valid']],
    ['a usage error without a session says nothing of one', undefined, false, []],
    ['nor does one before a login', 'login', true, []],
  ] as const)('%s', async (_, before, isInvolved, fate) => {
    const fail = async (_options: object, { output }: Context) => {
      if (isInvolved) output.sessionInvolved()
      throw new OAuthError('USAGE', 'something is wrong')
    }
    expect(await ran((runner) => runner.action(fail, before), 'below', 'command', '--home', '/a b')).toStrictEqual({
      code: 2,
      said: [
        'atproto-oauth: error: something is wrong [USAGE]',
        ...fate,
        'atproto-oauth: hint: atproto-oauth below command --help',
        '',
      ].join('\n'),
    })
  })

  test('a hint that ends with a command has the flags of this run too, and one that only names a command has not', async () => {
    const hintFor = async (code: ErrorCode, facts: ErrorFacts) => {
      const fail = async () => {
        throw new OAuthError(code, 'x', { facts })
      }
      const { said } = await ran((runner) => runner.action(fail), 'below', 'command', '--home', '/a b')
      return /hint: (.*)/.exec(said)![1]
    }
    const did = 'did:plc:alice234567alice234567ab'
    expect(await hintFor('HANDLE_NOT_CLAIMED', { did })).toMatch(
      new RegExp(`: atproto-oauth init ${did} --home '/a b'$`),
    )
    expect(await hintFor('SESSION_DEAD', { did })).toBe(`atproto-oauth init ${did} --home '/a b'`)
    expect(await hintFor('CALLBACK_INCOMPLETE', {})).toMatch(/: atproto-oauth complete --home '\/a b'$/)
    expect(await hintFor('SAVE_FAILED', { reason: 'tokens-lost' })).not.toContain('--home')
  })

  test('settings that are not valid are an error of the command', async () => {
    const { code, said } = await ran((runner) => runner.action(async () => undefined), 'below', 'command', '--home', '')
    expect(code).toBe(2)
    expect(said).toContain('--home is empty: was its variable not set? [USAGE]')
  })
})

test('what is printed whatever the settings are is printed with settings that are not valid', async () => {
  const result = await ran((runner) => runner.print(() => 'the same\n'), 'below', 'command', '--home', '')
  expect(result).toStrictEqual({ code: 0, said: 'the same\n' })
})
