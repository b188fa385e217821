import * as v from 'valibot'
import { Job, JobId } from './job.ts'

/**
 * Events of a stream (`Accept: text/event-stream`), by name. The id of `output` is the offset that it ends at, and what `Last-Event-ID`
 * goes on from; that of the last event is `end`.
 */
export const StreamStart = v.object({ id: JobId, container: v.string() })

/** Output as text, or in base64 where it is not UTF-8. */
export const StreamOutputEvent = v.union([v.object({ text: v.string() }), v.object({ base64: v.string() })])

/** A job without what its containers said. */
export const JobHead = v.omit(Job, ['result', 'intermediate_results'])
export type JobHead = v.InferOutput<typeof JobHead>

/** `completed`: the job. `error`: why it ended, or cannot be read on; `job` is null where that is not its end. */
export const StreamError = v.object({ code: v.string(), error: v.string(), job: v.nullable(JobHead) })

/** Id of the last event of a stream. */
export const lastEventId = 'end'
