/**
 * What every engine of a vault has to do, whatever it stands on.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { SwapOutcome, VaultEngine } from '../../src/node/vault/engine.ts'
import { RECORD_LONGEST, VAULT_RECORD } from '../../src/node/vault/engine.ts'

/** A service of its own for each test. */
export interface EngineWorld {
  /** The engine of another machine on the same vault. */
  connect(): Promise<VaultEngine>
  readonly faults: EngineFaults
  close?(): Promise<void>
}

export interface EngineFaults {
  /** The next change is lost on its way. */
  readonly loseRequest: () => void
  /** The next change is made, and its reply is lost. */
  readonly loseReply: () => void
  /** Everything is as it was when the returned function was made. */
  readonly backup: () => Promise<() => Promise<void>>
  /** Somebody deletes all of it. */
  readonly wipe: () => Promise<void>
}

const A = 'a'.repeat(40)
const B = 'b'.repeat(40)
const C = 'c'.repeat(40)
const CONTENDERS = 4

export function describeEngine(name: string, create: () => Promise<EngineWorld>): void {
  describe(`the engine ${name}`, () => {
    let world: EngineWorld
    let engine: VaultEngine
    beforeEach(async () => {
      world = await create()
      engine = await world.connect()
    })
    afterEach(() => world.close?.())

    test('nothing is there at first', async () => {
      expect(await engine.read(A)).toBeUndefined()
      expect(await engine.list()).toStrictEqual(new Map())
    })

    test('a text comes back as it was, also on another machine', async () => {
      const texts = {
        [VAULT_RECORD]: 'plain',
        [A]: '',
        [B]: ' \r\n\u00e9\u{1f511}\0\n\n',
        [C]: 'x'.repeat(RECORD_LONGEST),
      }
      for (const [record, text] of Object.entries(texts)) expect(await engine.swap(record, undefined, text)).toBe('won')
      const other = await world.connect()
      expect(other.address).toBe(engine.address)
      expect(await other.list()).toStrictEqual(new Map(Object.entries(texts)))
    })

    test('names and texts that are not allowed are rejected, and change nothing', async () => {
      for (const bad of ['', '.', '..', '../vault', 'Vault', 'vault ', 'README.md', `${A}a`, A.toUpperCase(), '-d']) {
        await expect(engine.read(bad), bad).rejects.toMatchObject({ code: 'VAULT_INVALID' })
        await expect(engine.swap(bad, undefined, 'x'), bad).rejects.toMatchObject({ code: 'VAULT_INVALID' })
      }
      for (const bad of ['x'.repeat(RECORD_LONGEST + 1), '\ud800']) {
        await expect(engine.swap(A, undefined, bad)).rejects.toMatchObject({ code: 'VAULT_INVALID' })
      }
      expect(await engine.list()).toStrictEqual(new Map())
    })

    test('a swap changes what it was told to replace, and nothing else', async () => {
      await set(engine, A, 'one')
      expect(await engine.swap(A, undefined, 'two')).toBe('lost')
      expect(await engine.swap(A, 'One', 'two')).toBe('lost')
      expect(await engine.swap(A, 'one\n', 'two')).toBe('lost')
      expect(await engine.swap(A, '', 'two')).toBe('lost')
      expect(await engine.swap(B, 'one', 'two')).toBe('lost')
      expect(await engine.swap(B, 'one', undefined)).toBe('won')
      expect(await engine.list()).toStrictEqual(new Map([[A, 'one']]))
      expect(await engine.swap(A, 'one', 'two')).toBe('won')
      expect(await engine.read(A)).toBe('two')
    })

    test('a record is removed, and can be made again', async () => {
      await set(engine, A, 'one')
      await set(engine, B, 'other')
      expect(await engine.swap(A, 'two', undefined)).toBe('lost')
      expect(await engine.swap(A, 'one', undefined)).toBe('won')
      expect(await engine.list()).toStrictEqual(new Map([[B, 'other']]))
      expect(await engine.swap(A, 'one', 'two')).toBe('lost')
      expect(await engine.swap(A, undefined, 'two')).toBe('won')
      expect(await engine.swap(A, 'two', undefined)).toBe('won')
      expect(await engine.swap(B, 'other', undefined)).toBe('won')
      expect(await engine.list()).toStrictEqual(new Map())
    })

    test('a machine sees what another one wrote in between', async () => {
      const other = await world.connect()
      await set(engine, A, 'one')
      expect(await other.read(A)).toBe('one')
      expect(await other.swap(A, 'one', 'two')).toBe('won')
      expect(await engine.swap(A, 'one', 'three')).toBe('lost')
      expect(await engine.read(A)).toBe('two')
    })

    test('a change under another name is no conflict', async () => {
      const other = await world.connect()
      await set(engine, A, 'one')
      await set(engine, B, 'one')
      expect(await other.read(B)).toBe('one')
      expect(await engine.swap(A, 'one', 'two')).toBe('won')
      expect(await other.swap(B, 'one', 'two')).toBe('won')
      expect(await engine.list()).toStrictEqual(
        new Map([
          [A, 'two'],
          [B, 'two'],
        ]),
      )
    })

    test('a swap that is made again has won already', async () => {
      await set(engine, A, 'one')
      expect(await engine.swap(A, 'one', 'two')).toBe('won')
      expect(await engine.swap(A, 'one', 'two')).toBe('won')
      const other = await world.connect()
      expect(await other.swap(A, 'one', 'two')).toBe('won')
      expect(await other.read(A)).toBe('two')
    })

    test('of contenders for one record exactly one wins, round by round', async () => {
      const engines = await Promise.all(Array.from({ length: CONTENDERS }, () => world.connect()))
      let before: string | undefined
      for (const round of [1, 2]) {
        const outcomes = await Promise.all(engines.map((each, index) => each.swap(A, before, `${round} by ${index}`)))
        expect([...outcomes].sort()).toStrictEqual([...Array<SwapOutcome>(CONTENDERS - 1).fill('lost'), 'won'])
        before = await engine.read(A)
        expect(before).toBe(`${round} by ${outcomes.indexOf('won')}`)
      }
    })

    test('contenders for records of their own all win', async () => {
      const engines = await Promise.all(Array.from({ length: CONTENDERS }, () => world.connect()))
      const names = engines.map((_, index) => String(index).repeat(40))
      const outcomes = await Promise.all(engines.map((each, index) => each.swap(names[index]!, undefined, 'mine')))
      expect(outcomes).toStrictEqual(Array(CONTENDERS).fill('won'))
      expect([...(await engine.list()).keys()].sort()).toStrictEqual(names)
    })

    test('it describes itself, and changes nothing by that', async () => {
      await set(engine, A, 'one')
      const facts = await engine.describe()
      expect(facts.filter(({ verdict }) => verdict === 'broken')).toStrictEqual([])
      expect(facts.length).toBeGreaterThan(0)
      expect(await engine.list()).toStrictEqual(new Map([[A, 'one']]))
    })

    test('destroyed, it is empty for everyone, and can be used again', async () => {
      const other = await world.connect()
      await set(engine, A, 'one')
      await set(other, B, 'one')
      await engine.destroy()
      await engine.destroy()
      expect(await other.list()).toStrictEqual(new Map())
      expect(await other.swap(A, 'one', 'two')).toBe('lost')
      expect(await other.swap(A, undefined, 'two')).toBe('won')
      expect(await engine.read(A)).toBe('two')
    })

    test('a change that never arrived is unknown, and is made by a repeat', async () => {
      await set(engine, A, 'one')
      world.faults.loseRequest()
      expect(await engine.swap(A, 'one', 'two')).toBe('unknown')
      expect(await engine.read(A)).toBe('one')
      expect(await engine.swap(A, 'one', 'two')).toBe('won')
      expect(await engine.read(A)).toBe('two')
    })

    test('a change without a reply is unknown, and a repeat has won', async () => {
      await set(engine, A, 'one')
      world.faults.loseReply()
      expect(await engine.swap(A, 'one', 'two')).toBe('unknown')
      expect(await engine.swap(A, 'one', 'two')).toBe('won')
      expect(await engine.read(A)).toBe('two')
    })

    test('after a change without a reply, the change of another machine stays', async () => {
      await set(engine, A, 'one')
      world.faults.loseReply()
      expect(await engine.swap(A, 'one', 'two')).toBe('unknown')
      const other = await world.connect()
      expect(await other.swap(A, 'two', 'three')).toBe('won')
      expect(await engine.swap(A, 'one', 'two')).toBe('lost')
      expect(await engine.read(A)).toBe('three')
    })

    test('the first change of all, lost on its way', async () => {
      world.faults.loseRequest()
      expect(await engine.swap(A, undefined, 'one')).toBe('unknown')
      expect(await engine.swap(A, undefined, 'one')).toBe('won')
      expect(await engine.list()).toStrictEqual(new Map([[A, 'one']]))
    })

    test('restored to an earlier state, that is what it has', async () => {
      const other = await world.connect()
      await set(engine, A, 'one')
      const restore = await world.faults.backup()
      expect(await engine.swap(A, 'one', 'two')).toBe('won')
      expect(await other.read(A)).toBe('two')
      await restore()
      expect(await engine.swap(A, 'two', 'three')).toBe('lost')
      expect(await engine.read(A)).toBe('one')
      expect(await other.swap(A, 'one', 'three')).toBe('won')
      expect(await engine.read(A)).toBe('three')
    })

    test('wiped by somebody else, it begins again', async () => {
      await set(engine, A, 'one')
      await world.faults.wipe()
      expect(await engine.read(A)).toBeUndefined()
      expect(await engine.swap(A, 'one', 'two')).toBe('lost')
      expect(await engine.swap(A, undefined, 'one')).toBe('won')
      const other = await world.connect()
      expect(await other.list()).toStrictEqual(new Map([[A, 'one']]))
    })
  })
}

async function set(engine: VaultEngine, name: string, text: string): Promise<void> {
  expect(await engine.swap(name, undefined, text)).toBe('won')
}
