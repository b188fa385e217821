import { createPart, type Part } from './part.ts'
import { type RunnerProcess, type System, startSystem } from './system.ts'

export type Program = 'edge' | 'database' | 'runner' | 'container'

/** A system with one runner, for stories that are played one after the other. */
export type Theatre = {
  system: System
  programs: Record<Program, Part>
  runner(): RunnerProcess
  /** Whatever a story that failed has left standing still or held goes on. */
  tidy(): void
}

export async function openTheatre(): Promise<Theatre> {
  const system = await startSystem({ slots: 4 })
  let current: RunnerProcess | null = null
  const runner = createPart(async () => {
    current = await system.startRunner()
    return current
  })
  await runner.start()
  const { edge, database, container } = system
  const programs = { edge, database, runner, container }
  return {
    system,
    programs,
    runner() {
      if (current === null) throw new Error('There is no runner')
      return current
    },
    tidy() {
      for (const program of Object.values(programs)) program.resume()
      for (const gate of Object.values(system.gates)) gate.clear()
    },
  }
}
