/**
 * A program that runs for long has no more in use at its end than at its beginning, and ends by itself. This is the short
 * form of `npm run test:memory`, which makes 100,000 calls.
 */
import { expect, test } from 'vitest'
import { growth, type LongRun, otherNode, runLong } from '../bench/long-running.ts'

const CALLS = 4000
/** Bytes for each call: less than a controller, a listener or a timer that nobody removes. Node's own noise is about half of it. */
const MOST = 150

async function expectNoGrowth(run: Omit<LongRun, 'calls'>): Promise<void> {
  const figures = await runLong({ ...run, calls: CALLS })
  expect(figures.listeners).toStrictEqual([0, 0])
  expect(figures.resources).toStrictEqual([])
  expect(growth(figures), figures.heap.join(' ')).toBeLessThan(CALLS * MOST)
  if (run.transport === 'sockets') return
  // Each session of both clients was refreshed in each part and in the warm-up.
  expect(figures.rotations).toStrictEqual([
    ['rotated', 11],
    ['rotated', 11],
  ])
  expect(figures.records).toBe(10)
}

test.each<Omit<LongRun, 'calls' | 'node'>>([
  { transport: 'fetch', hasSignal: false },
  { transport: 'fetch', hasSignal: true },
  { transport: 'sockets', hasSignal: false },
  { transport: 'sockets', hasSignal: true },
])('two clients with ten accounts: $transport, long-lived signals: $hasSignal', (run) => expectNoGrowth(run))

test.each<LongRun['transport']>(['fetch', 'sockets'])('on Node 22: %s, with long-lived signals', async (transport) => {
  await expectNoGrowth({ transport, hasSignal: true, node: await otherNode('22') })
})
