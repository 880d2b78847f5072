/**
 * `call --paginate`: prints each page of a query as it arrives, or its items as JSON lines.
 */
import { type Command, InvalidArgumentError } from 'commander'
import { countItems, itemsOf, pages } from '../../call/paginate.ts'
import type { XrpcRequest } from '../../protocol/xrpc/request.ts'
import type { Session } from '../../session/session.ts'
import type { Context } from '../context.ts'
import { CliError } from '../errors.ts'
import { shellQuote } from '../shell.ts'
import { counted, RateLimitWait } from './progress-text.ts'

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
  throw new CliError('USAGE', `${stray} needs --paginate`, { hint: 'add --paginate' })
}

function parseList(text: string): string {
  if (/^[A-Za-z]\w*$/.test(text)) return text
  throw new InvalidArgumentError('It is the name of a list, as --items=feed; without a name, write --items last.')
}

function parseLimit(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It must be a whole number of pages, at least 1.')
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
  const { io, output, runtime } = context
  const { items, limitPages, wait = false } = options
  const limited = new RateLimitWait(runtime)
  const retry = { wait, onRateLimit: limited.onRateLimit }
  const following = { limitPages, retry, onRefusal: output.serverBody }
  let [pageCount, itemCount] = [0, 0]
  let next: string | undefined
  const sofar = () => (pageCount === 0 ? [] : [counted(pageCount, 'page'), counted(itemCount, 'item')])
  const describe = () => [...sofar(), limited.text() ?? []].flat().join(', ')
  // Pages that scroll by are progress enough.
  const isOnScreen = write === output.data && io.stdout.isTTY
  await output.progress.during(isOnScreen ? undefined : describe, async () => {
    for await (const page of pages(session, request, following, runtime)) {
      const lines = items === undefined ? [page.text] : itemsOf(page, items === true ? undefined : items)
      const text = lines.map((line) => (line.endsWith('\n') ? line : `${line}\n`)).join('')
      if (text !== '') await write(text)
      pageCount += 1
      itemCount += items === undefined ? countItems(page) : lines.length
      next = page.cursor
    }
  })
  if (next !== undefined && pageCount === limitPages) output.note(`more pages follow: cursor=${shellQuote(next)}`)
}
