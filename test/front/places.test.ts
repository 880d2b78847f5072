import { describe, expect, test } from 'vitest'
import { createPlaces, type PlaceLimits } from '../../src/front/places.ts'

/** Places with a timer that rings when told to. */
function start(limits: PlaceLimits) {
  const timers = new Set<() => void>()
  const sleep = (_: number, signal?: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const ring = () => {
        timers.delete(ring)
        resolve()
      }
      timers.add(ring)
      signal?.addEventListener('abort', () => {
        timers.delete(ring)
        reject(signal.reason)
      })
    })
  const places = createPlaces({ sleep }, limits)
  const begun: string[] = []
  const ends = new Map<string, () => void>()
  const ask = (name: string, signal = new AbortController().signal) => {
    places.take(signal).then(
      (end) => {
        begun.push(name)
        ends.set(name, end)
      },
      (reason) => begun.push(`${name}: ${reason}`),
    )
  }
  const settle = () => new Promise((resolve) => setImmediate(resolve))
  return {
    begun,
    timers,
    async ask(...names: string[]) {
      for (const name of names) ask(name)
      await settle()
    },
    async askWith(name: string, signal: AbortSignal) {
      ask(name, signal)
      await settle()
    },
    async end(name: string) {
      ends.get(name)!()
      await settle()
    },
    async second() {
      for (const ring of timers) ring()
      await settle()
    },
    settle,
  }
}

describe('places', () => {
  test('requests beyond the limit wait, and begin in their order', async () => {
    const { begun, ask, end, timers } = start({ places: 2 })
    await ask('a', 'b')
    expect([begun, timers.size]).toStrictEqual([['a', 'b'], 0])
    await ask('c', 'd', 'e')
    expect(begun).toStrictEqual(['a', 'b'])
    await end('b')
    await end('b')
    expect(begun).toStrictEqual(['a', 'b', 'c'])
    await end('a')
    await end('c')
    expect(begun).toStrictEqual(['a', 'b', 'c', 'd', 'e'])
    expect(timers.size).toBe(0)
  })

  test('one that takes long leaves its place to those that wait, which need not be long themselves', async () => {
    const { begun, ask, end, second } = start({ places: 2 })
    await ask('download', 'short', 'c')
    await end('short')
    await ask('d', 'e', 'f')
    await end('c')
    expect(begun).toStrictEqual(['download', 'short', 'c', 'd'])
    await second()
    expect(begun).toStrictEqual(['download', 'short', 'c', 'd', 'e'])
    await end('d')
    await end('e')
    expect(begun).toStrictEqual(['download', 'short', 'c', 'd', 'e', 'f'])
  })

  test('a wait that ends early makes nobody leave', async () => {
    const { begun, ask, end, timers } = start({ places: 1 })
    await ask('a', 'b')
    const ended = end('a')
    const asked = ask('c')
    await Promise.all([ended, asked])
    expect([begun, timers.size]).toStrictEqual([['a', 'b'], 1])
  })

  test('while nobody waits, nothing leaves its place', async () => {
    const { begun, ask, end, second, timers } = start({ places: 1 })
    await ask('a')
    await second()
    await ask('b')
    expect([begun, timers.size]).toStrictEqual([['a'], 1])
    await end('a')
    expect([begun, timers.size]).toStrictEqual([['a', 'b'], 0])
  })

  test('the long ones are limited too, and another may begin when one of them ends', async () => {
    const { begun, ask, end, second, timers } = start({ places: 1, longMost: 2 })
    await ask('a', 'b', 'c', 'd')
    await second()
    await second()
    await second()
    expect([begun, timers.size]).toStrictEqual([['a', 'b', 'c'], 0])
    await end('a')
    await second()
    expect(begun).toStrictEqual(['a', 'b', 'c', 'd'])
  })

  test('whose client goes away: it waits no more, and takes no place', async () => {
    const { begun, ask, askWith, end, settle, timers } = start({ places: 1 })
    const gone = new AbortController()
    await ask('a')
    await askWith('b', gone.signal)
    gone.abort('gone')
    await settle()
    expect([begun, timers.size]).toStrictEqual([['a', 'b: gone'], 0])
    await ask('c')
    await end('a')
    expect(begun).toStrictEqual(['a', 'b: gone', 'c'])
  })

  test('whose client has gone away before: it does not wait either', async () => {
    const { begun, ask, askWith, timers } = start({ places: 1 })
    await ask('a')
    await askWith('b', AbortSignal.abort('gone'))
    expect([begun, timers.size]).toStrictEqual([['a', 'b: gone'], 0])
  })
})
