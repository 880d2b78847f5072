import { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { addPaginateOptions, isPaginated, type PaginateOptions, runPaginated } from '../../../src/cli/call/paginate.ts'
import type { Context } from '../../../src/cli/context.ts'
import type { CliIO } from '../../../src/cli/io.ts'
import type { CommonOptions } from '../../../src/cli/options.ts'
import { createOutput } from '../../../src/cli/output.ts'
import { createProgress } from '../../../src/cli/progress.ts'
import type { Session } from '../../../src/session/session.ts'
import { createFakeWorld } from '../../support/fake-atproto.ts'
import { fakeStream, fakeTicks } from '../../support/terminal.ts'

const QUERY = { nsid: 'com.example.list' }

function options(...args: string[]): PaginateOptions {
  const command = addPaginateOptions(new Command('call')).argument('[words...]').exitOverride()
  return command
    .configureOutput({ writeErr: () => undefined })
    .parse(args, { from: 'user' })
    .opts()
}

/** What is printed of these answers, of which each takes a second. */
async function printed(
  answers: string[],
  given: PaginateOptions,
  common: CommonOptions = {},
  terminals: { stdout?: boolean; stderr?: boolean } = {},
) {
  const [stdout, stderr] = [
    fakeStream({ isTTY: terminals.stdout === true }),
    fakeStream({ isTTY: terminals.stderr === true }),
  ]
  const host = { stdout: stdout.stream, stderr: stderr.stream, environment: {} } as unknown as CliIO
  const ticks = fakeTicks()
  const output = createOutput(host, common, createProgress(host, common, ticks))
  const waiting = [...answers]
  const during: string[][] = []
  const answer = async () => {
    ticks.pass(1000)
    during.push(stderr.screen())
    const text = waiting.shift()
    return text === undefined ? new Response('{"error":"Broken"}', { status: 400 }) : new Response(text)
  }
  const session = { call: answer, record: () => ({ dpopPrivateJwk: {} }) } as unknown as Session
  const context = { io: host, output, runtime: createFakeWorld(), common } as unknown as Context
  const error: unknown = await runPaginated(QUERY, session, given, context).catch((thrown) => thrown)
  const code = output.finish(error)
  return { stdout: stdout.text(), stderr: stderr.text(), screen: stderr.screen(), during, code, left: waiting.length }
}

const PAGES = ['{"cursor":"1","feed":[{"n":1},\n {"n":2}]}', '{"cursor":"2","feed":[]}\n', '{"feed":[{"n":3}]}']

describe('the options', () => {
  test('--items with the name of a list, or without', () => {
    expect(options('--paginate', '--items=feed', '--limit-pages', '3')).toStrictEqual({
      paginate: true,
      items: 'feed',
      limitPages: 3,
    })
    expect(options('--paginate', 'x=1', '--items')).toStrictEqual({ paginate: true, items: true })
  })

  test.each([
    [['--items', 'repo={did}'], 'write --items last'],
    [['--items', 'app.bsky.feed.getTimeline'], 'write --items last'],
    [['--limit-pages', '0'], 'a whole number of pages'],
    [['--limit-pages', '2.5'], 'a whole number of pages'],
  ])('%j says what is wrong', (args, message) => {
    expect(() => options('--paginate', ...args)).toThrow(message)
  })

  test('options for pages cannot be used for one response', () => {
    expect(isPaginated(options())).toBe(false)
    expect(isPaginated(options('--paginate'))).toBe(true)
    expect(() => isPaginated(options('--items'))).toThrow('--items needs --paginate')
    expect(() => isPaginated(options('--limit-pages', '1'))).toThrow('--limit-pages needs --paginate')
  })
})

describe('18.11 what is printed', () => {
  test('pages as they came, each with a line feed at its end', async () => {
    const { stdout, stderr, code } = await printed(PAGES, {})
    expect(stdout).toBe('{"cursor":"1","feed":[{"n":1},\n {"n":2}]}\n{"cursor":"2","feed":[]}\n{"feed":[{"n":3}]}\n')
    expect([stderr, code]).toStrictEqual(['', 0])
  })

  test('items, one a line', async () => {
    expect((await printed(PAGES, { items: true })).stdout).toBe('{"n":1}\n{"n":2}\n{"n":3}\n')
    expect((await printed(PAGES, { items: 'feed' })).stdout).toBe('{"n":1}\n{"n":2}\n{"n":3}\n')
    expect(await printed(PAGES, { items: 'fed' })).toMatchObject({ stdout: '', code: 2, left: 2 })
  })

  test('a limit says where to go on', async () => {
    const { stdout, stderr, left } = await printed(PAGES, { limitPages: 2, items: true })
    expect([stdout, left]).toStrictEqual(['{"n":1}\n{"n":2}\n', 1])
    expect(stderr).toBe('more pages follow: cursor=2\n')
    expect((await printed(PAGES, { limitPages: 3, items: true })).stderr).toBe('')
  })

  test('an error leaves the pages before it, and its body on stderr', async () => {
    const { stdout, stderr, code } = await printed(PAGES.slice(0, 1), { items: true })
    expect([stdout, code]).toStrictEqual(['{"n":1}\n{"n":2}\n', 8])
    expect(stderr).toContain('{"error":"Broken"}\natproto-oauth: error: com.example.list returned 400 Broken')
  })
})

describe('progress', () => {
  const READ = { stderr: true }

  test('of pages that go to a pipe or a file is one line of the screen, gone at the end', async () => {
    const { during, screen } = await printed(PAGES, { items: true }, {}, READ)
    expect(during).toStrictEqual([[''], ['1 page, 2 items'], ['2 pages, 2 items']])
    expect(screen).toStrictEqual([''])
    const failed = await printed(PAGES.slice(0, 1), { items: true }, {}, READ)
    expect(failed.screen[0]).toBe('{"error":"Broken"}')
  })

  test('there is none where the pages themselves scroll by', async () => {
    expect((await printed(PAGES, {}, {}, { stdout: true, stderr: true })).stderr).toBe('')
  })

  test.each([{ quiet: true }, { json: true }, { verbose: true }])('nor with %j', async (common) => {
    expect((await printed(PAGES, {}, common, READ)).stderr).toBe('')
  })
})
