import type { Hex } from 'viem'
import { returned } from './call.ts'
import type { Rpc, RpcAnswer, RpcCall, RpcError } from './rpc.ts'
import { sendApart } from './send-apart.ts'

/** Ids from `start` up to, and without, `end`. */
export type Page = { start: number; end: number }

export type PageOptions<Item> = {
  rpc: Rpc
  ids: readonly number[]
  /** Ids of a page, at most. */
  size: number
  /** Pages in one request, at most: an answer may be as long as a node's gas allows. */
  pagesAtOnce: number
  toCall(page: Page): RpcCall
  /** Whether an item can be what the chain has under this id. */
  isLikely(item: Item, id: number): boolean
  /** What a page returned, one item for each of its ids; null: it is something else. */
  decode(data: Hex): readonly Item[] | null
}

/**
 * `failed`: ids whose page fails even alone. `unasked`: those that there was no time for, to ask for them alone. `halved`: whether a page failed
 * that did not fail in parts.
 */
export type PagesRead<Item> = {
  items: Map<number, Item>
  failed: number[]
  unasked: number[]
  halved: boolean
}

/** An id between two that are wanted costs less than a page more, as long as it is one of a few. */
const maxGap = 4
const requestsAtOnce = 2
/** Of a page that takes a node more time than it has: each look at a part of it may take as long again. */
const silentParts = 8

/**
 * Reads ids in pages. One that fails (it may take more gas than a node gives, or more time) is read again in parts, until it is one id.
 * @throws RpcUnavailable
 */
export async function readPages<Item>(options: PageOptions<Item>): Promise<PagesRead<Item>> {
  const wanted = new Set(options.ids)
  const items = new Map<number, Item>()
  const failed: number[] = []
  const unasked: number[] = []
  let halved = false
  for (let pages = toPages(options.ids, options.size); pages.length > 0; ) {
    const read = await sendPages(pages, options)
    for (const [id, item] of read.flatMap(({ page, items }) => numbered(page, items ?? [])))
      if (wanted.has(id)) items.set(id, item)
    const refused = read.filter(({ items }) => items === null)
    for (const { page, unanswered } of refused.filter(({ page }) => isOne(page)))
      (unanswered === 'unasked' ? unasked : failed).push(page.start)
    pages = refused
      .filter(({ page }) => !isOne(page))
      .flatMap(({ page, unanswered }) => partsOf(page, { wanted, count: unanswered ? silentParts : 2 }))
    halved ||= pages.length > 0
  }
  return { items, failed, unasked, halved: halved && failed.length + unasked.length === 0 }
}

function isOne({ start, end }: Page): boolean {
  return end - start === 1
}

function numbered<Item>({ start }: Page, items: readonly Item[]): [number, Item][] {
  return items.map((item, index) => [start + index, item])
}

/** Runs of ids, with small gaps in them. */
export function toPages(ids: readonly number[], size: number): Page[] {
  const pages: Page[] = []
  for (const id of [...new Set(ids)].sort((a, b) => a - b)) {
    const last = pages.at(-1)
    if (last !== undefined && id - last.end <= maxGap && id - last.start < size) last.end = id + 1
    else pages.push({ start: id, end: id + 1 })
  }
  return pages
}

/** Without the ids at an edge that nobody wants. */
function partsOf(page: Page, { wanted, count }: { wanted: ReadonlySet<number>; count: number }): Page[] {
  const ids = idsOf(page)
  const size = Math.ceil(ids.length / count)
  return Array.from({ length: count }, (_, part) =>
    ids.slice(part * size, (part + 1) * size).filter(id => wanted.has(id)),
  ).flatMap(ids => {
    const [first] = ids
    return first === undefined ? [] : [{ start: first, end: (ids.at(-1) ?? first) + 1 }]
  })
}

function idsOf({ start, end }: Page): number[] {
  return Array.from({ length: end - start }, (_, index) => start + index)
}

/** `items` null: it failed; `unanswered`: since no endpoint answered it. */
type PageRead<Item> = { page: Page; items: readonly Item[] | null; unanswered: RpcError['unanswered'] }

async function sendPages<Item>(
  pages: readonly Page[],
  options: PageOptions<Item>,
): Promise<PageRead<Item>[]> {
  const { rpc, pagesAtOnce } = options
  const answers = await sendApart(
    rpc,
    pages.map(page => pageCall(page, options)),
    // What is silent alone is asked again in parts.
    { sizes: pages.length > 1 ? [pagesAtOnce, 1] : [1], limit: requestsAtOnce },
  )
  return answers.flatMap((answer, index) => {
    const page = pages[index]
    if (page === undefined) return []
    return [{ page, items: itemsOf(answer, { page, options }), unanswered: answer.error?.unanswered }]
  })
}

function pageCall<Item>(page: Page, options: PageOptions<Item>): RpcCall {
  return {
    ...options.toCall(page),
    doubt(result) {
      const items = itemsOf({ result }, { page, options }) ?? []
      const isLikely = numbered(page, items).every(([id, item]) => options.isLikely(item, id))
      // A reader that is there returns something, and be it an error.
      return isLikely && result !== '0x' ? null : 'has nothing at the block'
    },
  }
}

/** null: it failed, or is something else. */
function itemsOf<Item>(
  answer: RpcAnswer,
  { page, options }: { page: Page; options: PageOptions<Item> },
): readonly Item[] | null {
  const data = returned(answer)
  const items = data === null ? null : options.decode(data)
  return items?.length === page.end - page.start ? items : null
}
