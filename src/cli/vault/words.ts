/**
 * How records of a vault are called in messages.
 */
import type { Claim, Sealed } from '../../node/vault/record.ts'

export function accountOf({ record: { session } }: Sealed): string {
  return session.handle ?? session.did
}

export function claimText({ purpose, label }: Pick<Claim, 'purpose' | 'label'>): string {
  return `${purpose} by ${label}`
}

export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
