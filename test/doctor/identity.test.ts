import { describe } from 'vitest'
import { alice, did, planted, TXT } from './support.ts'

describe('the handle, planted one at a time', () => {
  planted(alice, [
    { name: '1.7 DNS alone will do', plant: (w) => void w.identity.wellKnown.delete('alice.fake.dev'), finds: [] },
    { name: '1.7 HTTPS alone will do', plant: (w) => void w.identity.txt.delete(TXT), finds: [] },
    {
      name: '1.11 DNS fails, and HTTPS stands in',
      plant: (w) => void w.identity.txt.set(TXT, 'SERVFAIL'),
      finds: ['warning DNS'],
      says: /ESERVFAIL/,
    },
    {
      name: '1.9 two DIDs in DNS: HTTPS leads on to the PDS',
      plant: (w) => void w.identity.txt.set(TXT, [[`did=${w.alice.did}`], [`did=${w.mallory.did}`]]),
      finds: ['broken DNS'],
      fix: /one TXT record at _atproto\.alice/,
    },
    {
      name: '1.15 HTTPS says otherwise',
      plant: (w) => void w.identity.wellKnown.set('alice.fake.dev', w.mallory.did),
      finds: ['warning HTTPS'],
      says: /mallory/,
      fix: /serve did:plc:alice/,
    },
    {
      name: 'neither',
      plant: (w) => {
        w.identity.txt.delete(TXT)
        w.identity.wellKnown.delete('alice.fake.dev')
      },
      finds: ['broken DNS', 'broken HTTPS'],
      fix: /_atproto\.alice\.fake\.dev TXT "did=did:plc:…"/,
    },
    {
      name: '1.17 the account claims another handle',
      plant: (w) => w.identity.editDidDocument(w.alice.did, (d) => ({ ...d, alsoKnownAs: ['at://other.fake.dev'] })),
      finds: ['broken handle'],
      says: /claims other\.fake\.dev/,
      fix: /atproto-oauth init did:plc:alice/,
    },
    {
      name: '2.3 the directory has no such DID',
      plant: (w) => void w.identity.documents.delete(w.alice.did),
      finds: ['broken DID document'],
    },
  ])
})

describe('from a DID the handle is no obstacle', () => {
  planted(did, [
    {
      name: '1.19 it leads to somebody else',
      plant: (w) => {
        w.identity.txt.set(TXT, [[`did=${w.mallory.did}`]])
        w.identity.wellKnown.set('alice.fake.dev', w.mallory.did)
      },
      finds: ['warning handle'],
      fix: /did=did:plc:alice/,
    },
    {
      name: '1.19 it leads nowhere',
      plant: (w) => {
        w.identity.txt.delete(TXT)
        w.identity.wellKnown.delete('alice.fake.dev')
      },
      finds: ['warning DNS', 'warning HTTPS'],
    },
    {
      name: '1.19 there is none',
      plant: (w) => w.identity.editDidDocument(w.alice.did, (d) => ({ ...d, alsoKnownAs: [] })),
      finds: ['warning handle'],
    },
  ])
})
