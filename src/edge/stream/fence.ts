import type { OpenedStream, StoredStream, StreamLease } from '../jobs/output.ts'

/** What lets a relay pass on output before any of it is stored: in the database no other attempt may begin, while it is up. */
export type Fence = {
  /** For what this lease's runner says. */
  isUp(lease: StreamLease | null): boolean
  /** To be lowered yet: there has been no output. */
  isTentative(): boolean
  /** Raises it ahead of the upload, so that no byte waits for that. Whoever cannot leaves it to the upload. */
  prepare(lease: StreamLease): Promise<void>
  /** @returns null when the lease is not the runner's. @throws what the database throws. */
  raise(lease: StreamLease): Promise<StoredStream | null>
  /** Unless there has been output: whoever has to begin anew may. Nothing is passed on from here on before it is stored. */
  lower(): Promise<void>
}

export type FenceOptions = {
  store: {
    open(lease: StreamLease, turn: number): Promise<OpenedStream | null>
    prepare(lease: StreamLease, turn: number): Promise<StoredStream | null>
    close(lease: StreamLease, turn: number): Promise<void>
  }
  /** Whether any byte has come. */
  hasOutput(): boolean
  /** It was lowered, for nobody has uploaded for a while. */
  onQuiet(): void
}

/** `known`: what was learned when it was raised ahead of an upload, which has not come yet. */
type Raised = { lease: StreamLease; turn: number; known: StoredStream | null }

/**
 * A container that says nothing for so long is no faster for it, and a runner that dies meanwhile must not cost the job: another one may
 * begin anew.
 */
const quietMs = 1_000

/** Each time that it is raised is a turn of its own, so that lowering it, which may come late, lowers nothing that was raised since. */
export function createFence({ store, hasOutput, onQuiet }: FenceOptions): Fence {
  let turns = 0
  let raised: Raised | null = null
  let timer: ReturnType<typeof setTimeout> | null = null
  let preparing: Promise<unknown> = Promise.resolve()

  async function lower(): Promise<void> {
    if (raised === null || hasOutput()) return
    const mine = raised
    forget()
    await takeBack(mine)
  }

  /** Where the database is away the job ends, if its runner dies before its next upload, in place of beginning anew. */
  async function takeBack({ lease, turn }: Raised): Promise<void> {
    await store.close(lease, turn).catch(() => undefined)
  }

  function forget(): void {
    raised = null
    if (timer !== null) clearTimeout(timer)
    timer = null
  }

  function stand(mine: Raised): void {
    forget()
    raised = mine
    timer = setTimeout(() => void lower().then(onQuiet), quietMs)
  }

  /** What is up stays up: somebody else's attempt, or an earlier turn's answer that came late. @throws what the database throws. */
  async function put<Known>(
    lease: StreamLease,
    statement: (turn: number) => Promise<Known>,
    standing: (known: Known) => Pick<Raised, 'known'> | null,
  ): Promise<Known> {
    turns += 1
    const mine = { lease, turn: turns, known: null }
    const known = await statement(mine.turn).catch((error: unknown) => {
      // It may have been done, and its answer lost.
      void takeBack(mine)
      throw error
    })
    const stands = standing(known)
    if (stands !== null && (raised === null || raised.turn < mine.turn)) stand({ ...mine, ...stands })
    return known
  }

  /** What an upload need not ask any more. */
  function prepared(lease: StreamLease): StoredStream | null {
    if (raised === null || raised.known === null || !isSame(raised.lease, lease)) return null
    const { known } = raised
    stand({ ...raised, known: null })
    return known
  }

  return {
    isUp: lease => raised !== null && lease !== null && isSame(raised.lease, lease),
    isTentative: () => raised !== null && !hasOutput(),
    async prepare(lease) {
      const ready = put(
        lease,
        turn => store.prepare(lease, turn),
        known => known && { known },
      )
      preparing = ready.catch(() => undefined)
      await preparing
    },
    async raise(lease) {
      await preparing
      return (
        prepared(lease) ??
        (await put(
          lease,
          turn => store.open(lease, turn),
          known => (known?.noted ? { known: null } : null),
        ))
      )
    },
    lower,
  }
}

function isSame(one: StreamLease, other: StreamLease): boolean {
  return one.attempt === other.attempt && one.runner === other.runner
}
