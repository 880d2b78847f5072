/**
 * The folder of a client that gets published, and the templates for what is in it. Everybody may read it: no secret
 * goes there.
 */
import { fstatSync } from 'node:fs'
import { chmod, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { listFolder, makePublicFolder, type Reservation, readPrivate, reserve, unavailable } from './store/files.ts'

const PUBLIC_FILE = 0o644

/** One of the files of oauth-templates/, which the package comes with. */
export function readTemplate(name: string): Promise<string> {
  return readFile(new URL(`../../oauth-templates/${name}`, import.meta.url), 'utf8')
}

/** `undefined` if there is none. */
export function readPublic(path: string): Promise<string | undefined> {
  return readPrivate(path)
}

export async function writePublic(path: string, text: string): Promise<void> {
  await using reserved = await reservePublic(path, text)
  await reserved.fill(text)
}

/** Takes the room for `text`, and makes the folder, so that little can go wrong when it is written. */
export async function reservePublic(path: string, text: string): Promise<Reservation> {
  await makePublicFolder(dirname(path))
  const reserved = await reserve(path, Buffer.byteLength(text), PUBLIC_FILE)
  return {
    ...reserved,
    async fill(content) {
      await reserved.fill(content)
      // Whatever the umask says: a web server of another user has to read it.
      await chmod(path, PUBLIC_FILE).catch((error: unknown) => {
        throw unavailable(error, 'open to others', path)
      })
    },
  }
}

/** Whether the file that a descriptor writes to lies in the folder. */
export async function isWithin(folder: string, descriptor: number): Promise<boolean> {
  const stats = fstatSync(descriptor)
  if (!stats.isFile()) return false
  for (const name of await listFolder(folder)) {
    const there = await stat(join(folder, name)).catch(() => undefined)
    if (there?.dev === stats.dev && there.ino === stats.ino) return true
  }
  return false
}
