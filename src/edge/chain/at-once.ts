/** Works on all items, on `limit` of them at once. @returns in the order of the items. The first failure is thrown, and no further item begun. */
export async function atOnce<Item, Result>(
  items: readonly Item[],
  { limit, work }: { limit: number; work(item: Item): Promise<Result> },
): Promise<Result[]> {
  const results: Result[] = []
  const left = items.entries()
  let hasFailed = false
  const lane = async () => {
    for (const [index, item] of left) {
      if (hasFailed) return
      try {
        results[index] = await work(item)
      } catch (error) {
        hasFailed = true
        throw error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane))
  return results
}
