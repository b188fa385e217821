import { createBackoff } from './backoff.ts'
import { type Disk, DiskError } from './disk.ts'
import { sleep } from './sleep.ts'

/** Does it again until the disk takes it: nobody but this host is to blame. @throws DiskError when the signal has aborted. */
export async function outlast<T>(disk: Disk, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  const backoff = createBackoff()
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof DiskError)) throw error
      disk.failed(error)
      await sleep(backoff.next(), signal)
      await disk.wait(signal)
      if (signal.aborted) throw error
    }
  }
}
