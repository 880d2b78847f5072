/**
 * A process that may die at any step. Afterwards every port fails, so that whatever still runs in
 * memory changes nothing.
 */
import type { SaveTarget } from '../../src/ports.ts'
import type { FakeWorld } from './fake-atproto.ts'

export const STEPS = [
  'before request',
  'after request',
  'before refresh',
  'after refresh',
  'before intent',
  'after intent',
  'before commit',
  'after commit',
  'before save',
  'after save',
] as const
export type Step = (typeof STEPS)[number]

/** Between these the new tokens are in this process alone: no client survives it. */
export const FATAL: readonly Step[] = ['after refresh', 'before commit']

export class Death extends Error {
  constructor(readonly step: Step) {
    super(`died ${step}`)
  }
}

export interface Mortal {
  readonly world: FakeWorld
  /** Where it died, if it did: what it threw was perhaps taken for something else. */
  death(): Death | undefined
}

/** @param isLast asked at each step whether it is the last */
export function mortal(world: FakeWorld, targets: readonly SaveTarget[], isLast: (step: Step) => boolean): Mortal {
  let death: Death | undefined
  /** Since a refresh was sent, no response to it was stored. */
  let isSpending = false
  const reach = (step: Step) => {
    if (!death && isLast(step)) death = new Death(step)
    if (death) throw death
  }
  const { sessions } = world.stores
  const mortalTargets = targets.map((target) => ({
    ...target,
    async save(entries: Parameters<SaveTarget['save']>[0]) {
      reach('before save')
      await target.save(entries)
      reach('after save')
    },
  }))
  const ours: FakeWorld = {
    ...world,
    saving: { ...world.saving, targets: mortalTargets, open: (name) => mortalTargets.find((t) => t.name === name)! },
    async fetch(url, init) {
      const what = url.pathname === '/oauth/token' ? 'refresh' : 'request'
      reach(`before ${what}`)
      const answer = await world.fetch(url, init)
      isSpending = what === 'refresh' && answer.ok
      reach(isSpending || what === 'request' ? `after ${what}` : 'after request')
      return answer
    },
    stores: {
      ...world.stores,
      sessions: {
        ...sessions,
        update: (thumbprint, transaction) =>
          sessions.update(thumbprint, (inner) =>
            transaction({
              ...inner,
              async commit(next) {
                const what = isSpending ? 'commit' : next.intent ? 'intent' : undefined
                if (what) reach(`before ${what}`)
                else reach('before request')
                await inner.commit(next)
                isSpending = false
                reach(what ? `after ${what}` : 'after request')
              },
            }),
          ),
      },
    },
  }
  return { world: ours, death: () => death }
}
