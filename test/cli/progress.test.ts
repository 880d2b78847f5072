import { closeSync, openSync } from 'node:fs'
import { devNull, tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { CliIO } from '../../src/cli/io.ts'
import { createOutput } from '../../src/cli/output.ts'
import { createProgress, type ProgressOptions } from '../../src/cli/progress.ts'
import { OAuthError } from '../../src/errors.ts'
import { fakeStream, fakeTicks, screenOf } from '../support/terminal.ts'

interface Setting extends ProgressOptions {
  readonly environment?: Record<string, string>
  readonly isTTY?: boolean
  readonly columns?: number
  readonly stdout?: { isTTY?: boolean; fd?: number }
}

function at({ environment = { NO_COLOR: '1' }, isTTY = true, columns = 40, stdout = {}, ...options }: Setting = {}) {
  const [out, err] = [fakeStream(stdout), fakeStream({ isTTY, columns })]
  const io = { stdout: out.stream, stderr: err.stream, environment, platform: 'linux' } as unknown as CliIO
  const ticks = fakeTicks()
  const progress = createProgress(io, options, ticks)
  return { progress, output: createOutput(io, options, progress), ticks, stderr: err, stdout: out }
}

/** Work that goes on until it is told to end, or the test ends: until then it listens to the exit of the process. */
function begin(terminal: ReturnType<typeof at>, describe: (elapsed: number) => string) {
  let end = (_: string) => {}
  let fail = (_: unknown) => {}
  const promise = new Promise<string>((resolve, reject) => {
    end = resolve
    fail = reject
  })
  const done = terminal.progress.during(describe, () => promise)
  onTestFinished(async () => {
    end('')
    await done.catch(() => undefined)
  })
  return { end, fail, done }
}

describe('the line', () => {
  test('is rewritten in place, and gone at the end', async () => {
    const terminal = at()
    const { ticks, stderr } = terminal
    const { done, end } = begin(terminal, (elapsed) => `${Math.round(elapsed / 1000)} of 3 seconds`)
    ticks.pass(1100)
    expect(stderr.screen()).toStrictEqual(['1 of 3 seconds'])
    ticks.pass(1000)
    expect(stderr.screen()).toStrictEqual(['2 of 3 seconds'])
    end('the result')
    expect(await done).toBe('the result')
    expect(stderr.screen()).toStrictEqual([''])
    expect(ticks.timers).toBe(0)
  })

  test('a shorter text leaves nothing of a longer one, and an empty one nothing at all', () => {
    const terminal = at()
    let text = 'a long text'
    begin(terminal, () => text)
    terminal.ticks.pass(1000)
    text = 'short'
    terminal.ticks.pass(1000)
    expect(terminal.stderr.screen()).toStrictEqual(['short'])
    text = ''
    terminal.ticks.pass(1000)
    expect(terminal.stderr.screen()).toStrictEqual([''])
  })

  test('the same text is written once', () => {
    const terminal = at()
    begin(terminal, () => 'waiting')
    terminal.ticks.pass(5000)
    expect(terminal.stderr.text()).toBe('\rwaiting\u001b[K')
  })

  test('what ends within half a second shows none', async () => {
    const terminal = at()
    const { done, end } = begin(terminal, () => 'working')
    terminal.ticks.pass(499)
    end('')
    await done
    expect(terminal.stderr.text()).toBe('')
  })

  test('is gone after a failure too', async () => {
    const terminal = at()
    const { done, fail } = begin(terminal, () => 'working')
    terminal.ticks.pass(1000)
    fail(new OAuthError('NETWORK_LOST', 'the connection broke'))
    terminal.output.finish(await done.catch((error) => error))
    expect(terminal.stderr.screen()[0]).toBe('atproto-oauth: error: the connection broke [NETWORK_LOST]')
    expect(terminal.ticks.timers).toBe(0)
  })

  test('is gone when the process exits in the middle, and no listener stays behind', async () => {
    const before = process.listenerCount('exit')
    const terminal = at()
    const { done, end } = begin(terminal, () => 'working')
    terminal.ticks.pass(1000)
    const listener = process.rawListeners('exit').at(-1) as () => void
    listener()
    expect(terminal.stderr.screen()).toStrictEqual([''])
    end('')
    await done
    expect(process.listenerCount('exit')).toBe(before)
  })

  test.each([
    [40, 39],
    [0, 79],
  ])('at %d columns has %d characters, so that it stays one line', (columns, length) => {
    const terminal = at({ columns })
    begin(terminal, () => '🦋'.repeat(200))
    terminal.ticks.pass(1000)
    expect(terminal.stderr.screen()).toStrictEqual(['🦋'.repeat(length)])
  })

  test('where it does not fit, its last parts are omitted, not half a number', () => {
    const terminal = at({ columns: 40 })
    begin(terminal, () => '34 requests done, 17 failed, about 5,780 left')
    terminal.ticks.pass(1000)
    expect(terminal.stderr.screen()).toStrictEqual(['34 requests done, 17 failed'])
  })

  test('without a text to show there is no timer', async () => {
    const { progress, ticks } = at()
    const work = async () => ticks.timers
    expect(await progress.during(undefined, work)).toBe(0)
    expect(await progress.during(() => 'working', work)).toBe(1)
  })
})

test.each([
  ['stderr is no terminal', { isTTY: false }],
  ['--quiet', { quiet: true }],
  ['--json', { json: true }],
  ['--verbose', { verbose: true }],
  ['TERM=dumb', { environment: { TERM: 'dumb' } }],
  ['CI', { environment: { CI: 'true' } }],
])('no line and no timer: %s', async (_, setting) => {
  const terminal = at(setting)
  const { done, end } = begin(terminal, () => 'working')
  expect(terminal.ticks.timers).toBe(0)
  terminal.ticks.pass(5000)
  await terminal.output.data('data')
  end('')
  await done
  expect([terminal.progress.isShown, terminal.stderr.text()]).toStrictEqual([false, ''])
})

describe('other output', () => {
  test('a note or a warning has a line of its own, and the progress line comes back below it', () => {
    const terminal = at()
    begin(terminal, () => 'working')
    terminal.ticks.pass(1000)
    terminal.output.note('a note')
    terminal.output.warn('careful')
    expect(terminal.stderr.screen()).toStrictEqual(['a note', 'atproto-oauth: warning: careful', ''])
    terminal.ticks.pass(200)
    expect(terminal.stderr.screen()).toStrictEqual(['a note', 'atproto-oauth: warning: careful', 'working'])
  })

  test.each([
    ['a terminal', { isTTY: true }],
    ['a pipe, whose reader may write to the terminal', {}],
  ])('stdout is %s: the line makes way until it is quiet', async (_, stdout) => {
    const terminal = at({ stdout })
    begin(terminal, () => 'working')
    terminal.ticks.pass(1000)
    await terminal.output.data('{}\n')
    expect(terminal.stderr.screen()).toStrictEqual([''])
    terminal.ticks.pass(150)
    await terminal.output.data('{}\n')
    terminal.ticks.pass(150)
    expect(terminal.stderr.screen()).toStrictEqual([''])
    terminal.ticks.pass(400)
    expect(terminal.stderr.screen()).toStrictEqual(['working'])
    expect(terminal.stdout.text()).toBe('{}\n{}\n')
  })

  test.each([
    ['a file', join(tmpdir(), `progress-${process.pid}`)],
    ['the null device', devNull],
  ])('stdout is %s: the line stays', async (_, path) => {
    const fd = openSync(path, 'w')
    onTestFinished(() => closeSync(fd))
    const terminal = at({ stdout: { fd } })
    begin(terminal, () => 'working')
    terminal.ticks.pass(1000)
    await terminal.output.data('{}\n')
    expect(terminal.stderr.screen()).toStrictEqual(['working'])
  })
})

test('the screen of these tests reads control characters as a terminal does', () => {
  expect(screenOf('abc\rx\nlonger\r\u001b[Kab\n12\r3\u001b[K')).toStrictEqual(['xbc', 'ab', '3'])
})

describe('while another program has the terminal', () => {
  test('messages wait for its end, each once, and no line is shown; --verbose does not wait', async () => {
    const terminal = at({ quiet: false })
    const { output, ticks, stderr } = terminal
    const { done, end } = begin(terminal, () => 'waiting')
    const takeBack = output.handOver()
    output.warn('refused')
    output.warn('refused')
    output.note('a note')
    ticks.pass(2000)
    expect(stderr.text()).toBe('')
    takeBack()
    expect(stderr.text()).toBe('atproto-oauth: warning: refused\na note\n')
    ticks.pass(1000)
    expect(stderr.screen().at(-1)).toBe('waiting')
    output.warn('later')
    expect(stderr.text()).toContain('later')
    end('')
    await done

    const verbose = at({ verbose: true })
    verbose.output.handOver()
    verbose.output.debug('GET https://a.dev 200')
    expect(verbose.stderr.text()).toContain('debug: GET https://a.dev 200')
  })

  test('without a terminal, they are among its lines', () => {
    const { output, stderr } = at({ isTTY: false })
    const takeBack = output.handOver()
    output.warn('refused')
    expect(stderr.text()).toBe('atproto-oauth: warning: refused\n')
    takeBack()
    expect(stderr.text()).toBe('atproto-oauth: warning: refused\n')
  })
})
