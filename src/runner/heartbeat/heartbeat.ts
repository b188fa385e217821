import { Worker } from 'node:worker_threads'
import type { Lease } from '../../protocol/runner.ts'
import type { Config } from '../config/config.ts'
import type { RunnerKey } from '../key/key.ts'
import type { Log } from '../log.ts'
import { createNotice } from '../notice.ts'
import { createTrouble, messageOf } from '../trouble.ts'
import type { FromThread, Setup, State, ToThread } from './messages.ts'

export type Heartbeat = {
  /** Starts the thread, or gives it a new pace. */
  start(heartbeatMs: number): void
  tell(message: Exclude<ToThread, { kind: 'beat' | 'ping' }>): void
  /** Resolves when a beat begun after this call was answered, or the signal aborts. */
  beat(until: AbortSignal): Promise<void>
  /** Milliseconds since the edge took a beat; null: never. */
  ageMs(): number | null
  stop(): Promise<void>
}

export type HeartbeatOptions = {
  config: Config
  key: RunnerKey
  instance: string
  /** Everything to be told, for a thread that begins anew. */
  state: () => State
  onLost: (leases: readonly Lease[]) => void
  log: Log
}

/** Beside this file, as a source or in a package. */
const threadFile = import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js'
const restartMs = 1_000
const pingMs = 1_000

/** This end of the heartbeat thread. A thread that dies is replaced, with the leases of the moment. */
export function createHeartbeat({ config, key, instance, state, onLost, log }: HeartbeatOptions): Heartbeat {
  const beaten = createNotice()
  const trouble = createTrouble({ log, what: 'Heartbeat' })
  let thread: Worker | null = null
  let stopped = false
  let everyMs = 0
  let lastTicket = 0
  let lastBeaten = 0
  let takenAt: number | null = null

  function spawn(): void {
    if (stopped) return
    const setup: Setup = {
      url: config.edge.url,
      audience: config.edge.audience,
      id: key.id,
      privateKey: key.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
      instance,
      heartbeatMs: everyMs,
      state: state(),
    }
    thread = new Worker(new URL(threadFile, import.meta.url), { workerData: setup })
    thread.on('message', hear)
    thread.on('error', error => log.error('The heartbeat thread failed', { error: messageOf(error) }))
    thread.on('exit', () => {
      thread = null
      if (!stopped) setTimeout(spawn, restartMs)
    })
  }

  // From the loop that does the work, so that one which stands still for good gives up its leases in the end.
  const pings = setInterval(() => thread?.postMessage({ kind: 'ping' } satisfies ToThread), pingMs)
  pings.unref()

  function hear(message: FromThread): void {
    if (message.kind === 'lost') onLost(message.leases)
    else if (message.kind === 'failed') trouble.failed(message.error)
    else if (message.kind === 'works') {
      takenAt = performance.now()
      trouble.over()
    } else {
      lastBeaten = Math.max(lastBeaten, message.ticket)
      beaten.post()
    }
  }

  return {
    start(heartbeatMs) {
      everyMs = heartbeatMs
      if (thread === null) spawn()
      else thread.postMessage({ kind: 'pace', heartbeatMs } satisfies ToThread)
    },
    tell(message) {
      thread?.postMessage(message)
    },
    async beat(until) {
      const ticket = ++lastTicket
      while (!until.aborted && lastBeaten < ticket) {
        thread?.postMessage({ kind: 'beat', ticket } satisfies ToThread)
        // Asked again when the thread had to be replaced meanwhile.
        await beaten.wait(until, 5_000)
      }
    },
    ageMs: () => (takenAt === null ? null : performance.now() - takenAt),
    async stop() {
      stopped = true
      clearInterval(pings)
      await thread?.terminate()
    },
  }
}
