import type { RunnerStatus } from './status.ts'

/** A state as text for a terminal of so many columns. */
export function renderStatus(status: RunnerStatus, { columns }: { columns: number }): string {
  const { edge, spool } = status
  const lines = [
    `runner ${status.runner}  version ${status.version}  up ${duration(status.uptime_ms)}`,
    status.ready ? 'ready' : `not ready: ${status.reasons.join('; ')}`,
    `edge   ${edge.url}  ${edge.registered ? edge.mode : 'not registered'}  answered ${ago(edge.answered_ms_ago)}  ` +
      `heartbeat ${ago(edge.heartbeat_ms_ago)}  round trip ${edge.round_trip_ms} ms`,
    `spool  ${bytes(spool.bytes)} of ${bytes(spool.max_bytes)}  streams ${bytes(spool.stream_bytes)}  ` +
      `results waiting ${status.unreported}`,
    `host   ${labelsText(status.labels)}`,
    `disk   ${status.disks.map(diskText).join('  ')}`,
    ...status.findings.map(findingText),
    '',
    ...gpuTable(status),
    ...table([
      ['CONTAINER', 'HEALTH', 'BUSY', 'DETAIL'],
      ...status.containers.map(({ id, health, busy, slots, code, detail }) => [
        id,
        health,
        `${busy}/${slots}`,
        [code, detail].filter(one => one !== null).join(': '),
      ]),
    ]),
    '',
    ...table([
      [`JOBS ${status.jobs.length}`, 'TRY', 'KIND', 'FOR', 'CONTAINERS'],
      ...status.jobs.map(({ id, attempt, stream, for_ms: forMs, containers }) => [
        id,
        String(attempt),
        stream ? 'stream' : 'job',
        duration(forMs),
        containers.join(' > '),
      ]),
    ]),
  ]
  return lines.map(line => cut(line, columns)).join('\n')
}

function labelsText(labels: RunnerStatus['labels']): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${[value].flat().join('|')}`)
    .join('  ')
}

function diskText({ what, free_bytes: free }: RunnerStatus['disks'][number]): string {
  return `${what} ${free === null ? 'not seen' : `${bytes(free)} free`}`
}

function findingText({ code, detail, containers }: RunnerStatus['findings'][number]): string {
  const users = containers === null ? 'everything' : containers.join(', ')
  return plain(`unfit  ${code}: ${detail}${users === '' ? '' : ` (${users})`}`)
}

function gpuTable({ gpus }: RunnerStatus): string[] {
  if (gpus.length === 0) return []
  const of = (value: number | null, unit: string) => (value === null ? '-' : `${value}${unit}`)
  return [
    ...table([
      ['GPU', 'NAME', 'MEMORY', 'USE', 'TEMP', 'PROBLEM'],
      ...gpus.map(gpu => [
        String(gpu.index),
        gpu.name,
        `${of(gpu.memory_used_mib, '')}/${of(gpu.memory_mib, ' MiB')}`,
        of(gpu.utilization, ' %'),
        of(gpu.temperature, ' C'),
        gpu.problem ?? '',
      ]),
    ]),
    '',
  ]
}

function table(rows: readonly string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  return rows.map(row =>
    row
      .map((cell, column) => plain(cell).padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

/** What a container says of itself moves no cursor. */
function plain(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]+/gu, ' ')
}

function cut(line: string, columns: number): string {
  return line.length <= columns ? line : `${line.slice(0, Math.max(0, columns - 1))}…`
}

function ago(ms: number | null): string {
  return ms === null ? 'never' : `${duration(ms)} ago`
}

export function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`
}

export function bytes(count: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const
  let value = count
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}
