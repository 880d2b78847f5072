import { expect, test } from 'vitest'
import { serverTime } from '../../src/session/server-time.ts'

const AT = Date.UTC(2026, 0, 1)
const DAY = 86_400_000

test.each<[string, number | undefined, number | undefined, number, number | undefined]>([
  ['a clock that is right', 0, AT, AT + DAY, AT + DAY],
  ['no offset known', undefined, AT, AT + DAY, AT + DAY],
  ['no refresh known', 20 * DAY, undefined, AT, AT],
  ['a clock behind, still so', 20 * DAY, AT, AT - 19 * DAY, AT + DAY],
  ['a clock behind, set right since', 20 * DAY, AT, AT + DAY, AT + DAY],
  ['a clock ahead, still so', -20 * DAY, AT, AT + 21 * DAY, AT + DAY],
  ['a clock ahead, set right since', -20 * DAY, AT, AT + DAY, AT + DAY],
  ['a clock set back to before the refresh', 0, AT, AT - DAY, undefined],
  ['a clock behind, set back further', 2 * DAY, AT, AT - 3 * DAY, undefined],
  ['a clock a little behind: not before the refresh', 0, AT, AT - 30_000, AT],
])('%s', (_, clockOffset, rotatedAt, now, expected) => {
  expect(serverTime({ clockOffset, rotatedAt }, now)).toBe(expected)
})
