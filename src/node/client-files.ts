/**
 * The folder of a client to publish, and the templates of its files. The folder is world-readable and must not contain
 * secrets.
 */
import { fstatSync } from 'node:fs'
import { chmod, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { listFolder, makePublicFolder, type Reservation, readPrivate, reserve } from './store/files.ts'
import { unavailable } from './store/obstacles.ts'

const PUBLIC_FILE = 0o644

/** Reads a file of oauth-templates/, which is part of the package. */
export function readTemplate(name: string): Promise<string> {
  return readFile(new URL(`../../oauth-templates/${name}`, import.meta.url), 'utf8')
}

/** The content, or `undefined` if there is no such file. */
export function readPublic(path: string): Promise<string | undefined> {
  return readPrivate(path)
}

export async function writePublic(path: string, text: string): Promise<void> {
  await using reserved = await reservePublic(path, text)
  await reserved.fill(text)
}

/** Reserves disk space for `text` and creates the folder, so that the later write is unlikely to fail. */
export async function reservePublic(path: string, text: string): Promise<Reservation> {
  await makePublicFolder(dirname(path))
  const reserved = await reserve(path, Buffer.byteLength(text), PUBLIC_FILE)
  return {
    ...reserved,
    async fill(content) {
      await reserved.fill(content)
      // Independent of the umask: a web server that runs as another user has to read the file.
      await chmod(path, PUBLIC_FILE).catch((error: unknown) => {
        throw unavailable(error, 'open to others', path)
      })
    },
  }
}

/** Whether the file behind an open descriptor is in the folder. */
export async function isWithin(folder: string, descriptor: number): Promise<boolean> {
  const stats = fstatSync(descriptor)
  if (!stats.isFile()) return false
  for (const name of await listFolder(folder)) {
    const there = await stat(join(folder, name)).catch(() => undefined)
    if (there?.dev === stats.dev && there.ino === stats.ino) return true
  }
  return false
}
