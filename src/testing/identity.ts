/**
 * Who is who: accounts, their DID documents, their handles in DNS and on HTTPS.
 */
import type { Did } from '../model.ts'
import type { Faults, TxtRecords } from './faults.ts'
import { type FakeRequest, type Handler, type Json, json, pathOf } from './http.ts'

export interface Account {
  readonly did: Did
  readonly handle: string
}

export interface FakeIdentity {
  readonly accounts: readonly Account[]
  /** Documents by DID, as PLC or the host of a `did:web` gives them; deleted ones are 404. */
  readonly documents: Map<string, Json>
  /** TXT records by name; other names do not exist. */
  readonly txt: Map<string, TxtRecords>
  /** Body of `/.well-known/atproto-did` by host; other hosts cannot be reached. */
  readonly wellKnown: Map<string, string>
  /** Every TXT name asked for. */
  readonly txtQueries: string[]
  /** An account with all of the above. */
  addAccount(account: { did: string; handle: string; pds: string }): Account
  /** Replaces the DID document by what `edit` makes of it. */
  editDidDocument(did: string, edit: (document: Json) => Json): void
  resolveTxt(name: string): Promise<string[][]>
  /** `com.atproto.identity.resolveHandle`. */
  resolveHandle: Handler
  /** The PLC directory. */
  plc: Handler
  /** A host that only proves a handle or holds a `did:web`; `undefined` for another name. */
  host(hostname: string): Handler | undefined
}

export function createFakeIdentity(faults: Faults): FakeIdentity {
  const accounts: Account[] = []
  const documents = new Map<string, Json>()
  const txt = new Map<string, TxtRecords>()
  const wellKnown = new Map<string, string>()
  const txtQueries: string[] = []
  const reads = new Map<string, number>()

  function document(did: string, type: string): Response {
    const found = documents.get(did)
    if (!found) return json(404, { message: `DID not registered: ${did}` })
    const count = (reads.get(did) ?? 0) + 1
    reads.set(did, count)
    return json(200, faults.mutateDidDocument(structuredClone(found), count), { 'content-type': type })
  }

  return {
    accounts,
    documents,
    txt,
    wellKnown,
    txtQueries,
    addAccount({ did, handle, pds }) {
      const account = { did: did as Did, handle }
      accounts.push(account)
      documents.set(did, didDocument(did, handle, pds))
      txt.set(`_atproto.${handle}`, [[`did=${did}`]])
      wellKnown.set(handle, did)
      return account
    },
    editDidDocument(did, edit) {
      const found = documents.get(did)
      if (!found) throw new Error(`the fake world has no document of ${did}`)
      documents.set(did, edit(structuredClone(found)))
    },
    async resolveTxt(name) {
      txtQueries.push(name)
      const response = faults.txt(name) ?? txt.get(name) ?? 'NXDOMAIN'
      if (response === 'NXDOMAIN') return []
      if (response === 'SERVFAIL') throw dnsError('ESERVFAIL', name)
      if (response === 'TIMEOUT') throw dnsError('ETIMEOUT', name)
      return response.map((chunks) => [...chunks])
    },
    resolveHandle(request) {
      const handle = new URL(request.url).searchParams.get('handle')
      const account = accounts.find((candidate) => candidate.handle === handle)
      if (account) return json(200, { did: account.did })
      return json(400, { error: 'InvalidRequest', message: 'Unable to resolve handle' })
    },
    plc: (request) => document(decodeURIComponent(pathOf(request).slice(1)), 'application/did+ld+json; charset=utf-8'),
    host(hostname) {
      const did = `did:web:${hostname}`
      if (!documents.has(did) && !wellKnown.has(hostname)) return undefined
      return (request: FakeRequest) => {
        if (pathOf(request) === '/.well-known/did.json') return document(did, 'application/json')
        const claim = pathOf(request) === '/.well-known/atproto-did' ? wellKnown.get(hostname) : undefined
        return new Response(claim ?? 'not found', { status: claim === undefined ? 404 : 200 })
      }
    },
  }
}

function didDocument(did: string, handle: string, pds: string): Json {
  return {
    '@context': ['https://www.w3.org/ns/did/v1', 'https://w3id.org/security/multikey/v1'],
    id: did,
    alsoKnownAs: [`at://${handle}`],
    verificationMethod: [
      { id: `${did}#atproto`, type: 'Multikey', controller: did, publicKeyMultibase: 'zQ3shunusedinthefakeworld' },
    ],
    service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: pds }],
  }
}

/** As node:dns rejects. */
function dnsError(code: string, name: string): Error {
  return Object.assign(new Error(`queryTxt ${code} ${name}`), { code, syscall: 'queryTxt', hostname: name })
}
