import type { OpenedStream, StreamLease } from '../jobs/output.ts'

/** What lets a relay pass on output before any of it is stored: in the database no other attempt may begin, while it is up. */
export type Fence = {
  /** For what this lease's runner says. */
  isUp(lease: StreamLease | null): boolean
  /** @returns null when the lease is not the runner's. @throws what the database throws. */
  raise(lease: StreamLease): Promise<OpenedStream | null>
  /** Unless there has been output: whoever has to begin anew may. Nothing is passed on from here on before it is stored. */
  lower(): Promise<void>
}

export type FenceOptions = {
  store: {
    open(lease: StreamLease, turn: number): Promise<OpenedStream | null>
    close(lease: StreamLease, turn: number): Promise<void>
  }
  /** Whether any byte has come. */
  hasOutput(): boolean
}

type Raised = { lease: StreamLease; turn: number }

/**
 * A container that says nothing for so long is no faster for it, and a runner that dies meanwhile must not cost the job: another one may
 * begin anew.
 */
const quietMs = 1_000

/** Each time that it is raised is a turn of its own, so that lowering it, which may come late, lowers nothing that was raised since. */
export function createFence({ store, hasOutput }: FenceOptions): Fence {
  let turns = 0
  let raised: Raised | null = null
  let timer: ReturnType<typeof setTimeout> | null = null

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

  return {
    isUp: lease => raised !== null && lease !== null && isSame(raised.lease, lease),
    async raise(lease) {
      turns += 1
      const mine = { lease, turn: turns }
      const known = await store.open(lease, mine.turn).catch((error: unknown) => {
        // It may have been done, and its answer lost.
        void takeBack(mine)
        throw error
      })
      // What is up stays up: somebody else's attempt, or an earlier turn's answer that came late.
      if (!known?.noted || (raised !== null && raised.turn > mine.turn)) return known
      forget()
      raised = mine
      timer = setTimeout(() => void lower(), quietMs)
      return known
    },
    lower,
  }
}

function isSame(one: StreamLease, other: StreamLease): boolean {
  return one.attempt === other.attempt && one.runner === other.runner
}
