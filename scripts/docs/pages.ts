/**
 * The pages for users: README.md and docs/, without the map for contributors.
 */
import { readdir, readFile } from 'node:fs/promises'

const ROOT = new URL('../..', import.meta.url)

export interface Page {
  /** From the project's folder. */
  readonly path: string
  readonly url: URL
  readonly text: string
}

export async function readPages(): Promise<Page[]> {
  const docs = (await readdir(new URL('docs/', ROOT)))
    .filter((name) => name.endsWith('.md') && name !== 'architecture.md')
    .sort()
  return Promise.all(
    ['README.md', ...docs.map((name) => `docs/${name}`)].map(async (path) => {
      const url = new URL(path, ROOT)
      return { path, url, text: await readFile(url, 'utf8') }
    }),
  )
}
