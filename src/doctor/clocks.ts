/**
 * Compares the clock of this machine with those of the servers. Proofs contain the time, and servers tolerate little
 * difference.
 */
import type { Origin } from '../model.ts'
import type { Clock, Finding, Http } from '../ports.ts'
import { ok, warning } from './check.ts'
import type { Watched } from './watch.ts'

/** Milliseconds: less than the narrowest window of a known server, and more than a slow response explains. */
const NOTABLE = 30_000

export function checkClocks(origins: readonly Origin[], { clocks, watch }: Watched<Http & Clock>): Finding[] {
  const topic = 'clock'
  const dated = watch.dated()
  const offsets = dated.map((origin) => clocks.offset(origin))
  const isOurs = Math.max(...offsets) - Math.min(...offsets) < NOTABLE
  return origins.flatMap((origin) => {
    if (!dated.includes(origin)) return []
    const offset = clocks.offset(origin)
    const ahead = `${origin} is ${Math.round(Math.abs(offset) / 1000)} seconds ${offset > 0 ? 'ahead of' : 'behind'} this machine`
    if (Math.abs(offset) <= NOTABLE) {
      const detail = offset === 0 ? `the clocks of ${origin} and this machine agree` : ahead
      return [ok({ topic, detail, milliseconds: 0 })]
    }
    const fix = isOurs
      ? 'set the clock of this machine (on Linux: timedatectl set-ntp true)'
      : `the clocks of the servers differ: ask the operator of ${origin} to check its clock`
    return [
      warning({ topic, detail: `${ahead}; this program corrects for it, but others may fail`, fix, milliseconds: 0 }),
    ]
  })
}
