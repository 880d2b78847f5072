/** A permission set in the fake world, where its name leads to it. */

import { json } from '../../src/testing/http.ts'
import type { FakeWorld } from './fake-atproto.ts'

export const PUBLISHER = 'did:plc:publisher234567publishe2'

interface PermissionSet {
  readonly permissions: readonly unknown[]
  readonly [text: string]: unknown
}

/** Publishes one set; whatever NSID below `dev.fake.lex` is asked for is this one. Its entries need no type. */
export function publishSet(world: FakeWorld, set: PermissionSet): void {
  const permissions = set.permissions.map((entry) =>
    typeof entry === 'object' ? { type: 'permission', ...entry } : entry,
  )
  publishRecord(world, { defs: { main: { type: 'permission-set', ...set, permissions } } })
}

/** Publishes a record as it is, besides what all records of lexicons have. */
export function publishRecord(world: FakeWorld, fields: object): void {
  world.identity.txt.set('_lexicon.lex.fake.dev', [[`did=${PUBLISHER}`]])
  world.identity.addAccount({ did: PUBLISHER, handle: 'lex.fake.dev', pds: 'https://lex-pds.fake.dev' })
  world.serve('https://lex-pds.fake.dev', ({ url }) => {
    const id = new URL(url).searchParams.get('rkey')
    return json(200, { value: { $type: 'com.atproto.lexicon.schema', lexicon: 1, id, ...fields } })
  })
}
