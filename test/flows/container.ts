import { fileURLToPath } from 'node:url'
import { freePort } from '../../src/local/port.ts'
import { type Spawned, spawnMain } from '../runner/spawn.ts'
import type { FromContainer, Manner, ToContainer } from './container-main.ts'
import { createPart, type Part } from './part.ts'

/** A container in a process of its own, that counts its calls by the `name` in `data`. */
export type Container = Part & {
  url: string
  /** Whole requests that have come. */
  calls(name: string): number
  /** Of these, those whose caller left before the whole answer. */
  dropped(name: string): number
  /** Answers that are on their way up to the middle. */
  halves(name: string): number
  /** Calls of these names get no answer until `release`. */
  hold(...names: string[]): Promise<void>
  /** Calls of these names get the first half of their answer, and the rest at `release`. */
  holdHalfWay(...names: string[]): Promise<void>
  /** Answers those that wait, and lets later ones through. */
  release(...names: string[]): Promise<void>
}

const main = fileURLToPath(new URL('./container-main.ts', import.meta.url))

export function outputOf(data: string): string {
  return `{"seen":${data}}`
}

/** `track`: told of each process, to end them all. */
export async function startContainer(track: (spawned: Spawned) => void): Promise<Container> {
  const port = await freePort()
  const counts = new Map<string, number>()
  const manners = new Map<string, Manner>()
  const told = new Map<number, () => void>()
  let listening = Promise.withResolvers<void>()
  let current: Spawned | null = null
  let ticket = 0

  function hear(message: FromContainer): void {
    if (message.kind === 'listens') listening.resolve()
    else if (message.kind === 'told') told.get(message.ticket)?.()
    else {
      const key = `${message.kind} ${message.name}`
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
  }

  async function start(): Promise<Spawned> {
    listening = Promise.withResolvers()
    const spawned = spawnMain([String(port)], {}, main)
    track(spawned)
    spawned.child.on('message', message => hear(message as FromContainer))
    current = spawned
    const died = spawned.exited.then(() =>
      Promise.reject(new Error(`The container ended:\n${spawned.output()}`)),
    )
    await Promise.race([listening.promise, died])
    died.catch(() => undefined)
    for (const [name, manner] of manners) await send(manner, [name])
    return spawned
  }

  async function send(manner: Manner, names: string[]): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    told.set(++ticket, resolve)
    current?.child.send({ manner, names, ticket } satisfies ToContainer)
    await promise
  }

  async function tell(manner: Manner, names: string[]): Promise<void> {
    for (const name of names) {
      if (manner === 'answer') manners.delete(name)
      else manners.set(name, manner)
    }
    await send(manner, names)
  }

  const part = createPart(start)
  await part.start()
  return {
    ...part,
    url: `http://127.0.0.1:${port}`,
    calls: name => counts.get(`called ${name}`) ?? 0,
    dropped: name => counts.get(`dropped ${name}`) ?? 0,
    halves: name => counts.get(`half ${name}`) ?? 0,
    hold: (...names) => tell('hold', names),
    holdHalfWay: (...names) => tell('hold half way', names),
    release: (...names) => tell('answer', names),
  }
}
