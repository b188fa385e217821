import type { Cause } from '../cause.ts'
import { sleep } from '../sleep.ts'
import { createTrouble } from '../trouble.ts'
import { remove, stop } from './container.ts'
import type { KeepOptions } from './keep.ts'
import { mostWritten } from './relief.ts'
import type { Kept, Running } from './until-down.ts'

const watchMs = 10_000
const graceSeconds = 5

/** Resolves with the cause when a running container may not go on, and with null when the signal aborts. */
export async function untilOverstep(options: KeepOptions, kept: Kept): Promise<Cause | null> {
  const over = new AbortController()
  const watching = { ...options, signal: AbortSignal.any([options.signal, over.signal]) }
  // Side by side: an engine may count for minutes what a container has written, and one that may not run does not go on for so long.
  const found = Promise.race([untilUnwanted(watching, kept), untilFull(watching, kept)])
  return await found.finally(() => over.abort())
}

async function untilUnwanted(
  { confinement, relief, signal }: KeepOptions,
  { container }: Kept,
): Promise<Cause | null> {
  while (!signal.aborted) {
    const refused = confinement.refusal(container)
    if (refused !== null) return { code: 'not_isolated', detail: refused }
    const most = relief.excessOf(container.id)
    if (most !== null) return { code: 'disk_limit', detail: mostWritten(most) }
    await sleep(watchMs, signal)
  }
  return null
}

async function untilFull(
  { log, signal }: KeepOptions,
  { container, diskWatch }: Kept,
): Promise<Cause | null> {
  const trouble = createTrouble({ log, what: `Measuring the disk of container ${container.id}` })
  while (!signal.aborted) {
    // An engine that is just counting for somebody else refuses: it is asked again.
    const bytes = await diskWatch.excess().catch((error: unknown) => {
      trouble.failed(error)
      return null
    })
    if (bytes !== null) {
      const detail = `it has written ${bytes} bytes to its disk, and its limit is ${container.limits.diskBytes}`
      return { code: 'disk_limit', detail }
    }
    await sleep(watchMs, signal)
  }
  return null
}

/** Once. @throws what the engine refuses it by, UndeadError */
export async function takeDown(
  { engine }: Pick<KeepOptions, 'engine'>,
  { containerId }: Running,
  cause: Cause,
): Promise<void> {
  // Its files go with it, or it would be full when it comes back.
  if (cause.code === 'disk_limit') await remove(engine, containerId)
  else await stop(engine, containerId, { graceSeconds })
}
