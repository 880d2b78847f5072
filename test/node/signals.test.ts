import { describe, expect, test, vi } from 'vitest'
import { holdSignals } from '../../src/node/signals.ts'
import { startNode } from './helpers.ts'

const BEGIN = `
  const { holdSignals: hold } = await import(process.env.SRC + 'node/signals.ts')
  // As when two versions of the package are in one process.
  const { holdSignals: holdOfCopy } = await import(process.env.SRC + 'node/signals.ts?copy')
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const wait = async () => {
    console.log('working')
    await new Promise((resolve) => process.stdin.once('data', resolve))
    console.log('finished')
  }
  const stay = () => sleep(600_000)
  const me = process.pid
`

async function run(code: string, signal?: NodeJS.Signals) {
  const child = startNode(BEGIN + code)
  if (signal) {
    await child.said('working')
    child.kill(signal)
    child.write('go on')
  }
  const { code: exit, signal: by, stdout, stderr } = await child.ended
  expect(stderr).toBe('')
  return { exit, by, said: stdout.trim().split('\n') }
}

const ENDING = (
  ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR2', 'SIGALRM', 'SIGXCPU', 'SIGVTALRM', 'SIGABRT'] as const
).filter((signal) => process.platform !== 'win32' || /^SIG(?:INT|TERM|HUP)$/.test(signal))

describe('11.7 a signal while a token is between two places', () => {
  test.each(ENDING)('%s: the work is finished, then the process ends by it', async (signal) => {
    const ended = await run('await hold(wait); console.log("went on"); await stay()', signal)
    expect(ended).toStrictEqual({ exit: null, by: signal, said: ['working', 'finished'] })
  })

  test('the work fails: the process still ends by the signal', async () => {
    const code = 'await hold(async () => { await wait(); throw new Error("no") }).catch(() => {}); await stay()'
    expect(await run(code, 'SIGTERM')).toStrictEqual({ exit: null, by: 'SIGTERM', said: ['working', 'finished'] })
  })

  test('somebody else listens: they decide, afterwards', async () => {
    const code = `
      process.on('SIGINT', () => { console.log('their turn'); process.exit(7) })
      await hold(wait)
      await stay()`
    expect(await run(code, 'SIGINT')).toStrictEqual({ exit: 7, by: null, said: ['working', 'finished', 'their turn'] })
  })

  test('somebody else listens, and nothing else is to be done: they decide before the process ends by itself', async () => {
    const code = `
      process.on('SIGTERM', () => process.exit(7))
      await hold(async () => { process.kill(me, 'SIGTERM'); await sleep(20); console.log('finished') })`
    expect(await run(code)).toStrictEqual({ exit: 7, by: null, said: ['finished'] })
  })

  test('a second one changes nothing', async () => {
    const code = `
      await hold(async () => {
        process.kill(me, 'SIGINT'); await sleep(0)
        process.kill(me, 'SIGTERM'); await sleep(0)
        console.log('finished')
      })
      await stay()`
    expect(await run(code)).toStrictEqual({ exit: null, by: 'SIGINT', said: ['finished'] })
  })

  test.each([
    ['of one copy of the module', 'hold'],
    ['of another copy', 'holdOfCopy'],
  ])('nested in work %s: the outermost ends the process', async (_, inner) => {
    const code = `
      const inner = ${inner}
      await hold(async () => { await inner(wait); await sleep(20); console.log('outer finished') })
      await stay()`
    const ended = await run(code, 'SIGINT')
    expect(ended).toStrictEqual({ exit: null, by: 'SIGINT', said: ['working', 'finished', 'outer finished'] })
  })

  test('side by side: the last ends the process', async () => {
    const code = `
      const short = hold(() => sleep(0))
      await hold(async () => { await short; await wait() })
      await stay()`
    expect(await run(code, 'SIGINT')).toStrictEqual({ exit: null, by: 'SIGINT', said: ['working', 'finished'] })
  })

  test.each([
    ['one copy of the module', 'hold'],
    ['two copies', 'holdOfCopy'],
  ])(
    'overlapping, of %s: nothing ends the process in between, and afterwards it can be ended again',
    async (_, other) => {
      const code = `
      process.kill(me, 'SIGTERM') // caught by neither: the first has to be under way
      await new Promise(() => {})`
      const overlap = `
      const gates = []
      const gate = () => new Promise((resolve) => gates.push(resolve))
      const first = hold(gate)
      const second = ${other}(gate)
      gates[0](); await first
      process.kill(me, 'SIGTERM'); await sleep(20)
      console.log('still working')
      process.on('SIGTERM', () => console.log('asked'))
      gates[1](); await second; await sleep(20)
      console.log('listeners', process.listenerCount('SIGTERM'), process.listenerCount('SIGHUP'))
      process.removeAllListeners('SIGTERM')`
      expect(await run(overlap + code)).toStrictEqual({
        exit: null,
        by: 'SIGTERM',
        said: ['still working', 'asked', 'listeners 1 0'],
      })
    },
  )

  test('each of several signals reaches its listener', async () => {
    const code = `
      for (const name of ['SIGUSR2', 'SIGHUP']) process.on(name, () => console.log(name))
      await hold(async () => { for (const name of ['SIGUSR2', 'SIGHUP']) process.kill(me, name); await sleep(20) })
      await sleep(20)
      process.exit(3)`
    expect(await run(code)).toStrictEqual({ exit: 3, by: null, said: ['SIGUSR2', 'SIGHUP'] })
  })

  test('SIGUSR1 still starts the debugger afterwards', async () => {
    const child = startNode(
      `${BEGIN} await hold(async () => {}); process.kill(me, 'SIGUSR1'); await sleep(50); process.exit(3)`,
    )
    expect(await child.ended).toMatchObject({ code: 3 })
  })

  // The signal is in the process, but no turn of the event loop has brought it to a listener.
  test.each([
    ['one hold', `await hold(async () => process.kill(me, 'SIGTERM'))`],
    ['two', `await hold(() => holdOfCopy(async () => process.kill(me, 'SIGTERM')))`],
  ])('one that comes with the last line of the work is not lost: %s', async (_, code) => {
    expect(await run(`${code}; await stay()`)).toMatchObject({ exit: null, by: 'SIGTERM' })
  })
})

describe('no signal', () => {
  test('gives the value on, and the listeners back as they were', async () => {
    const code = `
      const often = () => console.log('often')
      process.on('SIGTERM', often)
      process.once('SIGTERM', () => console.log('once'))
      console.log(await hold(async () => 5), process.listenerCount('SIGTERM'), process.listenerCount('SIGINT'))
      for (const _ of [1, 2]) { process.kill(me, 'SIGTERM'); await sleep(20) }
      process.off('SIGTERM', often)
      console.log(process.listenerCount('SIGTERM'))
      process.exit()`
    expect(await run(code)).toStrictEqual({ exit: 0, by: null, said: ['5 2 0', 'often', 'once', 'often', '0'] })
  })

  test('a listener that lets the process go on is asked once', async () => {
    const code = `
      process.on('SIGTERM', () => console.log('asked'))
      await hold(async () => process.kill(me, 'SIGTERM'))
      for (const _ of [1, 2]) { await sleep(20); await hold(async () => {}) }
      process.exit(3)`
    expect(await run(code)).toStrictEqual({ exit: 3, by: null, said: ['asked'] })
  })

  test('one that came before is not held against the work', async () => {
    const code = `
      process.once('SIGTERM', () => {})
      process.kill(me, 'SIGTERM')
      await sleep(20)
      await hold(async () => {})
      process.exit(3)`
    expect(await run(code)).toMatchObject({ exit: 3 })
  })
})

describe('taken signals', () => {
  const TAKE = `
    const { takeSignals } = await import(process.env.SRC + 'node/signals.ts')
    process.on('SIGTERM', () => console.log('earlier'))
    const release = takeSignals(['SIGTERM', 'SIGUSR2', 'SIGBREAK'], (signal) => console.log(signal))
  `

  test('reach their listener at once, also while a token is sent, and end nothing', async () => {
    const code = `${TAKE}
      await hold(async () => {
        for (const name of ['SIGTERM', 'SIGUSR2']) { process.kill(me, name); await sleep(20) }
        console.log('finished')
      })
      await sleep(20)
      process.exit(3)`
    expect(await run(code)).toStrictEqual({ exit: 3, by: null, said: ['SIGTERM', 'SIGUSR2', 'finished'] })
  })

  test('a signal that is not taken still waits for the work, and then ends the process', async () => {
    const code = `${TAKE}
      await hold(async () => { process.kill(me, 'SIGHUP'); await sleep(20); console.log('finished') })
      await stay()`
    expect(await run(code)).toStrictEqual({ exit: null, by: 'SIGHUP', said: ['finished'] })
  })

  test('when they are released, earlier listeners are back, and the next work delays them again', async () => {
    const code = `${TAKE}
      release()
      await hold(async () => { process.kill(me, 'SIGTERM'); await sleep(20); console.log('finished') })
      await sleep(20)
      console.log(process.listenerCount('SIGTERM'), process.listenerCount('SIGUSR2'))
      process.exit(3)`
    expect(await run(code)).toStrictEqual({ exit: 3, by: null, said: ['finished', 'earlier', '1 0'] })
  })
})

test.each([
  ['wait for its end, as they do if it begins later', 'SIGTERM', { exit: 4, by: null, said: ['finished', 'earlier'] }],
  ['end the process then, where nobody else listens', 'SIGUSR2', { exit: null, by: 'SIGUSR2', said: ['finished'] }],
])('signals that are released while a token is sent %s', async (_, signal, ended) => {
  const code = `
    const { takeSignals } = await import(process.env.SRC + 'node/signals.ts')
    process.on('SIGTERM', () => { console.log('earlier'); process.exit(4) })
    const release = takeSignals(['SIGTERM', 'SIGUSR2'], () => console.log('taken'))
    await hold(async () => { release(); process.kill(me, '${signal}'); await sleep(20); console.log('finished') })
    await stay()`
  expect(await run(code)).toStrictEqual(ended)
})

describe('on Windows, where a process that signals itself is gone before it can listen', () => {
  test.each(['SIGINT', 'SIGHUP', 'SIGBREAK'] as const)('%s: who listens is asked afterwards', async (signal) => {
    const kill = vi.spyOn(process, 'kill').mockReturnValue(true)
    const said: string[] = []
    const listener = () => void said.push('their turn')
    process.on(signal, listener)
    try {
      await holdSignals(async () => {
        process.emit(signal, signal)
        said.push('finished')
      }, 'win32')
      expect(said).toStrictEqual(['finished', 'their turn'])
      expect(kill).not.toHaveBeenCalled()
    } finally {
      process.off(signal, listener)
      kill.mockRestore()
    }
  })

  test('nobody listens: the process ends, by the one signal that it can send', async () => {
    const kill = vi.spyOn(process, 'kill').mockReturnValue(true)
    try {
      await holdSignals(async () => void process.emit('SIGBREAK', 'SIGBREAK'), 'win32')
      expect(kill.mock.calls).toStrictEqual([[process.pid, 'SIGTERM']])
    } finally {
      kill.mockRestore()
    }
  })
})
