import { fileURLToPath } from 'node:url'
import type { Weights } from './weights.ts'

/** A compute container that ships with the node: its folder, and the image made of it. */
export type Example = {
  id: string
  description: string
  folder: string
  image: string
  /** Whether it has packages of its own, installed beside its lock file. */
  packages: boolean
  /** Whether it serves a model whose weights are not in its packages, and which, once they are on this machine. */
  needsWeights: boolean
  weights?: Weights
  /** Whether it answers OpenAI's `/v1/chat/completions` as well. */
  openai: boolean
  /** Whether its answers to contracts have proofs. */
  proves: boolean
}

export const helloWorld: Example = {
  id: 'hello-world',
  description: 'Greets and repeats its input',
  folder: folder('hello-world'),
  image: 'infernet-edge/hello-world:local',
  packages: false,
  needsWeights: false,
  openai: false,
  proves: false,
}

export const clock: Example = {
  id: 'clock',
  description: 'Tells contracts the time',
  folder: folder('clock'),
  image: 'infernet-edge/clock:local',
  packages: false,
  needsWeights: false,
  openai: false,
  proves: false,
}

export const factor: Example = {
  id: 'factor',
  description: 'Finds a factor of a number, and proves it',
  folder: folder('factor'),
  image: 'infernet-edge/factor:local',
  packages: false,
  needsWeights: false,
  openai: false,
  proves: true,
}

export const ocr: Example = {
  id: 'ocr',
  description: 'Reads the text in a picture (PP-OCRv4, CPU)',
  folder: folder('ocr'),
  image: 'infernet-edge/ocr:local',
  packages: true,
  needsWeights: false,
  openai: false,
  proves: false,
}

export const chat: Example = {
  id: 'chat',
  description: 'Answers in a chat, token by token',
  folder: folder('chat'),
  image: 'infernet-edge/chat:local',
  packages: true,
  needsWeights: true,
  openai: true,
  proves: false,
}

function folder(id: string): string {
  return fileURLToPath(new URL(`../../../examples/containers/${id}`, import.meta.url))
}
