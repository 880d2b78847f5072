/** An engine that is connected when it is needed. */
import { expect, test } from 'vitest'
import type { VaultEngine } from '../../../src/node/vault/engine.ts'
import { engineLater } from '../../../src/node/vault/later.ts'

const NAME = 'a'.repeat(40)

function fake(calls: string[]): VaultEngine {
  const said = (call: string, ...args: unknown[]) => void calls.push([call, ...args].join(' '))
  return {
    address: 'git:/x',
    read: async (name) => {
      said('read', name)
      return 'text'
    },
    list: async () => {
      said('list')
      return new Map([[NAME, 'text']])
    },
    swap: async (...args) => {
      said('swap', ...args)
      return 'won'
    },
    describe: async () => {
      said('describe')
      return []
    },
    destroy: async () => said('destroy'),
  }
}

test('it is connected once, by the first request, and passes each on', async () => {
  const calls: string[] = []
  const engine = engineLater('git:/x', async () => {
    calls.push('connect')
    return fake(calls)
  })
  expect([engine.address, calls]).toStrictEqual(['git:/x', []])
  const outcomes = [engine.read(NAME), engine.list(), engine.swap(NAME, 'text', undefined), engine.describe()]
  expect(await Promise.all(outcomes)).toStrictEqual(['text', new Map([[NAME, 'text']]), 'won', []])
  await engine.destroy()
  expect(calls).toStrictEqual(['connect', `read ${NAME}`, 'list', `swap ${NAME} text `, 'describe', 'destroy'])
})

test('a connection that failed is tried again', async () => {
  let attempts = 0
  const engine = engineLater('git:/x', async () => {
    attempts += 1
    if (attempts === 1) throw new Error('no')
    return fake([])
  })
  await expect(engine.read(NAME)).rejects.toThrow('no')
  expect(await engine.read(NAME)).toBe('text')
})
