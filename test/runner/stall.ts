/** Preloaded into a runner: on a message its main thread does nothing else for three seconds, then tells from when to when. */
import { isMainThread } from 'node:worker_threads'

const stallMs = 3_000

if (isMainThread)
  process.on('message', () => {
    const from = Date.now()
    while (Date.now() - from < stallMs);
    process.send?.([from, Date.now()])
  })
