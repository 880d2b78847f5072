/**
 * `call --paginate`: prints each page of a query as it arrives, or its items as JSON lines.
 */
import { type Command, InvalidArgumentError } from 'commander'
import { countItems, itemsOf, pages } from '../../call/paginate.ts'
import { OAuthError } from '../../errors.ts'
import type { XrpcRequest } from '../../protocol/xrpc/request.ts'
import type { Session } from '../../session/session.ts'
import type { Context } from '../context.ts'
import { shellQuote } from '../shell.ts'

export interface PaginateOptions {
  readonly paginate?: boolean
  /** `true` for the only list in the response. */
  readonly items?: string | true
  readonly limitPages?: number
  readonly wait?: boolean
}

export function addPaginateOptions(command: Command): Command {
  return command
    .option('--paginate', 'Follow the cursor of a query and print each page as received')
    .option('--items [list]', 'With --paginate, print each item as one line of JSON', parseList)
    .option('--limit-pages <n>', 'With --paginate, maximum number of pages', parseLimit)
}

/** @throws {OAuthError} `USAGE` an option that is for pages, without them */
export function isPaginated({ paginate = false, items, limitPages }: PaginateOptions): boolean {
  const stray = items !== undefined ? '--items' : limitPages !== undefined ? '--limit-pages' : undefined
  if (paginate || stray === undefined) return paginate
  throw new OAuthError('USAGE', `${stray} needs --paginate`)
}

function parseList(text: string): string {
  if (/^[A-Za-z]\w*$/.test(text)) return text
  throw new InvalidArgumentError('It is the name of a list, as --items=feed; without a name, write --items last.')
}

function parseLimit(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It is a number of pages.')
}

/**
 * @param write where the pages go
 * @throws {OAuthError} as `pages` and `itemsOf`; what was written before stays
 */
export async function runPaginated(
  request: XrpcRequest,
  session: Session,
  options: PaginateOptions,
  context: Context,
  write: (text: string) => Promise<void> = context.output.data,
): Promise<void> {
  const { output, runtime } = context
  const { items, limitPages, wait = false } = options
  const progress = createProgress(context)
  const following = { limitPages, retry: { wait }, onRefusal: output.serverBody }
  let [pageCount, itemCount] = [0, 0]
  let next: string | undefined
  try {
    for await (const page of pages(session, request, following, runtime)) {
      const lines = items === undefined ? [page.text] : itemsOf(page, items === true ? undefined : items)
      progress.clear()
      const text = lines.map((line) => (line.endsWith('\n') ? line : `${line}\n`)).join('')
      if (text !== '') await write(text)
      pageCount += 1
      itemCount += items === undefined ? countItems(page) : lines.length
      next = page.cursor
      progress.show(`page ${pageCount}, ${itemCount} items`)
    }
  } finally {
    progress.end()
  }
  if (next !== undefined && pageCount === limitPages) output.note(`more pages follow: cursor=${shellQuote(next)}`)
}

/** One line on stderr that is written over, if somebody looks at it. */
function createProgress({ io: { stderr }, output, common }: Context) {
  const isShown = stderr.isTTY === true && !common.quiet && !output.json
  let shown = ''
  const clear = () => {
    if (shown !== '') stderr.write(`\r${' '.repeat(shown.length)}\r`)
    shown = ''
  }
  return {
    /** Before stdout, which may be the same terminal. */
    clear,
    show(text: string) {
      if (!isShown) return
      clear()
      stderr.write(text)
      shown = text
    },
    end() {
      if (shown !== '') stderr.write('\n')
      shown = ''
    },
  }
}
