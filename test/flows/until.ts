/** Resolves with the first answer that is not false, undefined or null; throws when none came in time. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  { everyMs = 20, withinMs = 40_000 }: { everyMs?: number; withinMs?: number } = {},
): Promise<NonNullable<T>> {
  const deadline = performance.now() + withinMs
  for (;;) {
    const seen = await look()
    if (seen !== false && seen !== undefined && seen !== null) return seen
    if (performance.now() > deadline) throw new Error(`Not within ${withinMs / 1000} s: ${what}`)
    await new Promise(resolve => setTimeout(resolve, everyMs))
  }
}
