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

/** Tokens of the reference PDS, and enough of them that encrypted text is never taken for one. */
const REFRESH_TOKEN = /ref-[0-9a-f]{16}/
/** A JWT with claims, which encrypted text has not. */
const ACCESS_TOKEN = /eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8}/

/** @returns a line for each file with a refresh token of the reference PDS, whichever it is */
export function findRefreshTokens(folders: readonly string[]): Promise<string[]> {
  return findText(folders, REFRESH_TOKEN)
}

/** @returns a line for each file with an access token or a refresh token of the reference PDS, whichever it is */
export async function findTokens(folders: readonly string[]): Promise<string[]> {
  return [...(await findText(folders, REFRESH_TOKEN)), ...(await findText(folders, ACCESS_TOKEN))]
}

async function findText(folders: readonly string[], pattern: RegExp): Promise<string[]> {
  const found: string[] = []
  for (const path of await filesIn(folders)) {
    const content = await readFile(path, 'latin1')
    const forms = new Set([...readings(content)].filter(([, text]) => pattern.test(text)).map(([form]) => form))
    for (const form of forms) found.push(`${form} in ${path}`)
  }
  return found
}

/** What a file may mean, part by part, where it is an encoding of something. */
function* readings(content: string): Generator<[form: string, text: string]> {
  yield ['plain', content]
  if (content.includes('\0')) yield ['UTF-16', content.replaceAll('\0', '')]
  for (const [run] of content.matchAll(/(?:[0-9a-f]{2}){20,}/gi)) {
    for (const at of [0, 1]) yield ['hex', Buffer.from(run.slice(at), 'hex').toString('latin1')]
  }
  for (const [run] of content.matchAll(/[\w+/-]{28,}/g)) {
    for (const at of [0, 1, 2, 3]) yield ['base64', Buffer.from(run.slice(at), 'base64').toString('latin1')]
  }
}

export async function filesIn(folders: readonly string[]): Promise<string[]> {
  const entries = await Promise.all(folders.map((folder) => readdir(folder, { recursive: true, withFileTypes: true })))
  return entries.flat().flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : []))
}
