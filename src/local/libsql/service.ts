import * as v from 'valibot'
import type { Database } from './database.ts'
import { drive } from './drive.ts'
import { ProtocolError } from './error.ts'
import { createGate } from './gate.ts'
import type { Limits } from './limits.ts'
import { runPipeline, type StreamResult } from './pipeline.ts'
import { PipelineBody } from './schema.ts'
import type { Stream } from './stream.ts'
import { createStreams } from './streams.ts'

export type PipelineAnswer = { baton: string | null; base_url: null; results: StreamResult[] }

export type Service = {
  pipeline(text: string, version: 2 | 3): Promise<PipelineAnswer>
  /** Rolls back idle streams; a timer calls it, and so does everyone who waits for a lock. */
  expire(): void
  /** Ends idle streams, so that the requests in flight that wait for them can finish. */
  closeIdle(): void
}

/** The protocol without HTTP: a body's text in, an answer out, and nothing is answered that is not on disk. */
export function createService(database: Database, limits: Limits, now: () => number): Service {
  const { pool, flusher } = database
  const gate = createGate()
  const streams = createStreams(pool, limits, now)

  function expire(): void {
    if (streams.expire()) gate.open()
  }

  function run(stream: Stream, body: PipelineBody, version: 2 | 3): StreamResult[] | Promise<StreamResult[]> {
    const scope = { stream, version, budget: { bytes: limits.responseBytes } }
    return drive(runPipeline(scope, body.requests, limits), {
      gate,
      busyMs: limits.busyMs,
      now,
      afterStep() {
        if (stream.connection.takeWrote()) flusher.mark()
      },
      beforeRetry: expire,
    })
  }

  async function runOn(stream: Stream, body: PipelineBody, version: 2 | 3): Promise<PipelineAnswer> {
    let results: StreamResult[]
    try {
      const outcome = run(stream, body, version)
      results = outcome instanceof Promise ? await outcome : outcome
    } catch (error) {
      streams.drop(stream)
      gate.open()
      throw error
    }
    const baton = streams.release(stream)
    gate.open()
    return { baton, base_url: null, results }
  }

  return {
    async pipeline(text, version) {
      const body = parseBody(text)
      const answer = await runOn(streams.acquire(body.baton), body, version)
      // A read waits too: it may have seen a commit that is not on disk yet.
      await flusher.settled()
      return answer
    },
    expire,
    closeIdle() {
      streams.closeIdle()
      gate.open()
    },
  }
}

function parseBody(text: string): PipelineBody {
  try {
    return v.parse(PipelineBody, JSON.parse(text), { abortEarly: true })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ProtocolError(`Cannot deserialize the request from JSON: ${reason.slice(0, 300)}`)
  }
}
