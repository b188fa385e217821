import type { NewJob } from '../../../src/client/body.ts'
import { createRandom, type Random } from './random.ts'
import { leaseMs } from './stand.ts'

/** What a container does with a job. `answer`: its reply is the rest of the job. */
type Step =
  | { act: 'answer' | 'refuse' | 'exit' | 'hang'; afterMs: number }
  | { act: 'stream'; afterMs: number; pieces: number; everyMs: number }

/** `long`: for longer than a lease. */
export type Kind = 'answer' | 'large' | 'long' | 'refuse' | 'exit' | 'hang' | 'cancel' | 'stream'

/** A job, and what its client does. */
export type Plan = {
  /** By which the containers know it, and the verdict its result. */
  name: string
  kind: Kind
  /** The chain that it goes through. */
  containers: readonly string[]
  steps: readonly Step[]
  /** Of input, and of output, beside what names it. */
  fillerBytes: number
  /** The job's own; null: those of its containers alone. */
  timeoutSeconds: number | null
  /** When its client cancels it; null: never. */
  cancelAfterMs: number | null
}

/** In a thousand; the rest is answered. */
const shares: readonly (readonly [Kind, number])[] = [
  ['large', 60],
  ['long', 15],
  ['refuse', 60],
  ['exit', 3],
  ['hang', 50],
  ['cancel', 100],
  ['stream', 150],
]

/** How long a container takes, in milliseconds, and the last one of a chain where that differs. */
const usualMs = [0, 500] as const
const lastMs: Partial<Record<Kind, readonly [least: number, most: number]>> = {
  cancel: [0, 3_000],
  long: [leaseMs + 500, leaseMs + 3_000],
}

/** The job of a number: the same for the same seed, whenever it is its turn. */
export function planOf(options: {
  seed: number
  number: number
  first: string
  all: readonly string[]
}): Plan {
  const { seed, number, first, all } = options
  const random = createRandom(Math.imul(seed, 0x9e3779b1) + number)
  const kind = kindOf(random)
  const usual = {
    name: `job-${number}`,
    kind,
    containers: kind === 'stream' ? [first] : chainOf(random, { first, all }),
    fillerBytes: kind === 'large' ? random.between(80_000, 300_000) : random.between(0, 2_000),
    timeoutSeconds: kind === 'hang' ? random.between(5, 15) / 10 : null,
    cancelAfterMs: kind === 'cancel' ? random.between(0, 1_500) : null,
  }
  const steps = usual.containers.map((_, index): Step => {
    const isLast = index === usual.containers.length - 1
    const afterMs = random.between(...(isLast ? (lastMs[kind] ?? usualMs) : usualMs))
    if (!isLast) return { act: 'answer', afterMs }
    if (kind === 'stream')
      return { act: 'stream', afterMs, pieces: random.between(1, 40), everyMs: random.between(1, 60) }
    return { act: kind === 'refuse' || kind === 'exit' || kind === 'hang' ? kind : 'answer', afterMs }
  })
  return { ...usual, steps }
}

function kindOf(random: Random): Kind {
  let left = random.between(0, 999)
  for (const [kind, share] of shares) {
    if (left < share) return kind
    left -= share
  }
  return 'answer'
}

function chainOf(random: Random, { first, all }: { first: string; all: readonly string[] }): string[] {
  const chain = [first]
  const others = all.filter(id => id !== first)
  while (chain.length < 3 && random.chance(0.3))
    chain.push(...others.splice(random.between(0, others.length - 1), 1))
  return chain
}

export function jobOf(plan: Plan): NewJob {
  const { name, steps, containers, timeoutSeconds } = plan
  return {
    containers: [...containers],
    ...(timeoutSeconds !== null && { timeout: timeoutSeconds }),
    data: { name, filler: fillerOf(plan), steps, trail: [] },
  }
}

/** What a success has to say, as JSON text; of a stream, as text. */
export function outputOf(plan: Plan): string {
  const { name, containers, steps } = plan
  const [step] = steps
  if (step?.act === 'stream') return Array.from({ length: step.pieces }, (_, n) => `${name} ${n}\n`).join('')
  return JSON.stringify({ name, filler: fillerOf(plan), steps: [], trail: containers })
}

/** Into the first container, and out of each. */
export function carriedBytes({ fillerBytes, containers }: Plan): number {
  return fillerBytes * (containers.length + 1)
}

/** Differs from job to job in every few bytes. */
function fillerOf({ name, fillerBytes }: Plan): string {
  return `${name} `.repeat(Math.ceil(fillerBytes / (name.length + 1))).slice(0, fillerBytes)
}
