import { isDeepStrictEqual } from 'node:util'
import type { RegisterAnswer, RegisterRequest } from '../protocol/runner.ts'
import { createBackoff } from './backoff.ts'
import type { Edge } from './edge/connect.ts'
import { register } from './edge/register.ts'
import { paceOf } from './edge/retry.ts'
import type { Log } from './log.ts'
import type { Notice } from './notice.ts'
import { createTrouble } from './trouble.ts'
import { version } from './version.ts'

export type Registration = {
  /** Tells the edge of this process, its containers, and its host. */
  register(until: AbortSignal): Promise<RegisterAnswer>
  /** Has the edge know containers that have changed, however long it takes. */
  again(): Promise<void>
  /** Has the edge know the labels, if it was told others. */
  relabel(): Promise<void>
}

export type RegistrationOptions = {
  edge: Edge
  instance: string
  /** As they are when it is sent. */
  policies: () => RegisterRequest['containers']
  /** `gpu_labels` absent: nobody knows yet, and what the edge was told before counts. */
  labels: () => Pick<RegisterRequest, 'labels' | 'gpu_labels'>
  /** Posted when the edge is back. */
  back: Notice
  log: Log
  signal: AbortSignal
}

/** One request at a time: what the edge hears last is what is true. */
export function createRegistration(options: RegistrationOptions): Registration {
  const { edge, instance, policies, labels, back, log, signal } = options
  const trouble = createTrouble({ log, what: 'Registering containers' })
  let last: Promise<unknown> = Promise.resolve()
  /** Null before the edge was first told of this process, which tells it all. */
  let told: ReturnType<typeof labels> | null = null

  async function send(until: AbortSignal): Promise<RegisterAnswer> {
    const before = last
    const sent = before.then(() => {
      told = labels()
      return register(edge, { instance, version, containers: policies(), ...told }, until)
    })
    last = sent.catch(() => {})
    return await sent
  }

  async function again(): Promise<void> {
    const backoff = createBackoff()
    while (!signal.aborted) {
      try {
        await send(signal)
        return trouble.over()
      } catch (error) {
        if (signal.aborted) return
        trouble.failed(error)
        await back.wait(signal, paceOf(error, backoff))
      }
    }
  }

  return {
    register: send,
    again,
    async relabel() {
      if (told !== null && !isDeepStrictEqual(told, labels())) await again()
    },
  }
}
