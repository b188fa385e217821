import { vi } from 'vitest'
import { createRelay, type RelayOptions } from '../../../src/edge/stream/relay.ts'
import { limits } from '../../../src/protocol/limits.ts'
import { contentOf, createFakeStore } from './store.ts'

export const kibibyte = 1024
/** Of what is stored. */
export const cap = 1024 * kibibyte
/** What a relay takes ahead of its readers. */
export const room = limits.streamWindowBytes + limits.streamStoreBytes + 64 * kibibyte

/** Time goes on, where it is held. */
export const soon = async (ms = 0) => void (await vi.advanceTimersByTimeAsync(ms))

/** A relay before a store in memory, with uploads and readers that do as they are told. */
export function setup({
  unreadMs = 1_000,
  ...options
}: Partial<RelayOptions> & { unreadMs?: number | null } = {}) {
  const store = createFakeStore({ unreadMs })
  const onIdle = vi.fn()
  const relay = createRelay({ store, storedBytes: cap, onIdle, ...options })
  const lease = { runner: 'r', id: 'j', attempt: 1 }
  let keys = 0

  /** A body that makes 64 KiB when it is asked for more. */
  function body(from: number, bytes: number) {
    const made = { bytes: 0 }
    const stream = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          const piece = Math.min(64 * kibibyte, bytes - made.bytes)
          if (piece === 0) return controller.close()
          controller.enqueue(contentOf(from + made.bytes, from + made.bytes + piece))
          made.bytes += piece
        },
      },
      { highWaterMark: 0 },
    )
    return { made, stream }
  }

  /** A body that a test writes by hand. */
  function writable() {
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined
    const stream = new ReadableStream<Uint8Array>({
      start(given) {
        controller = given
      },
    })
    return { stream, write: (from: number, to: number) => controller?.enqueue(contentOf(from, to)) }
  }

  return {
    store,
    relay,
    writable,
    onIdle,
    body,
    upload: (bytes: number, { from = 0, attempt = 1 } = {}) =>
      relay.write({ ...lease, attempt, from }, body(from, bytes).stream),
    ask: ({ from = 0, attempt = 1 } = {}) => relay.write({ ...lease, attempt, from }, null),
    /** A reader that takes a frame when it is told to. */
    async sit({
      from = 0,
      mayFollow = false,
      ...given
    }: {
      from?: number
      mayFollow?: boolean
      key?: string
    } = {}) {
      keys += 1
      const key = given.key ?? `k${keys}`
      const output = await relay.read({ key, from, mayFollow, unreadMs })
      const source = output?.getReader()
      const seen = { bytes: 0, offset: -1, isOver: false }
      const take = async () => {
        const { done, value } = (await source?.read()) ?? { done: true }
        if (done || !value) {
          seen.isOver = true
          return null
        }
        seen.bytes += value.bytes.byteLength
        seen.offset = value.offset
        return value
      }
      return {
        key,
        isCrowded: output === null,
        seen,
        take,
        /** Takes all that comes from here on. */
        async follow() {
          while ((await take()) !== null);
        },
        leave: () => source?.cancel(),
      }
    },
  }
}
