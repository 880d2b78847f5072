import { describe, expect, test } from 'vitest'
import { persist } from '../../../src/node/store/file-errors.ts'

/** Fails so many times, then works. */
function stubborn(code: string, times: number) {
  const tried = { count: 0 }
  const work = async () => {
    tried.count += 1
    if (tried.count <= times) throw Object.assign(new Error(code), { code })
    return 'done'
  }
  return { work, tried }
}

describe('a file that others use', () => {
  test.each(['EPERM', 'EACCES', 'EBUSY'])('on Windows is waited for: %s', async (code) => {
    const { work, tried } = stubborn(code, 4)
    const pauses: number[] = []
    expect(await persist(work, 'win32', async (pause) => void pauses.push(pause))).toBe('done')
    expect({ tried, pauses }).toStrictEqual({ tried: { count: 5 }, pauses: [10, 20, 40, 80] })
  })

  test('not for ever', async () => {
    const { work } = stubborn('EPERM', Number.POSITIVE_INFINITY)
    let waited = 0
    const asleep = async (pause: number) => {
      waited += pause
    }
    await expect(persist(work, 'win32', asleep)).rejects.toMatchObject({ code: 'EPERM' })
    expect(waited).toBeGreaterThanOrEqual(5000)
    expect(waited).toBeLessThan(6000)
  })

  test.each([
    ['ENOENT', 'win32'],
    ['ENOSPC', 'win32'],
    ['EPERM', 'linux'],
    ['EACCES', 'darwin'],
  ] as const)('%s on %s is not retried', async (code, platform) => {
    const { work, tried } = stubborn(code, 1)
    const asleep = () => Promise.reject(new Error('waited'))
    await expect(persist(work, platform, asleep)).rejects.toMatchObject({ code })
    expect(tried.count).toBe(1)
  })
})
