import { zeroAddress } from 'viem'
import { priceScale, type Worth } from './serve.ts'
import type { Stagger } from './stagger.ts'
import type { Verifiers } from './verifiers.ts'

/** Bounds of what one consumer may cost in a day: the last 24 hours, by the hour. null: it may cost whatever it does. */
export type Limits = {
  /** Answers that were mined, and failed. */
  reverted: number | null
  /** Answers that were mined, and whose proofs were rejected, at once or later, or got no verdict in time and no pay. */
  rejected: number | null
  /** Gas of both. */
  wastedGas: number | null
  /** Gas of answers that their pay did not cover. */
  unpaidGas: number | null
  /** Answers that were computed, and given up since the chain would not take them. */
  dropped: number | null
}

/** What a node does so as not to be robbed. */
export type Guard = { limits: Limits; verifiers: Verifiers; worth: Worth; stagger: Stagger }

/** Whoever asks is served, whatever comes of it. */
export const noLimits: Limits = {
  reverted: null,
  rejected: null,
  wastedGas: null,
  unpaidGas: null,
  dropped: null,
}

/** Whoever asks is served, and whoever judges is trusted. */
export const openGuard: Guard = {
  limits: noLimits,
  verifiers: null,
  worth: { serve: { kind: 'always' }, prices: new Map([[zeroAddress, priceScale]]), gasGuess: 200_000 },
  stagger: { peers: [], blocks: 1 },
}
