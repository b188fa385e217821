/** Prints what is done as it is done, with the time that it took. */
export type Steps = {
  /** Runs one step and prints its outcome: what `work` returns, or why it failed. */
  run<Result>(name: string, work: () => Promise<Result>, tell?: (result: Result) => string): Promise<Result>
  note(line: string): void
}

export function createSteps(
  print: (line: string) => void,
  now: () => number = () => performance.now(),
): Steps {
  return {
    async run(name, work, tell) {
      const begun = now()
      try {
        const result = await work()
        print(`${seconds(now() - begun)}  ${name}${tell ? `: ${tell(result)}` : ''}`)
        return result
      } catch (error) {
        print(`${seconds(now() - begun)}  ${name}: failed`)
        throw error
      }
    },
    note: line => print(`          ${line}`),
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2).padStart(6)} s`
}
