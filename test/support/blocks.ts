/** What a reader of README.md and docs/ copies: the fenced blocks. */
import { type Page, readPages } from '../../scripts/docs/pages.ts'

export interface Block {
  /** The page's path, and the heading above. */
  readonly page: string
  readonly heading: string
  readonly language: string
  readonly text: string
}

export function blocksOf({ path, text }: Page): Block[] {
  let heading = ''
  const found: Block[] = []
  for (const [, title, language, lines] of text.matchAll(/^#+ (.*)$|^```(.*)\n([\s\S]*?)^```$/gm)) {
    if (title !== undefined) heading = title
    else found.push({ page: path, heading, language: language!, text: lines! })
  }
  return found
}

/** All that is there to be run: the boxes of `text` are help, of which the pages' own test takes care. */
export async function blocksToRun(): Promise<Block[]> {
  return (await readPages()).flatMap(blocksOf).filter(({ language }) => language !== 'text')
}

/** What is pasted into a shell; `npx` would ask a registry. */
export function pasted(script: string): string {
  return `set -eo pipefail\nnpx() { [ "$1" = atproto-oauth ] && "$@"; }\n${script}`
}
