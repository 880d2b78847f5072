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
  for (const folder of folders) {
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue
      const path = join(entry.parentPath, entry.name)
      const content = await readFile(path)
      for (const { name, bytes } of forms) if (content.includes(bytes)) found.push(`${name} in ${path}`)
    }
  }
  return found
}
