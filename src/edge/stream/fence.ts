import type { StoredStream, StreamLease } from '../jobs/output.ts'

/** What lets a relay pass on output before any of it is stored: in the database no other attempt may begin, while it is up. */
export type Fence = {
  isUp(): boolean
  /** @returns null when the lease is not the runner's. @throws what the database throws. */
  raise(lease: StreamLease): Promise<StoredStream | null>
  /** Unless there has been output: whoever has to begin anew may. Nothing is passed on from here on before it is stored. */
  lower(): Promise<void>
}

export type FenceOptions = {
  store: {
    open(lease: StreamLease): Promise<StoredStream | null>
    close(lease: StreamLease): Promise<void>
  }
  /** Whether any byte has come. */
  hasOutput(): boolean
}

/**
 * A container that says nothing for so long is no faster for it, and a runner that dies meanwhile must not cost the job: another one may
 * begin anew.
 */
const quietMs = 1_000

export function createFence({ store, hasOutput }: FenceOptions): Fence {
  let raisedFor: StreamLease | null = null
  let timer: ReturnType<typeof setTimeout> | null = null

  async function lower(): Promise<void> {
    if (raisedFor === null || hasOutput()) return
    const lease = raisedFor
    forget()
    // Where the database is away the job ends, if its runner dies, in place of beginning anew.
    await store.close(lease).catch(() => undefined)
  }

  function forget(): void {
    raisedFor = null
    if (timer !== null) clearTimeout(timer)
    timer = null
  }

  return {
    isUp: () => raisedFor !== null,
    async raise(lease) {
      const known = await store.open(lease)
      forget()
      if (known === null) return null
      raisedFor = lease
      timer = setTimeout(() => void lower(), quietMs)
      return known
    },
    lower,
  }
}
