/** `npm run docs`: the help in README.md and docs/ made anew. test/pages.test.ts knows when it is old. */
import { writeFile } from 'node:fs/promises'
import { withHelp } from '../build/help.ts'
import { readPages } from './pages.ts'

for (const { url, text } of await readPages()) await writeFile(url, await withHelp(text))
