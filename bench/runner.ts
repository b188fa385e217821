import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { leanHeap } from '../src/host/lean-heap.ts'
import { generateKey } from '../src/runner/key/generate.ts'
import { startFakeEdge } from '../test/runner/fake-edge.ts'
import { startProcess } from './processes.ts'
import type { Report } from './report.ts'

const jobs = 10_000
const pace = { lease_ms: 60_000, heartbeat_ms: 10_000, wait_ms: 5_000 }

/** The runner alone: jobs from an edge that keeps them in memory, through a container that does nothing. */
export async function benchRunner(report: Report): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'infernet-bench-'))
  const edge = await startFakeEdge({ record: false, pace })
  const container = await startProcess(['bench/noop.ts'])
  const key = await generateKey(join(folder, 'runner.pem'))
  edge.enrol(key)
  const config = {
    edge: { url: edge.url, key_file: 'runner.pem' },
    manage_containers: false,
    containers: [{ id: 'noop', url: container.firstLine, slots: 64 }],
  }
  const path = join(folder, 'config.json')
  writeFileSync(path, JSON.stringify(config))
  const runner = await startProcess(
    [leanHeap, 'src/runner/main.ts', 'run', '--config', path],
    {},
    /Registered/,
  )

  async function complete(count: number): Promise<void> {
    const goal = edge.state.completed + count
    const data = JSON.stringify({ prompt: 'x'.repeat(200) })
    for (let index = 0; index < count; index += 1) edge.enqueue({ containers: ['noop'], data })
    while (edge.state.completed < goal) await new Promise(resolve => setTimeout(resolve, 5))
  }

  try {
    await complete(jobs / 5)
    const from = { at: performance.now(), cpu: cpuSeconds(runner.pid) }
    await complete(jobs)
    report('completed_per_s', jobs / ((performance.now() - from.at) / 1000), '1/s')
    report('cpu_ms_per_job', ((cpuSeconds(runner.pid) - from.cpu) * 1000) / jobs, 'ms')
  } finally {
    await runner.close()
    await container.close()
    edge.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** User and system time of a process, all its threads, from Linux's /proc. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}
