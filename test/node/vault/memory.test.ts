import { expect, test } from 'vitest'
import { type MemoryFault, MemoryService } from '../../support/memory-engine.ts'
import { describeEngine } from '../../support/vault-engine.ts'

const A = 'a'.repeat(40)

describeEngine('in memory, which the other tests use', async () => {
  const service = new MemoryService()
  const next: MemoryFault[] = []
  return {
    connect: async () =>
      service.connect({ before: ({ operation }) => (operation === 'swap' ? next.shift() : undefined) }),
    faults: {
      loseRequest: () => next.push('lost-before'),
      loseReply: () => next.push('lost-after'),
      async backup() {
        const { version } = service
        return async () => service.restore(version)
      },
      wipe: async () => service.clear(),
    },
  }
})

test('a swap that is still on its way arrives later, and compares then', async () => {
  const service = new MemoryService()
  const faults: MemoryFault[] = ['late', 'late']
  const engine = service.connect({ before: () => faults.shift() })
  expect(await engine.swap(A, undefined, 'one')).toBe('unknown')
  expect(await engine.swap(A, 'other', 'two')).toBe('unknown')
  expect(await engine.read(A)).toBeUndefined()
  service.deliver()
  expect(await engine.read(A)).toBe('one')
})

test('a hook delays a request before or after its effect', async () => {
  const service = new MemoryService()
  const order: string[] = []
  const engine = service.connect({
    before: async ({ operation }) => {
      await Promise.resolve()
      order.push(`before ${operation} ${service.version}`)
      return undefined
    },
    after: async (_, outcome) => void order.push(`after ${outcome} ${service.version}`),
  })
  await engine.swap(A, undefined, 'one')
  expect(order).toStrictEqual(['before swap 0', 'after won 1'])
})

test.each([
  ['unreachable', 'VAULT_UNREACHABLE'],
  ['refused', 'VAULT_REFUSED'],
] as const)('%s: an error, and nothing was changed', async (fault, code) => {
  const service = new MemoryService()
  const engine = service.connect({ before: () => fault })
  await expect(engine.swap(A, undefined, 'one')).rejects.toMatchObject({ code })
  await expect(engine.read(A)).rejects.toMatchObject({ code })
  expect(service.version).toBe(0)
})

test('a lost write is gone, and the states before stay known', async () => {
  const service = new MemoryService()
  const engine = service.connect()
  await engine.swap(A, undefined, 'one')
  await engine.swap(A, 'one', 'two')
  service.loseLastWrite()
  expect(await engine.read(A)).toBe('one')
  expect(service.states.map((state) => state.get(A))).toStrictEqual([undefined, 'one', 'two', 'one'])
})
