/** What the tests of `doctor` have in common: all findings of one run, and faults planted one at a time. */
import { expect, test } from 'vitest'
import { worded } from '../../src/cli/errors.ts'
import { type DoctorOptions, diagnose } from '../../src/doctor/doctor.ts'
import type { Finding } from '../../src/ports.ts'
import { createFakeWorld, type FakeWorld, pathOf } from '../support/fake-atproto.ts'

export async function found(world: FakeWorld, identifier?: string, options: DoctorOptions = {}): Promise<Finding[]> {
  const findings: Finding[] = []
  for await (const finding of diagnose(identifier, options, world)) findings.push(finding)
  return findings
}

/** As `verdict topic: detail`, so that a failed test shows what was found. */
export const all = (findings: readonly Finding[]) =>
  findings.map(({ verdict, topic, detail }) => `${verdict} ${topic}: ${detail}`)
export const notOk = (findings: readonly Finding[]) => findings.filter(({ verdict }) => verdict !== 'ok')
export const topics = (findings: readonly Finding[]) => findings.map(({ topic }) => topic)

/** The server's answer at a path, instead of its own. */
export function at(path: string, answer: () => Response) {
  return (world: FakeWorld) => {
    world.faults.httpFault = (request) => (pathOf(request) === path ? answer() : undefined)
  }
}
export interface Planted {
  readonly name: string
  readonly plant: (world: FakeWorld) => void
  /** `verdict topic` of all that is not ok. */
  readonly finds: readonly string[]
  readonly says?: RegExp
  readonly fix?: RegExp
}

/** The whole way, with one thing wrong in it. */
export function planted(identifier: (world: FakeWorld) => string, cases: readonly Planted[]) {
  test.each(cases)('$name', async ({ plant, finds, says, fix }) => {
    const world = createFakeWorld()
    plant(world)
    const findings = await found(world, identifier(world))
    const wrong = notOk(findings)
    expect(
      wrong.map(({ verdict, topic }) => `${verdict} ${topic}`),
      all(findings).join('\n'),
    ).toStrictEqual(finds)
    if (says) expect(wrong.map(({ detail }) => detail).join('\n')).toMatch(says)
    if (fix) expect(wrong.map((finding) => worded(finding).fix).join('\n')).toMatch(fix)
    for (const each of wrong) expect(worded(each).fix, each.detail).toBeTruthy()
  })
}

export const TXT = '_atproto.alice.fake.dev'
export const alice = () => 'alice.fake.dev'
export const did = (world: FakeWorld) => world.alice.did

/** What a look at a whole account finds, topic by topic. */
export const HOPS = [
  'DNS',
  'HTTPS',
  'DID document',
  'handle',
  'PDS',
  'PDS metadata',
  'server metadata',
  'pushed request',
  'account',
  'clock',
  'clock',
]
