/** Vaults in real git repositories, with sessions of the real PDS. */
import { randomBytes } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { complete } from '../../src/login/complete.ts'
import type { SessionRecord } from '../../src/model.ts'
import { connectEngine } from '../../src/node/vault/connect.ts'
import { VAULT_RECORD, type VaultEngine } from '../../src/node/vault/engine.ts'
import { createUserKey, createVault, parseUserKey, type VaultKeys } from '../../src/node/vault/envelope.ts'
import { type Sealed, seal, unseal, type VaultRecord } from '../../src/node/vault/record.ts'
import { toSessionRecord } from '../../src/session/token-family.ts'
import { GitRepository, type GitServer, WRITER } from '../support/git-server.ts'
import type { Account, World } from '../world/world.ts'
import { callbackFor, library, newHome } from './support.ts'

export interface TestVault {
  /** What a machine needs to use it. */
  readonly env: {
    readonly ATPROTO_OAUTH_VAULT: string
    readonly ATPROTO_OAUTH_VAULT_KEY: string
    readonly ATPROTO_OAUTH_VAULT_TOKEN?: string
  }
  readonly repository: GitRepository
  readonly engine: VaultEngine
  readonly keys: VaultKeys
}

const random = { randomBytes: (length: number) => new Uint8Array(randomBytes(length)) }

/** An empty vault in a repository of its own, in a folder, or by this name on a server. */
export async function newVault(server?: GitServer, name?: string): Promise<TestVault> {
  const { path } = await newHome()
  const repository = server ? server.repository(name) : new GitRepository(join(path, 'vault.git'))
  const address = server ? server.url(name) : repository.folder
  const token = server && { ATPROTO_OAUTH_VAULT_TOKEN: WRITER.password }
  const engine = await connectEngine(`git:${address}`, {
    environment: { ...process.env, ...token },
    cache: join(path, 'cache'),
  })
  const key = createUserKey(random)
  const { keys, text } = await createVault(engine.address, parseUserKey(key), random)
  if ((await engine.swap(VAULT_RECORD, undefined, text)) !== 'won') throw new Error('the vault was not made')
  const env = { ATPROTO_OAUTH_VAULT: engine.address, ATPROTO_OAUTH_VAULT_KEY: key, ...token }
  return { env, repository, engine, keys }
}

/** A new login of a new account: without the cost of a process. */
export async function newSession(world: World): Promise<{ account: Account; session: SessionRecord }> {
  const [account, home] = [await world.createAccount(), await newHome()]
  const { credentials, handle } = await complete(await callbackFor(account, home), library(world, home))
  return { account, session: { ...(await toSessionRecord(credentials)), handle, rotation: 0 } }
}

export async function put(session: SessionRecord, vault: Pick<TestVault, 'engine' | 'keys'>): Promise<void> {
  const { name, text } = await seal({ version: 1, kind: 'session', session, logins: 1 }, vault.keys)
  if ((await vault.engine.swap(name, undefined, text)) !== 'won') throw new Error('the session was not stored')
}

/** A new login of a new account, kept in the vault. */
export async function vaultSession(world: World, vault: TestVault): Promise<Account> {
  const { account, session } = await newSession(world)
  await put(session, vault)
  return account
}

/** Its records of sessions. */
export async function records({ engine, keys }: Pick<TestVault, 'engine' | 'keys'>): Promise<Sealed[]> {
  const texts = [...(await engine.list())].filter(([name]) => name !== VAULT_RECORD)
  return Promise.all(texts.map(async ([name, text]) => (await unseal(name, text, keys))!))
}

/** Of the only account in it. */
export async function record(vault: Pick<TestVault, 'engine' | 'keys'>): Promise<VaultRecord> {
  const [one] = await records(vault)
  if (one === undefined) throw new Error('the vault has no session')
  return one.record
}

/** Of the only account in it. */
export async function stored(vault: Pick<TestVault, 'engine' | 'keys'>): Promise<SessionRecord> {
  return (await record(vault)).session
}

/** As if an hour had passed, for whoever reads the vault. */
export async function expire(vault: Pick<TestVault, 'engine' | 'keys'>): Promise<void> {
  for (const { name, text, record: before } of await records(vault)) {
    const session = { ...before.session, accessTokenExpiresAt: Date.now() - 1000 }
    const next = await seal({ ...before, session }, vault.keys)
    if ((await vault.engine.swap(name, text, next.text)) !== 'won') throw new Error('the vault has changed')
  }
}

/** Everything that is secret in a session, and the key of its vault. */
export function secretsOf({ refreshToken, accessToken, dpopPrivateJwk }: SessionRecord, vault?: TestVault): string[] {
  const key = vault?.env.ATPROTO_OAUTH_VAULT_KEY
  return [refreshToken, accessToken, dpopPrivateJwk.d, key].filter((each) => each !== undefined)
}

/** Which files of a folder have one of these secrets in them, in any encoding. */
export async function filesWith(secrets: readonly string[], folder: string): Promise<string[]> {
  const forms = secrets.flatMap(encodings)
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const found: string[] = []
  for (const path of paths) {
    const content = (await readFile(path)).toString('latin1')
    if (forms.some((form) => content.includes(form))) found.push(path.slice(folder.length + 1))
  }
  return found
}

/** Also as part of a longer text that was encoded: at each of its three places in base64. */
function encodings(secret: string): string[] {
  const plain = [Buffer.from(secret)]
  if (/^[\w-]{43}$/.test(secret)) plain.push(Buffer.from(secret, 'base64url'))
  return plain.flatMap((bytes) => [
    bytes.toString('latin1'),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    ...[0, 1, 2].flatMap((shift) => {
      const shifted = Buffer.concat([Buffer.alloc(shift), bytes])
      // The first and the last characters depend on what is beside them.
      const cut = (text: string) => text.slice(4, text.length - 4)
      return [cut(shifted.toString('base64').replaceAll('=', '')), cut(shifted.toString('base64url'))]
    }),
  ])
}

/** The files of a folder by their names, byte for byte. */
export async function contents(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return Object.fromEntries(await Promise.all(paths.map(async (path) => [path, await readFile(path, 'latin1')])))
}
