/**
 * The branch of a vault as git's objects: reading and checking them, and making the commit of a change.
 */
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { OAuthError } from '../../errors.ts'
import { decodeUtf8 } from '../../text.ts'
import { within } from '../save/program.ts'
import { NAME, RECORD_LONGEST, VAULT_RECORD } from './engine.ts'
import { CacheFault } from './git-errors.ts'
import { GIT_TIMES, type Git, notStarted } from './git-program.ts'

/** One commit, whose contents were checked. */
export interface Tip {
  readonly commit: string
  readonly readme: string
  /** By name, the object of each record. */
  readonly records: ReadonlyMap<string, string>
}

/** Where the cache has the branch of the vault. */
export const TIP = 'refs/vault/tip'
const README = 'README.md'
const RECORDS = 'records'
const MARKER = '<!-- atproto-oauth: vault -->'
const README_TEXT = `${MARKER}
# A vault of atproto-oauth

This branch is written by a program, [atproto-oauth](https://www.npmjs.com/package/atproto-oauth). It keeps the
sign-in sessions of AT Protocol (Bluesky) accounts, so that several machines and CI jobs can share them.

- The files are encrypted. The key is not in this repository.
- Do not edit this branch, do not merge it, and do not open pull requests from it.
- Deleting this branch, or resetting it to an earlier commit, can end the sessions: their owner has to sign in again.
- Each change is one commit. Its author and date are always the same, and mean nothing.
`

/** Bytes. A character of a record has at most three. */
const LONGEST = { record: 3 * RECORD_LONGEST, tree: 1024 * 1024, commit: 64 * 1024, readme: 64 * 1024 } as const
const OBJECT_ID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/

/** @returns the id, which is about to be part of a command: an empty one would delete a branch */
export function objectId(text: string): string {
  if (!OBJECT_ID.test(text)) throw new CacheFault(`git printed no object ID, but ${JSON.stringify(text.slice(0, 80))}`)
  return text
}

/** The id that git gives a text, by the hash that the length of another id shows. */
export function blobId(text: string, like: string): string {
  const bytes = Buffer.from(text)
  return createHash(like.length === 64 ? 'sha256' : 'sha1')
    .update(`blob ${bytes.length}\0`)
    .update(bytes)
    .digest('hex')
}

interface GitObject {
  readonly id: string
  readonly type: string
  readonly content: Buffer
}

/** One git process that returns objects by name; nothing that is too long is read. */
export class ObjectReader implements AsyncDisposable {
  readonly #address: string
  readonly #child: ChildProcess
  readonly #chunks: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)
  #failure: unknown

  /** @param address for errors */
  constructor(git: Git, repository: string, address: string) {
    this.#address = address
    this.#child = git.start(repository, ['cat-file', '--batch'])
    this.#child.on('error', (error) => {
      this.#failure = notStarted(error)
    })
    this.#child.stdin!.on('error', () => undefined)
    this.#child.stderr!.resume()
    this.#chunks = this.#child.stdout![Symbol.asyncIterator]() as AsyncIterator<Buffer>
  }

  /** @returns `undefined` if there is none */
  async get(name: string, type: string, longest: number): Promise<GitObject | undefined> {
    this.#child.stdin!.write(`${name}\n`)
    const header = await this.#line()
    if (/ missing$/.test(header)) return undefined
    const [, id, actual, digits] = /^([0-9a-f]+) ([a-z]+) (\d+)$/.exec(header) ?? []
    if (id === undefined) throw new CacheFault(`git printed ${JSON.stringify(header.slice(0, 80))} for an object`)
    if (actual !== type) throw this.foreign(`found a ${actual} where a ${type} was expected`)
    const size = Number(digits)
    if (size > longest) throw damaged(`an object of the vault has ${size} bytes`)
    const content = await this.#bytes(size + 1)
    return { id: objectId(id), type, content: content.subarray(0, size) }
  }

  /** What was read is not what a vault has there. */
  foreign(why: string): OAuthError {
    const message = `the branch is not a vault: ${why}; nothing was changed`
    return new OAuthError('VAULT_INVALID', message, { facts: { reason: 'vault-foreign', address: this.#address } })
  }

  /** @throws {CacheFault} it is not there, though something refers to it */
  async need(name: string, type: string, longest: number): Promise<GitObject> {
    const found = await this.get(name, type, longest)
    if (!found) throw new CacheFault('an object is missing in the cache')
    return found
  }

  async #line(): Promise<string> {
    for (;;) {
      const end = this.#rest.indexOf('\n')
      if (end >= 0) {
        const line = this.#rest.subarray(0, end).toString()
        this.#rest = this.#rest.subarray(end + 1)
        return line
      }
      await this.#more()
    }
  }

  async #bytes(size: number): Promise<Buffer> {
    while (this.#rest.length < size) await this.#more()
    const bytes = this.#rest.subarray(0, size)
    this.#rest = this.#rest.subarray(size)
    return bytes
  }

  async #more(): Promise<void> {
    const next = await within(GIT_TIMES.local, this.#chunks.next())
    if (this.#failure) throw this.#failure
    if (next === undefined || next.done) throw new CacheFault('git ended before its output was complete')
    this.#rest = Buffer.concat([this.#rest, next.value])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { exitCode, signalCode, pid } = this.#child
    if (pid === undefined) return
    this.#child.stdin!.destroy()
    this.#child.stdout!.destroy()
    if (exitCode === null && signalCode === null) {
      const ended = once(this.#child, 'exit')
      this.#child.kill('SIGKILL') // it changes nothing
      await within(GIT_TIMES.grace, ended)
    }
    this.#child.stderr!.destroy()
  }
}

/**
 * The commit that was fetched, if it is one of a vault.
 *
 * @throws {OAuthError} `VAULT_INVALID` with `vault-foreign` or `vault-damaged`
 */
export async function readTip(reader: ObjectReader): Promise<Tip> {
  const { id: commit } = await reader.need(TIP, 'commit', LONGEST.commit)
  const root = await reader.need(`${commit}^{tree}`, 'tree', LONGEST.tree)
  const records = new Map<string, string>()
  let readme: string | undefined
  for (const { mode, name, id } of entriesOf(root.content, commit.length / 2)) {
    if (name === README && mode === FILE) readme = id
    else if (name === VAULT_RECORD && mode === FILE) records.set(name, id)
    else if (name === RECORDS && mode === FOLDER) {
      const tree = await reader.need(id, 'tree', LONGEST.tree)
      for (const entry of entriesOf(tree.content, commit.length / 2)) {
        if (entry.mode !== FILE || !NAME.test(entry.name) || entry.name === VAULT_RECORD)
          throw reader.foreign(`it contains ${RECORDS}/${entry.name}`)
        records.set(entry.name, entry.id)
      }
    } else throw reader.foreign(`it contains ${name}`)
  }
  if (readme === undefined) throw reader.foreign(`${README} is missing`)
  const { content } = await reader.need(readme, 'blob', LONGEST.readme)
  if (!content.includes(MARKER)) throw reader.foreign(`${README} was not written by this program`)
  return { commit, readme, records }
}

export async function readRecord(reader: ObjectReader, id: string): Promise<string> {
  const { content } = await reader.need(id, 'blob', LONGEST.record)
  const text = decodeUtf8(content, { keepsMark: true })
  if (text === undefined || text.length > RECORD_LONGEST)
    throw damaged('a record of the vault is not text, or is too long')
  return text
}

const FILE = '100644'
const FOLDER = '40000'
const SPACE = 0x20

interface Entry {
  readonly mode: string
  readonly name: string
  readonly id: string
}

/** @see https://git-scm.com/docs/gitformat-pack, "tree" objects: mode, space, name, NUL, id in binary */
function* entriesOf(tree: Buffer, idLength: number): Generator<Entry> {
  for (let at = 0; at < tree.length; ) {
    const space = tree.indexOf(SPACE, at)
    const end = tree.indexOf(0, space)
    if (space < 0 || end < 0 || end + 1 + idLength > tree.length) throw damaged('a tree of the vault is cut short')
    const id = tree.subarray(end + 1, end + 1 + idLength).toString('hex')
    yield {
      mode: tree.subarray(at, space).toString(),
      name: tree.subarray(space + 1, end).toString(),
      id: objectId(id),
    }
    at = end + 1 + idLength
  }
}

/**
 * The commit that has one record changed. The same change of the same commit is the same object, so that a repeat after
 * an unknown outcome pushes what was pushed before.
 *
 * @param tip `undefined`: a commit without a parent
 */
export async function makeCommit(
  git: Git,
  repository: string,
  tip: Tip | undefined,
  name: string,
  after: string | undefined,
): Promise<Tip> {
  const make = async (args: readonly string[], input: string) => {
    const { code, stdout, stderr } = await git.run(repository, args, { input })
    if (code !== 0) throw new CacheFault(stderr)
    return objectId(stdout.toString().trim())
  }
  const blob = (text: string) => make(['hash-object', '-w', '--stdin'], text)
  const tree = (entries: readonly string[]) => make(['mktree'], entries.map((entry) => `${entry}\n`).join(''))
  const records = new Map(tip?.records)
  if (after === undefined) records.delete(name)
  else records.set(name, await blob(after))
  const readme = tip?.readme ?? (await blob(README_TEXT))
  const vault = records.get(VAULT_RECORD)
  const others = [...records].filter(([other]) => other !== VAULT_RECORD)
  const root = await tree([
    `100644 blob ${readme}\t${README}`,
    ...(vault === undefined ? [] : [`100644 blob ${vault}\t${VAULT_RECORD}`]),
    ...(others.length === 0
      ? []
      : [`040000 tree ${await tree(others.map(([other, id]) => `100644 blob ${id}\t${other}`))}\t${RECORDS}`]),
  ])
  const parent = tip === undefined ? [] : ['-p', tip.commit]
  const commit = await make(['commit-tree', root, ...parent], 'Update the vault [skip ci]\n')
  return { commit, readme, records }
}

function damaged(why: string): OAuthError {
  return new OAuthError('VAULT_INVALID', why, { facts: { reason: 'vault-damaged' } })
}
