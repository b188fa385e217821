import * as v from 'valibot'
import type { QuestionAnswer } from '../../protocol/runner.ts'
import { ask } from './ask.ts'
import type { Edge } from './connect.ts'

/** Answers a question of a control answer. */
export async function answer(edge: Edge, body: QuestionAnswer, signal?: AbortSignal): Promise<void> {
  await ask(edge, { path: '/runner/answer', answer: v.unknown() }, { body, signal })
}
