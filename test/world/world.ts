/** What a test can do in the world: make accounts, see what the servers were asked, start and stop one more PDS. */
import { randomBytes } from 'node:crypto'
import type { WorldAddresses } from './main.ts'
import type { Destination } from './names.ts'
import { ownWorld } from './own.ts'
import type { PdsOptions, RecordedRequest } from './servers.ts'

export interface Account {
  readonly did: string
  readonly handle: string
  readonly password: string
}

export interface AccountOptions {
  readonly handle?: string | undefined
  readonly password?: string | undefined
}

/** A PDS of one test's own, so that the test can count its requests, or stop it, undisturbed by others. */
export interface ExtraPds {
  readonly id: string
  readonly url: string
  createAccount(options?: AccountOptions): Promise<Account>
  /** Its port is closed from then on; requests under way are cut off. */
  stop(): Promise<void>
}

export type RequestFilter = Partial<RecordedRequest> | ((request: RecordedRequest) => boolean)

export interface World extends WorldAddresses {
  /** On the shared PDS. Unless named, nobody else has the handle. */
  createAccount(options?: AccountOptions): Promise<Account>
  /** What all servers of this world were asked so far, oldest first. */
  requests(filter?: RequestFilter): Promise<RecordedRequest[]>
  /** Of the server at that origin, or of all. */
  clearRequests(origin?: string): Promise<void>
  /** The names in its options have to lead to it for its users. */
  startPds(options?: PdsOptions): Promise<ExtraPds>
  /** When the servers fetch `https://<name>/…`, as they do for client documents, it is from there. */
  leadName(name: string, destination: Destination): Promise<void>
  /** A TXT record that the servers find. @returns the variables with which the CLI finds it, and no other */
  leadText(name: string, text: string): Promise<Record<string, string>>
  /** As if the time had passed for which the shared PDS keeps the permission sets that it has read. */
  expireSets(): Promise<void>
  /**
   * Serves a folder over TLS under a name that ends in `.fake.dev`, to the servers and to whoever has these variables
   * set. The servers remember a client document for ten minutes: take another name for another document.
   */
  publish(host: string, folder: string): Promise<Record<string, string>>
}

/** The addresses come from `global-setup.ts`, or outside vitest from `startWorld()`. */
export function connectWorld(addresses: WorldAddresses = ownWorld()): World {
  const control = async (method: string, path: string, body?: object): Promise<unknown> =>
    (await ok(await fetch(addresses.controlUrl + path, { method, ...(body && { body: JSON.stringify(body) }) }))).json()
  return {
    ...addresses,
    createAccount: (options) => createAccount(addresses.pdsUrl, options),
    async requests(filter = {}) {
      const all = (await control('GET', '/requests')) as RecordedRequest[]
      return all.filter(typeof filter === 'function' ? filter : matching(filter))
    },
    async clearRequests(origin) {
      await control('DELETE', `/requests${origin === undefined ? '' : `?${new URLSearchParams({ origin })}`}`)
    },
    async leadName(name, destination) {
      await control('POST', `/names/${name}`, destination)
    },
    async leadText(name, text) {
      await control('POST', `/texts/${name}`, { text })
      return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(findingText(name, text))}` }
    },
    expireSets: async () => void (await control('POST', '/sets/expire')),
    publish: async (host, folder) =>
      (await control('POST', `/site?${new URLSearchParams({ host, folder })}`)) as Record<string, string>,
    async startPds(options = {}) {
      const { id, url } = (await control('POST', '/pds', options)) as { id: string; url: string }
      return {
        id,
        url,
        createAccount: (options) => createAccount(url, options),
        stop: async () => void (await control('DELETE', `/pds/${id}`)),
      }
    },
  }
}

function findingText(wanted: string, text: string): string {
  return `import { Resolver } from 'node:dns/promises'
    Resolver.prototype.resolveTxt = async (name) => {
      if (name === ${JSON.stringify(wanted)}) return [[${JSON.stringify(text)}]]
      throw Object.assign(new Error(name), { code: 'ENOTFOUND' })
    }`
}

/** The PDS takes no first label over 18 characters, and none it has reserved. */
export function uniqueHandle(name = 'alice'): string {
  return `${name}-${randomBytes(4).toString('hex')}.test`
}

async function createAccount(pdsUrl: string, options: AccountOptions = {}): Promise<Account> {
  const { handle = uniqueHandle(), password = randomBytes(12).toString('base64url') } = options
  const response = await fetch(`${pdsUrl}/xrpc/com.atproto.server.createAccount`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ handle, password, email: `${randomBytes(8).toString('hex')}@mail.test` }),
  })
  const { did } = (await (await ok(response)).json()) as { did: string }
  return { did, handle, password }
}

function matching(filter: Partial<RecordedRequest>): (request: RecordedRequest) => boolean {
  const wanted = Object.entries(filter) as [keyof RecordedRequest, string | undefined][]
  return (request) => wanted.every(([name, value]) => request[name] === value)
}

async function ok(response: Response): Promise<Response> {
  if (response.ok) return response
  throw new Error(`${response.url} answered ${response.status}: ${await response.text()}`)
}
