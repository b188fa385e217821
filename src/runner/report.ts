import type { Lease } from '../protocol/runner.ts'
import { createBackoff } from './backoff.ts'
import { DamagedError } from './damaged.ts'
import type { Disk } from './disk.ts'
import type { Edge } from './edge/connect.ts'
import { EdgeError } from './edge/error.ts'
import { report } from './edge/report.ts'
import { isFinal, paceOf } from './edge/retry.ts'
import type { Log } from './log.ts'
import { createNotice, type Notice } from './notice.ts'
import { type Entry, takeBatch } from './spool/entry.ts'
import type { Spool } from './spool/spool.ts'
import { createTrouble, messageOf } from './trouble.ts'
import { createUploader } from './upload.ts'

export type Reporter = {
  add(entry: Entry): void
  /** Each runs until the signal aborts. */
  loops: Record<'spool' | 'report', () => Promise<void>>
  /** Resolves when everything added before this call is answered, or the given signal aborts. */
  flushed(until: AbortSignal): Promise<void>
  /** Of results that are not in the spool yet, roughly. */
  waitingBytes(): number
  /** Writes what is not in the spool yet; called once, after the spool's loop has ended. */
  save(): Promise<void>
}

export type ReporterOptions = {
  edge: Edge
  instance: string
  spool: Spool
  disk: Disk
  /** Resolves when the edge has the output of a streaming job, with the errors of an upload. */
  delivered: (lease: Lease) => Promise<void>
  /** The edge has answered for these; nothing more is due for them. */
  onAnswered: (leases: readonly Lease[]) => void
  /** Posted when the edge is back: nothing waits longer before it tries again. */
  back: Notice
  log: Log
  signal: AbortSignal
}

/** A batch is written ahead at once while the one before is on its way; a further one only when the edge is this slow. */
const spoolAnywayMs = 200

/**
 * Takes results to the edge: spool, upload what is large, report. Nothing is delayed to make batches larger: what comes in
 * while a request is in flight is the next batch.
 */
export function createReporter({
  edge,
  instance,
  spool,
  disk,
  delivered,
  onAnswered,
  back,
  log,
  signal,
}: ReporterOptions): Reporter {
  /** In memory only. */
  const waiting: Entry[] = []
  /** In the spool, whole at the edge but for the report. */
  const ready: Entry[] = []
  const pending = new Set<Entry>(spool.left)
  const added = createNotice()
  const readied = createNotice()
  const taken = createNotice()
  const answered = createNotice()
  const trouble = createTrouble({ log, what: 'Reporting results' })
  const uploader = createUploader({ edge, trouble, back, signal })

  async function spoolLoop(): Promise<void> {
    let writtenAt = 0
    while (!signal.aborted) {
      if (waiting.length === 0) {
        await added.wait(signal)
        continue
      }
      const early = writtenAt + spoolAnywayMs - performance.now()
      if (ready.length > 0 && early > 0) {
        await taken.wait(signal, early)
        continue
      }
      const batch = takeBatch(waiting)
      await write(batch)
      writtenAt = performance.now()
      for (const entry of batch) pass(entry)
    }
  }

  /** A disk that fails costs safety, not results: they are reported all the same. */
  async function write(batch: readonly Entry[]): Promise<void> {
    await spool.write(batch).catch(disk.failed)
  }

  function pass(entry: Entry): void {
    if (entry.uploads.length > 0) {
      void uploadAll(entry)
      return
    }
    ready.push(entry)
    readied.post()
  }

  /** Until it is done, or cannot be: what this host lacks for the moment, such as a free file descriptor, costs no result. */
  async function uploadAll(entry: Entry): Promise<void> {
    const backoff = createBackoff()
    while (!signal.aborted) {
      try {
        for (const upload of entry.uploads)
          if (upload.kind === 'stream') await delivered(entry.lease)
          else await uploader.upload(entry.lease, upload)
        ready.push(entry)
        return readied.post()
      } catch (error) {
        if (signal.aborted) return
        if (isFinal(error) || error instanceof DamagedError) return await giveUp(entry, error)
        trouble.failed(error)
        await back.wait(signal, paceOf(error, backoff))
      }
    }
  }

  async function reportLoop(): Promise<void> {
    while (!signal.aborted) {
      if (ready.length === 0) {
        await readied.wait(signal)
        continue
      }
      const batch = takeBatch(ready)
      taken.post()
      await deliver(batch)
    }
  }

  async function deliver(batch: readonly Entry[]): Promise<void> {
    const backoff = createBackoff()
    let left = [...batch]
    while (left.length > 0 && !signal.aborted) {
      try {
        left = await reportOnce(left)
        if (left.length > 0)
          throw new EdgeError('The edge left results unanswered', { status: 200, retry: 'soon' })
        trouble.over()
      } catch (error) {
        if (signal.aborted) return
        if (isFinal(error)) return await deliverSingly(left, error)
        trouble.failed(error)
        await back.wait(signal, paceOf(error, backoff))
      }
    }
  }

  /** One bad result must not hold back the others of its batch. */
  async function deliverSingly(entries: readonly Entry[], error: unknown): Promise<void> {
    const [only] = entries
    if (entries.length === 1 && only) return await giveUp(only, error)
    for (const entry of entries) await deliver([entry])
  }

  async function reportOnce(entries: readonly Entry[]): Promise<Entry[]> {
    const { answers } = await report(edge, { instance, results: entries.map(({ line }) => line) }, signal)
    const byLease = new Map(answers.map(({ id, attempt, answer }) => [`${id} ${attempt}`, answer]))
    const left: Entry[] = []
    const done: Entry[] = []
    for (const entry of entries) {
      const answer = byLease.get(`${entry.lease.id} ${entry.lease.attempt}`)
      if (answer === undefined) left.push(entry)
      else done.push(entry)
      if (answer === 'stale')
        log.info('A result came too late', { job: entry.lease.id, attempt: entry.lease.attempt })
    }
    for (const entry of done) spool.release(entry)
    settle(done)
    return left
  }

  /** 409 of the edge: the job went on without us, as a `stale` answer says. Anything else is kept for an operator to look at. */
  async function giveUp(entry: Entry, error: unknown): Promise<void> {
    if (error instanceof EdgeError && error.status === 409) {
      log.info('A result came too late', { job: entry.lease.id, attempt: entry.lease.attempt })
      spool.release(entry)
    } else {
      log.error('A result cannot be reported', { job: entry.lease.id, error: messageOf(error) })
      await spool
        .setAside(entry)
        .catch((failed: unknown) => log.error('Setting it aside failed', { error: messageOf(failed) }))
    }
    settle([entry])
  }

  function settle(entries: readonly Entry[]): void {
    for (const entry of entries) pending.delete(entry)
    if (entries.length > 0) onAnswered(entries.map(({ lease }) => lease))
    answered.post()
  }

  for (const entry of spool.left) pass(entry)

  return {
    add(entry) {
      pending.add(entry)
      waiting.push(entry)
      added.post()
    },
    loops: { spool: spoolLoop, report: reportLoop },
    async flushed(until) {
      const before = [...pending]
      while (!until.aborted && before.some(entry => pending.has(entry))) await answered.wait(until)
    },
    waitingBytes: () => waiting.reduce((sum, { line }) => sum + line.length, 0),
    async save() {
      while (waiting.length > 0) await write(takeBatch(waiting))
    },
  }
}
