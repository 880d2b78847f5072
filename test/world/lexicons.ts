/** Lexicons of an account, under a namespace that leads to it. */
import { randomBytes } from 'node:crypto'
import type { World } from './world.ts'

export interface PublishedLexicons {
  /** Nobody else has it. */
  readonly namespace: string
  /** What leads the CLI to them. */
  readonly env: Readonly<Record<string, string>>
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
): Promise<PublishedLexicons> {
  const { did, handle: identifier, password } = await world.createAccount()
  const label = `lex-${randomBytes(4).toString('hex')}`
  const namespace = `dev.fake.${label}`
  const send = async (method: string, body: object, token?: string) => {
    const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
    const url = `${world.pdsUrl}/xrpc/com.atproto.${method}`
    const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
    if (!response.ok) throw new Error(`${method} returned ${response.status}: ${await response.text()}`)
    return (await response.json()) as { accessJwt: string }
  }
  const { accessJwt } = await send('server.createSession', { identifier, password })
  for (const [name, main] of Object.entries(definitions(namespace))) {
    const id = `${namespace}.${name}`
    const collection = 'com.atproto.lexicon.schema'
    const record = { $type: collection, lexicon: 1, id, defs: { main }, ...spoil[name] }
    await send('repo.createRecord', { repo: did, collection, rkey: id, record, validate: false }, accessJwt)
  }
  return { namespace, env: await world.leadText(`_lexicon.${label}.fake.dev`, `did=${did}`) }
}
