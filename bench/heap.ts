import * as v from 'valibot'

const Target = v.object({ id: v.string(), webSocketDebuggerUrl: v.string() })
const Usage = v.object({
  result: v.object({
    usedSize: v.number(),
    embedderHeapUsedSize: v.optional(v.number(), 0),
    backingStorageSize: v.optional(v.number(), 0),
  }),
})

const everyMs = 20

export type HeapWatch = {
  /** The most that the isolate was seen to hold: JavaScript heap in use and array buffers, garbage not yet collected included. */
  peakBytes(): number
  close(): void
}

/**
 * Watches the edge's isolate through workerd's inspector. This is what Workers bounds at 128 MB; the process around it also holds
 * its program (about 55 MiB) and what its allocator keeps for later.
 */
export async function watchHeap(inspectorPort: number): Promise<HeapWatch> {
  const targets = v.parse(
    v.array(Target),
    await (await fetch(`http://127.0.0.1:${inspectorPort}/json`)).json(),
  )
  const target = targets.find(({ id }) => id.includes('edge'))
  if (!target) throw new Error(`No isolate of the edge among ${targets.map(({ id }) => id).join(', ')}`)
  const socket = new WebSocket(target.webSocketDebuggerUrl)
  await new Promise((resolve, reject) => {
    socket.onopen = resolve
    socket.onerror = () => reject(new Error('The inspector does not answer'))
  })
  let peak = 0
  let asked = 0
  socket.onmessage = ({ data }) => {
    const { result } = v.parse(Usage, JSON.parse(String(data)))
    peak = Math.max(peak, result.usedSize + result.embedderHeapUsedSize + result.backingStorageSize)
  }
  const timer = setInterval(() => {
    asked += 1
    socket.send(JSON.stringify({ id: asked, method: 'Runtime.getHeapUsage' }))
  }, everyMs)
  return {
    peakBytes: () => peak,
    close() {
      clearInterval(timer)
      socket.close()
    },
  }
}
