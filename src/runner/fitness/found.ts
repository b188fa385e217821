import type { CauseCode } from '../cause.ts'

/** Something about this host that keeps it from working. */
export type Found = OfContainers | OfRunner

/** `containers`: those that cannot work with it, and are told so, which may be none; null: nothing can. */
export type OfContainers = {
  code: CauseCode
  /** The same words as long as it is the same: it is told once. */
  detail: string
  containers: readonly string[] | null
  /** A container that went through it does not work again until it is started anew. */
  breaks?: true
}

/** `containers` empty: it is told, and nothing is held for it. */
export type OfRunner = {
  code: 'clock_off' | 'edge_unreachable'
  detail: string
  containers: null | readonly []
}

/** A look at one side of the host. @returns what is wrong with it, nothing when it is well. */
export type Check = () => Promise<readonly Found[]>

/** `decisive`: without what they find nothing may be claimed. They ask nobody, and so are not waited for long. */
export type Checks = { decisive: readonly Check[]; others: readonly Check[] }
