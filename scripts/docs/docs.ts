/** `npm run docs`: the help and the table of programs in README.md and docs/ made anew. test/pages.test.ts knows when they are old. */
import { writeFile } from 'node:fs/promises'
import { withHelp } from '../build/help.ts'
import { readPages } from './pages.ts'
import { withPrograms } from './programs.ts'

for (const { url, text } of await readPages()) await writeFile(url, withPrograms(await withHelp(text)))
