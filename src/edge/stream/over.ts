import { ringEnded } from '../bell/ended.ts'
import type { Ends } from '../bell/ends.ts'
import type { Context as App } from '../context.ts'
import { expireStream } from '../jobs/output.ts'
import { selectUnended, watch } from '../jobs/watch.ts'
import { describe } from '../log.ts'
import { pause } from './pause.ts'

export type OverOptions = {
  app: App
  ends: Ends
  job: { id: string; owner: string }
  /** By the clock of `app`: from then on the job may have expired; null: it runs already. */
  expiresAt: number | null
  /** Made a moment ago by this request, and watched: there is nothing to be read yet. */
  isNew: boolean
  /** Aborts when the client leaves. */
  signal: AbortSignal
}

/** The end of a job, listened for. */
export type Over = {
  isOver(): boolean
  /** Calls back when the job has ended, as far as anyone can tell. @returns how not to be called. */
  onOver(callback: () => void): () => void
  stop(): void
}

/** How long the end is listened for at a time. */
const listenMs = 60_000
/** Where too many listen already, the database is asked this often. */
const askMs = 5_000
/** An expiry by the database's clock may come this much later than by ours. */
const expiryGraceMs = 50

/** Listens for a job's end, whatever ends it; a job that no runner takes in time is ended here. */
export function listenForEnd(options: OverOptions): Over {
  const { app, signal } = options
  const stopping = new AbortController()
  const callbacks = new Set<() => void>()
  let isOver = false
  const stop = () => stopping.abort()
  signal.addEventListener('abort', stop)
  if (signal.aborted) stop()

  void untilEnded(options, stopping.signal)
    .catch((error: unknown) => app.log.warn('Listening for an end failed', { error: describe(error) }))
    .then(() => {
      isOver = true
      for (const callback of callbacks) callback()
    })

  return {
    isOver: () => isOver,
    onOver(callback) {
      callbacks.add(callback)
      if (isOver) callback()
      return () => callbacks.delete(callback)
    },
    stop() {
      signal.removeEventListener('abort', stop)
      stop()
    },
  }
}

async function untilEnded(options: OverOptions, stopped: AbortSignal): Promise<void> {
  const { app, ends, job, expiresAt } = options
  const asked = { owner: job.owner, ids: [job.id] }
  let dueAt = expiresAt === null ? null : expiresAt + expiryGraceMs
  let select = options.isNew ? selectUnended : watch
  const hasEnded = async () => {
    const unended = await select(app.db, asked)
    select = selectUnended
    return unended.length === 0
  }
  while (!stopped.aborted) {
    const deadline = Math.min(app.now() + listenMs, dueAt ?? Number.POSITIVE_INFINITY)
    const waited = await ends.wait(job.id, { deadline, signal: stopped }, hasEnded)
    if (!waited) await pause(Math.min(askMs, Math.max(0, deadline - app.now())), stopped)
    if (stopped.aborted) return
    if (dueAt !== null && app.now() >= dueAt) {
      // Else somebody took it in time.
      if (await expireStream(app.db, job.id)) return await ringEnded(app.bells, [job.id])
      dueAt = null
    }
    if (await hasEnded()) return
  }
}
