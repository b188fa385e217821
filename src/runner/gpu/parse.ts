import type { Gpu } from '../../protocol/host.ts'

/** The columns, in order, that `parseGpus` reads. */
export const columns = [
  'index',
  'uuid',
  'name',
  'memory.total',
  'memory.used',
  'utilization.gpu',
  'temperature.gpu',
  'driver_version',
] as const

/** What stands in place of a number that this GPU, driver, or user does not have. */
const unknown = /^\[(N\/A|Not Supported|Insufficient Permissions|Not Found)\]$/i
/** In place of a number, of a GPU that is in no state to be used: `[GPU is lost]`, `[GPU requires reset]`, `[Unknown Error]`. */
const broken = /^\[(.+)\]$/

/**
 * Reads what `nvidia-smi --query-gpu=... --format=csv,noheader,nounits` has said: a line for each GPU. Strictly, since a number that was
 * guessed would be believed.
 * @throws Error that quotes the line that cannot be read.
 */
export function parseGpus(text: string): Gpu[] {
  if (/^No devices were found/m.test(text)) return []
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '')
    .map(parseLine)
}

function parseLine(line: string): Gpu {
  const fields = line.split(',').map(field => field.trim())
  const [index = '', uuid = ''] = fields
  // Whatever is between them is the name, commas included.
  const [total, used, utilization, temperature, driver] = fields.slice(-5)
  const name = fields.slice(2, -5).join(', ')
  const isGpu = /^\d{1,3}$/.test(index) && /^GPU-[0-9a-f-]{1,64}$/i.test(uuid) && name !== ''
  if (fields.length < columns.length || !isGpu) throw unreadable(line)
  const numbers = [total, used, utilization, temperature].map(field => parseNumber(field, line))
  const [memory_mib = null, memory_used_mib = null, percent = null, degrees = null] = numbers.map(
    number => number.value,
  )
  return {
    index: Number(index),
    uuid,
    name: name.slice(0, 128),
    driver: driver?.slice(0, 64) ?? '',
    memory_mib,
    memory_used_mib,
    utilization: percent,
    temperature: degrees,
    problem: numbers.find(number => number.problem !== null)?.problem ?? null,
  }
}

function parseNumber(field = '', line: string): { value: number | null; problem: string | null } {
  if (/^\d{1,9}$/.test(field)) return { value: Number(field), problem: null }
  if (unknown.test(field)) return { value: null, problem: null }
  const [, problem] = broken.exec(field) ?? []
  if (problem === undefined) throw unreadable(line)
  return { value: null, problem: problem.slice(0, 256) }
}

function unreadable(line: string): Error {
  return new Error(`nvidia-smi has said something else than was asked: ${JSON.stringify(line.slice(0, 200))}`)
}
