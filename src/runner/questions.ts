import type { Agent } from 'undici'
import type { Question } from '../protocol/runner.ts'
import type { Containers } from './containers.ts'
import { answer } from './edge/answer.ts'
import type { Edge } from './edge/connect.ts'
import type { Log } from './log.ts'
import { askResources } from './resources.ts'
import { messageOf } from './trouble.ts'

export type QuestionOptions = {
  edge: Edge
  agent: Agent
  containers: Containers
  instance: string
  log: Log
  signal: AbortSignal
}

/** Answers each question once, beside everything else. */
export function createQuestions({ edge, agent, containers, instance, log, signal }: QuestionOptions) {
  const inHand = new Set<string>()

  return ({ id, model_id: modelId }: Question): boolean => {
    if (inHand.has(id)) return false
    inHand.add(id)
    askResources(containers, { modelId, agent })
      .then(text => answer(edge, { instance, question: id, answer: text }, signal))
      .catch((error: unknown) => log.warn('A question could not be answered', { error: messageOf(error) }))
      .finally(() => inHand.delete(id))
    return true
  }
}
