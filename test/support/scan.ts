/** Looks for secrets in all files of folders, in every encoding that a program might write them in. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A secret of which any trace is a leak: as text, and as bytes where it is an encoding of some. */
export function formsOf(secret: string): ReadonlyMap<string, Buffer> {
  const forms = new Map<string, Buffer>()
  const isBytes = /^[\w-]{43}$/.test(secret)
  const values = { text: Buffer.from(secret), ...(isBytes && { bytes: Buffer.from(secret, 'base64url') }) }
  for (const [kind, bytes] of Object.entries(values)) {
    forms.set(`${kind}, plain`, bytes)
    forms.set(`${kind}, hex`, Buffer.from(bytes.toString('hex')))
    forms.set(`${kind}, upper case hex`, Buffer.from(bytes.toString('hex').toUpperCase()))
    for (const encoding of ['base64', 'base64url'] as const) {
      // What is before it may move it by one or two bytes; the characters at both ends then have bits of something else.
      for (const offset of [0, 1, 2]) {
        const text = Buffer.concat([Buffer.alloc(offset), bytes])
          .toString(encoding)
          .replaceAll('=', '')
        forms.set(`${kind}, ${encoding} at ${offset}`, Buffer.from(text.slice(offset === 0 ? 0 : offset + 1, -1)))
      }
    }
  }
  const utf16 = Buffer.from(secret, 'utf16le')
  forms.set('text, UTF-16LE', utf16)
  forms.set('text, UTF-16BE', Buffer.from(utf16).swap16())
  return forms
}

/** @returns a line for each secret that is found: in which form, and in which file */
export async function findSecrets(folders: readonly string[], secrets: readonly string[]): Promise<string[]> {
  const forms = [...new Set(secrets)].flatMap((secret, index) =>
    [...formsOf(secret)].map(([form, bytes]) => ({ name: `secret ${index} as ${form}`, bytes })),
  )
  const found: string[] = []
  for (const path of await filesIn(folders)) {
    const content = await readFile(path)
    for (const { name, bytes } of forms) if (content.includes(bytes)) found.push(`${name} in ${path}`)
  }
  return found
}

/** A refresh token of the reference PDS, and enough of it that encrypted text is never taken for one. */
const TOKEN = {
  plain: /ref-[0-9a-f]{16}/,
  hex: /7265662d(?:3\d|6[1-6]){16}/i,
  'UTF-16': /r\0e\0f\0-\0(?:[0-9a-f]\0){15}/, // of either byte order
}

/** @returns a line for each file with a refresh token of the reference PDS, whichever it is */
export async function findRefreshTokens(folders: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const path of await filesIn(folders)) {
    const content = await readFile(path, 'latin1')
    for (const [form, token] of Object.entries(TOKEN)) if (token.test(content)) found.push(`${form} in ${path}`)
  }
  return found
}

async function filesIn(folders: readonly string[]): Promise<string[]> {
  const entries = await Promise.all(folders.map((folder) => readdir(folder, { recursive: true, withFileTypes: true })))
  return entries.flat().flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : []))
}
