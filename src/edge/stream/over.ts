import { ringEnded } from '../bell/ended.ts'
import type { Ends } from '../bell/ends.ts'
import type { Context as App } from '../context.ts'
import { expireStream } from '../jobs/output.ts'
import { selectUnended, watch } from '../jobs/watch.ts'
import { describe } from '../log.ts'
import { within } from '../within.ts'
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
  /** Calls back when the job has ended, once. @returns how not to be called. */
  onOver(callback: () => void): () => void
  /** The first byte is on its way to the client: from now on, but for what it needs to leave, the end is listened for. */
  begin(): void
  stop(): void
}

/** How long it waits for a first byte. */
const firstMs = 25
/** How long the first byte takes to leave the isolate. What is begun at once goes before it. */
const leaveMs = 2
/** How long the end is listened for at a time. */
const listenMs = 60_000
/** Where too many listen already, or the database is away, it is asked this often. */
const askMs = 5_000
/** An expiry by the database's clock may come this much later than by ours. */
const expiryGraceMs = 50

/**
 * Listens for a job's end, whatever ends it; a job that no runner takes in time is ended here. `onCall`: its bell has rung, perhaps for
 * no end, or may have.
 */
export function listenForEnd(options: OverOptions, onCall: () => void): Over {
  const { app, signal } = options
  const stopping = new AbortController()
  const callbacks = new Set<() => void>()
  let isOver = false
  const stop = () => stopping.abort()
  signal.addEventListener('abort', stop)
  if (signal.aborted) stop()

  const beginning = Promise.withResolvers<void>()
  void untilBegun(options, { begun: beginning.promise, stopped: stopping.signal })
    .then(() => untilEnded(options, { onCall, stopped: stopping.signal }))
    .then(
      () => {
        isOver = !stopping.signal.aborted
        if (isOver) for (const callback of callbacks) callback()
      },
      (error: unknown) => app.log.error('Listening for an end failed', { error: describe(error) }),
    )

  return {
    onOver(callback) {
      callbacks.add(callback)
      if (isOver) callback()
      return () => callbacks.delete(callback)
    },
    begin: beginning.resolve,
    stop() {
      signal.removeEventListener('abort', stop)
      stop()
    },
  }
}

/**
 * The end of a job that was made a moment ago is not listened for before its first byte has left, or a while: that takes two calls of a
 * bell and a statement, and what the isolate does for them the first byte waits for.
 */
async function untilBegun(
  { isNew }: OverOptions,
  { begun, stopped }: { begun: Promise<void>; stopped: AbortSignal },
): Promise<void> {
  if (!isNew) return
  await within(begun, firstMs)
  await pause(leaveMs, stopped)
}

/** Also when the database is away in between: whoever reads is told nothing else of the end. */
async function untilEnded(
  options: OverOptions,
  { onCall, stopped }: { onCall: () => void; stopped: AbortSignal },
): Promise<void> {
  const look = createLook(options, onCall)
  while (!stopped.aborted) {
    try {
      if (await look(stopped)) return
    } catch (error) {
      options.app.log.warn('An end was not looked for', { error: describe(error) })
      // What rang since it listened, and what rings in the pause, nobody has heard.
      onCall()
      await pause(askMs, stopped)
      onCall()
    }
  }
}

/** Listens for a while. @returns whether the job has ended. */
function createLook({ app, ends, job, expiresAt, isNew }: OverOptions, onCall: () => void) {
  const asked = { owner: job.owner, ids: [job.id] }
  let dueAt = expiresAt === null ? null : expiresAt + expiryGraceMs
  let select = isNew ? selectUnended : watch
  const hasEnded = async () => {
    const unended = await select(app.db, asked)
    select = selectUnended
    return unended.length === 0
  }

  return async function look(stopped: AbortSignal): Promise<boolean> {
    const deadline = Math.min(app.now() + listenMs, dueAt ?? Number.POSITIVE_INFINITY)
    const waited = await ends.wait(job.id, { deadline, signal: stopped }, hasEnded)
    if (!waited) await pause(Math.min(askMs, Math.max(0, deadline - app.now())), stopped)
    if (stopped.aborted) return false
    // Whoever calls does not wait for the database.
    if (app.now() < deadline) onCall()
    if (dueAt !== null && app.now() >= dueAt) {
      const { expired, leftMs } = await expireStream(app.db, job.id)
      if (expired) {
        await ringEnded(app.bells, [job.id]).catch(() => app.log.warn('Ring lost', { job: job.id }))
        return true
      }
      // Its runner took it in time, or our clock is ahead.
      dueAt = leftMs === null ? null : app.now() + leftMs + expiryGraceMs
    }
    return await hasEnded()
  }
}
