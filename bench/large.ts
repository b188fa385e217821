import { freePort } from '../src/local/port.ts'
import { watchHeap } from './heap.ts'
import type { Report } from './report.ts'
import { residentBytes } from './resident.ts'
import { startBenchStack } from './stack.ts'

const jobs = 20
/** A body of 16 MiB, the most that the edge takes. */
const bodyBytes = 16 * 1024 * 1024

/** 20 jobs of 16 MiB in and out, all at once: what the edge holds in memory, and the database's largest answer. */
export async function benchLarge(report: Report): Promise<void> {
  const inspectorPort = await freePort()
  const stack = await startBenchStack({ count: true, container: 'echo', inspectorPort })
  const heap = await watchHeap(inspectorPort)
  const runner = await stack.startRunner()
  try {
    const idle = residentBytes(stack.edge.pid)
    const head = '{"containers":["echo"],"data":{"x":"'
    const tail = '"}}'
    const body = head + 'x'.repeat(bodyBytes - head.length - tail.length) + tail
    const started = performance.now()
    const texts = await Promise.all(Array.from({ length: jobs }, () => roundTrip(stack.edge.url, body)))
    report('seconds_for_20', (performance.now() - started) / 1000, 's')
    report('edge_isolate_peak_mib', heap.peakBytes() / 2 ** 20, 'MiB heap and buffers')
    report('edge_idle_mib', idle / 2 ** 20, 'MiB resident')
    report('edge_peak_mib', residentBytes(stack.edge.pid, 'VmHWM') / 2 ** 20, 'MiB resident')
    report('largest_sql_answer_mib', (stack.counters?.sql.largestAnswer() ?? 0) / 2 ** 20, 'MiB')
    const whole = texts.filter(length => length > bodyBytes - 64).length
    report('whole_results', whole, `of ${jobs}`)
  } finally {
    heap.close()
    await runner.close()
    await stack.close()
  }
}

/** @returns the length of the answer. */
async function roundTrip(url: string, body: string): Promise<number> {
  const created = await fetch(`${url}/api/jobs`, { method: 'POST', body })
  if (!created.ok) throw new Error(await created.text())
  const { id } = (await created.json()) as { id: string }
  for (;;) {
    const answer = await fetch(`${url}/api/jobs?id=${id}`)
    const text = await answer.text()
    if (text.includes('"status":"success"')) return text.length
    if (text.includes('"status":"failed"')) throw new Error(text.slice(0, 500))
    await new Promise(resolve => setTimeout(resolve, 250))
  }
}
