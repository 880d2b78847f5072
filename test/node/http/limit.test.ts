import { expect, test, vi } from 'vitest'
import { Limit } from '../../../src/node/http/limit.ts'

test('whoever listens is told once, and whoever stopped listening is not', () => {
  const limit = new Limit()
  const [told, notTold, late] = [vi.fn(), vi.fn(), vi.fn()]
  limit.onReached(told)
  limit.onReached(notTold)()
  expect(limit.isReached).toBe(false)
  limit.throwIfReached()
  const reason = new Error('too late')
  limit.reach(reason)
  limit.reach(new Error('later'))
  limit.onReached(late)
  expect(told).toHaveBeenCalledOnce()
  expect(notTold).not.toHaveBeenCalled()
  expect(late).not.toHaveBeenCalled()
  expect(limit.reason).toBe(reason)
  expect(() => limit.throwIfReached()).toThrow(reason)
})
