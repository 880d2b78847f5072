/** Lexicons of an account, under a namespace that leads to it. */
import { randomBytes } from 'node:crypto'
import type { World } from './world.ts'

export interface PublishedLexicons {
  /** Nobody else has it, unless it was given. */
  readonly namespace: string
  /** What leads the CLI to them. */
  readonly env: Readonly<Record<string, string>>
  /** Publishes another definition under the same name, and lets the PDS forget the one that it has read. */
  change(name: string, main: object): Promise<void>
  /** Deactivates the account. */
  deactivate(): Promise<void>
}

/**
 * Publishes the `main` definition of each name, as the namespace makes it.
 *
 * @param spoil what is wrong with the record of a name besides its definition
 */
export async function publishLexicons(
  world: World,
  definitions: (namespace: string) => Readonly<Record<string, object>>,
  spoil: Readonly<Record<string, object>> = {},
  namespace = `dev.fake.lex-${randomBytes(4).toString('hex')}`,
): Promise<PublishedLexicons> {
  const { did, handle: identifier, password } = await world.createAccount()
  const send = async (method: string, body: object, token?: string) => {
    const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
    const url = `${world.pdsUrl}/xrpc/com.atproto.${method}`
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
    if (!response.ok) throw new Error(`${method} returned ${response.status}: ${await response.text()}`)
    const text = await response.text()
    return JSON.parse(text || '{}') as { accessJwt: string }
  }
  const { accessJwt } = await send('server.createSession', { identifier, password })
  const put = async (name: string, main: object) => {
    const id = `${namespace}.${name}`
    const collection = 'com.atproto.lexicon.schema'
    const record = { $type: collection, lexicon: 1, id, defs: { main }, ...spoil[name] }
    await send('repo.putRecord', { repo: did, collection, rkey: id, record, validate: false }, accessJwt)
  }
  for (const [name, main] of Object.entries(definitions(namespace))) await put(name, main)
  const change = async (name: string, main: object) => {
    await put(name, main)
    await world.expireSets()
  }
  const deactivate = async () => void (await send('server.deactivateAccount', {}, accessJwt))
  const domain = namespace.split('.').reverse().join('.')
  return { namespace, env: await world.leadText(`_lexicon.${domain}`, `did=${did}`), change, deactivate }
}
