/** Preloaded into a runner: on a message, how long in milliseconds, its heartbeat thread gets no turn. Then it tells. */
import { BroadcastChannel, isMainThread } from 'node:worker_threads'

const starving = new BroadcastChannel('starve')
starving.unref()

if (isMainThread) {
  process.on('message', ms => starving.postMessage(ms))
  starving.onmessage = event => {
    const { data } = event as MessageEvent
    if (data === 'fed') process.send?.('fed')
  }
} else
  starving.onmessage = event => {
    const { data } = event as MessageEvent
    if (typeof data !== 'number') return
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, data)
    starving.postMessage('fed')
  }
