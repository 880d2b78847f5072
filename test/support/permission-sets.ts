/** A permission set in the fake world, where its name leads to it. */

import { json } from '../../src/testing/http.ts'
import type { FakeWorld } from './fake-atproto.ts'

const PUBLISHER = 'did:plc:publisher234567publishe2'

/** Publishes one set; whatever NSID below `dev.fake.lex` is asked for is this one. */
export function publishSet(world: FakeWorld, set: object): void {
  world.identity.txt.set('_lexicon.lex.fake.dev', [[`did=${PUBLISHER}`]])
  world.identity.addAccount({ did: PUBLISHER, handle: 'lex.fake.dev', pds: 'https://lex-pds.fake.dev' })
  const value = { lexicon: 1, defs: { main: { type: 'permission-set', ...set } } }
  world.serve('https://lex-pds.fake.dev', () => json(200, { value }))
}
