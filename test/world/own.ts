/** The world of this test file, which no other file is in at the same time: there is one for each worker of vitest. */
import { inject } from 'vitest'
import type { WorldAddresses } from './main.ts'

export function ownWorld(): WorldAddresses {
  const slot = Number(process.env['VITEST_POOL_ID'])
  const world = inject('worlds')[slot - 1]
  if (world === undefined) throw new Error(`worker ${slot} has no world`)
  return world
}
