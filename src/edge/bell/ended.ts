import type { Bell, Bells, Ring } from './bell.ts'

/** Bells that the ends of jobs are spread over: each is one Durable Object, and so one thread, on Workers. */
const shards = 16
/** Several clients may wait for one job. */
const everyWaiter = 10_000

/** The bell that rings when this job ends, if it is watched. */
export function bellOf(bells: Bells, id: string): Bell {
  return bells(topicOf(id))
}

/** Wakes who waits for these ends, with one ring for each bell concerned. */
export async function ringEnded(bells: Bells, ids: readonly string[]): Promise<void> {
  const rings = new Map<string, Ring>()
  for (const id of ids) {
    const topic = topicOf(id)
    rings.set(topic, { ...rings.get(topic), [id]: everyWaiter })
  }
  await Promise.all([...rings].map(([topic, ring]) => bells(topic).ring(ring)))
}

/** The last character of an id: a random one in a UUID. */
export function topicOf(id: string): string {
  return `ended:${(id.codePointAt(id.length - 1) ?? 0) % shards}`
}
