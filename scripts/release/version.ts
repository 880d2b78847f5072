/** `npm version`, between the new package.json and the commit: everything that says the version says the new one. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { withHelp } from '../build/help.ts'
import { readPages } from '../docs/pages.ts'
import { nextChangelog, pinned } from './changelog.ts'

const TEMPLATES = new URL('../../oauth-templates/', import.meta.url)
const CHANGELOG = new URL('../../CHANGELOG.md', import.meta.url)
const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}
const today = new Date().toISOString().slice(0, 10)

for (const entry of await readdir(TEMPLATES, { withFileTypes: true })) {
  const template = new URL(entry.name, TEMPLATES)
  if (entry.isFile()) await writeFile(template, pinned(await readFile(template, 'utf8'), version))
}
await writeFile(CHANGELOG, nextChangelog(await readFile(CHANGELOG, 'utf8'), version, today))
for (const { url, text } of await readPages()) await writeFile(url, pinned(await withHelp(text), version))
