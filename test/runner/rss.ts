/** Preloaded into a runner: tells its resident memory, in bytes, each time it is asked. */
import { isMainThread } from 'node:worker_threads'

if (isMainThread) process.on('message', () => process.send?.(process.memoryUsage.rss()))
