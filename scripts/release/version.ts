/** `npm version`, between the new package.json and the commit: everything that says the version says the new one. */
import { readFile, writeFile } from 'node:fs/promises'
import { withHelp } from '../build/help.ts'
import { readPages } from '../docs/pages.ts'
import { nextChangelog, pinned } from './changelog.ts'

const WORKFLOW = new URL('../../oauth-templates/github-actions.yml', import.meta.url)
const CHANGELOG = new URL('../../CHANGELOG.md', import.meta.url)
const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}
const today = new Date().toISOString().slice(0, 10)

await writeFile(WORKFLOW, pinned(await readFile(WORKFLOW, 'utf8'), version))
await writeFile(CHANGELOG, nextChangelog(await readFile(CHANGELOG, 'utf8'), version, today))
for (const { url, text } of await readPages()) await writeFile(url, pinned(await withHelp(text), version))
