import { dataOf, json, serve } from '../runner/serve.ts'

/** A container that answers `{"seen":<data>}`, byte for byte, and counts its calls by the `name` in `data`. */
export type CountingContainer = {
  url: string
  calls(name: string): number
  /** Of these, those whose caller left before an answer. */
  dropped(name: string): number
  /** Calls of this name get no answer until `release`. */
  hold(...names: string[]): void
  /** Answers those that wait, and lets later ones through. */
  release(...names: string[]): void
  close(): void
}

export function outputOf(data: string): string {
  return `{"seen":${data}}`
}

export async function startCountingContainer(): Promise<CountingContainer> {
  const counts = new Map<string, number>()
  const drops = new Map<string, number>()
  const held = new Map<string, (() => void)[]>()
  const { url, close } = await serve(({ body }, response) => {
    const data = dataOf(body).toString()
    const name = /"name":"([^"]+)"/.exec(data)?.[1] ?? ''
    counts.set(name, (counts.get(name) ?? 0) + 1)
    response.on('close', () => {
      if (!response.writableFinished) drops.set(name, (drops.get(name) ?? 0) + 1)
    })
    const answer = () => json(response, outputOf(data))
    const waiting = held.get(name)
    if (waiting) waiting.push(answer)
    else answer()
  })

  return {
    url,
    calls: name => counts.get(name) ?? 0,
    dropped: name => drops.get(name) ?? 0,
    hold(...names) {
      for (const name of names) held.set(name, [])
    },
    release(...names) {
      for (const name of names) {
        const waiting = held.get(name) ?? []
        held.delete(name)
        for (const answer of waiting) answer()
      }
    },
    close,
  }
}
