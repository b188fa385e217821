import { residentBytes } from '../../../bench/resident.ts'

const everyMs = 500

/** Resident memory of programs, by third of the time in which they are looked at. */
export type Memory = {
  /** Begins the next third. */
  turn(): void
  /** Median of a third, in bytes; 0 is the first. */
  median(program: string, third: number): number
  stop(): void
}

/** `pids`: by program; a program may be another process each time. */
export function watchMemory(pids: Record<string, () => number>): Memory {
  const samples = new Map<string, number[]>()
  let third = 0
  const timer = setInterval(() => {
    for (const [program, pid] of Object.entries(pids)) {
      const bytes = sample(pid())
      if (bytes > 0)
        samples.set(`${program} ${third}`, [...(samples.get(`${program} ${third}`) ?? []), bytes])
    }
  }, everyMs)

  return {
    turn() {
      third += 1
    },
    median(program, of) {
      const sorted = (samples.get(`${program} ${of}`) ?? []).toSorted((a, b) => a - b)
      return sorted[sorted.length >> 1] ?? Number.NaN
    },
    stop: () => clearInterval(timer),
  }
}

/** 0 for a process that has just died. */
function sample(pid: number): number {
  try {
    return residentBytes(pid) || 0
  } catch {
    return 0
  }
}
