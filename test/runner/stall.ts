/** Preloaded into a runner: on a message, how long in milliseconds or anything for three seconds, its main thread does nothing else. Then it tells from when to when. */
import { isMainThread } from 'node:worker_threads'

const usualMs = 3_000

if (isMainThread)
  process.on('message', asked => {
    const stallMs = typeof asked === 'number' ? asked : usualMs
    const from = Date.now()
    // It answers nothing, and leaves the processor to others.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, stallMs)
    process.send?.([from, Date.now()])
  })
