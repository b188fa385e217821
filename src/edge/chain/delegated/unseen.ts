import type { Hex } from 'viem'

/** The block in which what nobody has created was first seen: none, so that no reorganisation undoes it. */
export const unseen = { number: 0, hash: '0x' as Hex }
