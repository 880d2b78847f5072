/**
 * The content of the store's files, plain or encrypted. A file itself says which, so that files of both kinds can be
 * read while the encryption is being changed; which kind is written is in `store-encryption.json`.
 *
 * What is loaded only for an encrypted store is in encryption.ts.
 */
import { hash } from 'node:crypto'
import { dirname, join, resolve } from 'node:path'
import type { StoreKeys, Unlock } from './encryption.ts'
import { listFolder, readPrivate } from './files.ts'
import { clientKeysFolder, encryptionPath, loginsFolder, sessionsFolder, vaultsPath } from './parts.ts'

/** Encrypts, or not, what is written to one file. */
export interface FileSealer {
  /** @param name of the record: a file that is copied over another one cannot be read */
  seal(text: string, name: string): Promise<string>
  readonly isEncrypted: boolean
  /** Whether files are still written in this way. */
  isCurrent(): Promise<boolean>
}

export interface StoreCipher extends StoreKeys {
  /**
   * How files are written now.
   *
   * @param options.isBegun something was sent, or is written already: it must not fail for what else is in the store
   * @throws {OAuthError} `STORE_LOCKED` the key cannot be had; `STORE_INVALID`, also if `store-encryption.json` was lost
   *   or is not as the user has set it: what is written then could be plain text in a store that is to be encrypted
   */
  sealer(options?: { readonly isBegun?: boolean }): Promise<FileSealer>
  /** Needs no key. @throws {OAuthError} `STORE_INVALID` the store is not encrypted as its user has set it */
  assertAsSet(): Promise<void>
  /** The text of a file that was read. @throws {OAuthError} as `sealer` */
  open(content: string, name: string, path: string): Promise<string>
  /** The text of a file, `undefined` if there is none. @throws {OAuthError} as `sealer`, and those of `readPrivate` */
  read(path: string, name: string): Promise<string | undefined>
}

/** JWE compact with `dir`, whose second part is empty. */
const SEALED = /^eyJ[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+\s*$/
/** The encryption of a file that was read may be removed at that moment. */
const ATTEMPTS = 3
/** Files of a folder. What remains of a completed login is never encrypted. */
const SAMPLED = 4

export function isSealed(content: string): boolean {
  return SEALED.test(content)
}

/** For a file that is never encrypted, such as one that is carried to another machine. */
export const PLAIN: Pick<StoreCipher, 'sealer' | 'open' | 'read'> = {
  sealer: async () => ({ seal: async (text) => text, isEncrypted: false, isCurrent: async () => true }),
  open: async (content) => content,
  read: (path) => readPrivate(path),
}

const ciphers = new Map<string, StoreCipher>()

/**
 * That of a store. There is one in a process, so that nobody is asked twice.
 *
 * @param unlock replaces what was given before
 */
export function storeCipher(home: string, unlock?: Unlock): StoreCipher {
  const key = resolve(home)
  const cipher = ciphers.get(key) ?? createCipher(key)
  ciphers.set(key, cipher)
  if (unlock !== undefined) cipher.unlock = unlock
  return cipher
}

/**
 * One that is encrypted. Without `store-encryption.json` there is none, and where it was lost all are, so that a few tell.
 * Only a login can be left of a process that was killed while another one decrypted the store: it counts alone.
 */
export async function sealedFile(home: string): Promise<string | undefined> {
  for await (const { path, content } of sample(home, [
    sessionsFolder(home),
    clientKeysFolder(home),
    loginsFolder(home),
  ])) {
    if (isSealed(content)) return path
    if (dirname(path) !== loginsFolder(home)) return undefined
  }
  return undefined
}

interface SampledFile {
  readonly path: string
  readonly content: string
}

/** Some of those that are encrypted, without logins: see {@link sealedFile}. */
async function sealedFiles(home: string): Promise<SampledFile[]> {
  const sealed: SampledFile[] = []
  for await (const file of sample(home, [sessionsFolder(home), clientKeysFolder(home)])) {
    if (isSealed(file.content)) sealed.push(file)
  }
  return sealed
}

async function* sample(home: string, folders: readonly string[]): AsyncGenerator<SampledFile> {
  const listed = folders.map(async (folder) => {
    const names = await listFolder(folder).catch(() => [])
    const paths = names.filter((name) => name.endsWith('.json')).map((name) => join(folder, name))
    return paths.slice(0, SAMPLED)
  })
  for (const path of [vaultsPath(home), ...(await Promise.all(listed)).flat()]) {
    const content = await readPrivate(path).catch(() => undefined)
    if (content !== undefined) yield { path, content }
  }
}

/** Forgets the keys, as a process that ends does. */
export function forgetKeys(home: string): void {
  ciphers.delete(resolve(home))
}

function createCipher(home: string): StoreCipher {
  const headerText = () => readPrivate(encryptionPath(home))
  /** @param text read before the setting: to write plain text, the setting is changed first */
  const checkSetting = async (text: string | undefined) => {
    const set = cipher.unlock.setting?.()
    if (set === undefined || set.mode === 'off') return
    const { assertAsSet } = await import('./encryption.ts')
    assertAsSet(home, text, set)
  }
  const cipher: StoreCipher = {
    keys: new Map(),
    unlock: {},
    async sealer({ isBegun = false } = {}) {
      const text = await headerText()
      const isCurrent = async () => (await headerText()) === text
      try {
        if (!isBegun) await checkSetting(text)
      } catch (error) {
        if (await isCurrent()) throw error
        return cipher.sealer()
      }
      if (text === undefined) {
        const sealed = isBegun ? undefined : await sealedFile(home)
        if (sealed === undefined) return { seal: async (plain) => plain, isEncrypted: false, isCurrent }
        // Another process may be encrypting the store at this moment.
        if (!(await isCurrent())) return cipher.sealer()
        const { headerMissing } = await import('./encryption.ts')
        throw headerMissing(home, sealed)
      }
      const { sealWith } = await import('./encryption.ts')
      const sampled = isBegun ? [] : await sealedFiles(home)
      return { ...(await sealWith(home, { text, sampled }, cipher)), isCurrent }
    },
    async assertAsSet() {
      const text = await headerText()
      await checkSetting(text).catch(async (error: unknown) => {
        if ((await headerText()) === text) throw error
      })
    },
    async open(content, name, path) {
      if (!isSealed(content)) return content
      const { openWith } = await import('./encryption.ts')
      return openWith(home, { content, name, path, header: await headerText() }, cipher)
    },
    async read(path, name) {
      for (let attempt = 1; ; attempt += 1) {
        const content = await readPrivate(path)
        if (content === undefined) return undefined
        try {
          return await cipher.open(content, name, path)
        } catch (error) {
          if (attempt >= ATTEMPTS || (await readPrivate(path)) === content) throw error
        }
      }
    },
  }
  return cipher
}

/** The name of the record of a session, wherever it is written. */
export function sessionName(thumbprint: string): string {
  return `sessions/${thumbprint}`
}

/** The state comes from a browser and must not be used as a file name. */
export function loginId(state: string): string {
  return hash('sha256', state, 'hex')
}

export function loginName(id: string): string {
  return `pending/${id}`
}

export function clientKeyName(id: string): string {
  return `client-keys/${id}`
}

export const VAULTS_NAME = 'vault'
