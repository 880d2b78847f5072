import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Limit } from '../../../src/node/http/limit.ts'

test('whoever listens is told once, and whoever stopped listening is not', () => {
  const controller = new AbortController()
  const limit = new Limit(60_000, () => new Error('too late'), controller.signal)
  const [told, notTold, late] = [vi.fn(), vi.fn(), vi.fn()]
  limit.onReached(told)
  limit.onReached(notTold)()
  expect(limit.isReached).toBe(false)
  limit.throwIfReached()
  const reason = new Error('given up')
  controller.abort(reason)
  limit.onReached(late)
  expect(told).toHaveBeenCalledOnce()
  expect(notTold).not.toHaveBeenCalled()
  expect(late).not.toHaveBeenCalled()
  expect(limit.reason).toBe(reason)
  expect(() => limit.throwIfReached()).toThrow(reason)
})

describe('the time', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  test('is over: the first reason counts', () => {
    const controller = new AbortController()
    const reason = new Error('too late')
    const limit = new Limit(1000, () => reason, controller.signal)
    vi.advanceTimersByTime(999)
    expect(limit.isReached).toBe(false)
    vi.advanceTimersByTime(1)
    controller.abort(new Error('later'))
    expect(limit.reason).toBe(reason)
  })

  test.each([
    ['is lifted: only the signal limits it', 'lift', true],
    ['has ended: nothing limits it', 'end', false],
  ] as const)('%s', (_, method, isReached) => {
    const controller = new AbortController()
    const limit = new Limit(1000, () => new Error('too late'), controller.signal)
    limit[method]()
    vi.advanceTimersByTime(5000)
    expect(limit.isReached).toBe(false)
    controller.abort()
    expect(limit.isReached).toBe(isReached)
  })
})

test('a signal that was aborted before', () => {
  const reason = new Error('given up')
  const limit = new Limit(60_000, () => new Error('too late'), AbortSignal.abort(reason))
  expect(() => limit.throwIfReached()).toThrow(reason)
  limit.end()
})
