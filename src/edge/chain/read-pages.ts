import type { Hex } from 'viem'
import { atOnce } from './at-once.ts'
import { returned } from './call.ts'
import type { Rpc, RpcAnswer, RpcCall } from './rpc.ts'

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

/** `failed`: ids whose page fails even alone. `halved`: whether a page failed that did not fail in parts. */
export type PagesRead<Item> = { items: Map<number, Item>; failed: number[]; halved: boolean }

/** An id between two that are wanted costs less than a page more, as long as it is one of a few. */
const maxGap = 4
const requestsAtOnce = 2

/**
 * Reads ids in pages. One that fails (it may take more gas than a node gives) is read again in halves, until it is one id.
 * @throws RpcUnavailable
 */
export async function readPages<Item>(options: PageOptions<Item>): Promise<PagesRead<Item>> {
  const wanted = new Set(options.ids)
  const items = new Map<number, Item>()
  const failed: number[] = []
  let halved = false
  for (let pages = toPages(options.ids, options.size); pages.length > 0; ) {
    const read = await sendPages(pages, options)
    for (const [id, item] of read.flatMap(({ page, items }) => numbered(page, items ?? [])))
      if (wanted.has(id)) items.set(id, item)
    const refused = read.filter(({ items }) => items === null).map(({ page }) => page)
    failed.push(...refused.filter(isOne).map(({ start }) => start))
    pages = refused.filter(page => !isOne(page)).flatMap(page => halvesOf(page, wanted))
    halved ||= pages.length > 0
  }
  return { items, failed, halved: halved && failed.length === 0 }
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
function halvesOf({ start, end }: Page, wanted: ReadonlySet<number>): Page[] {
  const middle = Math.ceil((start + end) / 2)
  return [
    { start, end: middle },
    { start: middle, end },
  ].flatMap(half => {
    const ids = idsOf(half).filter(id => wanted.has(id))
    const [first] = ids
    return first === undefined ? [] : [{ start: first, end: (ids.at(-1) ?? first) + 1 }]
  })
}

function idsOf({ start, end }: Page): number[] {
  return Array.from({ length: end - start }, (_, index) => start + index)
}

/** `items` null: it failed. */
type PageRead<Item> = { page: Page; items: readonly Item[] | null }

async function sendPages<Item>(
  pages: readonly Page[],
  options: PageOptions<Item>,
): Promise<PageRead<Item>[]> {
  const { rpc, pagesAtOnce } = options
  const lots = chunk(pages, pagesAtOnce)
  const answers = await atOnce(lots, {
    limit: requestsAtOnce,
    work: lot => rpc.send(lot.map(page => pageCall(page, options))),
  })
  return answers.flat().flatMap((answer, index) => {
    const page = pages[index]
    return page === undefined ? [] : { page, items: itemsOf(answer, { page, options }) }
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

export function chunk<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  )
}
