/** Takes one figure. What was counted stays whole. */
export type Report = (figure: string, value: number, unit: string) => void

/** A table for people, or with `json` one object a line. */
export function createReport({ bench, json }: { bench: string; json: boolean }): Report {
  return (figure, value, unit) => {
    const rounded = Number.isInteger(value) ? value : Number(value.toPrecision(4))
    if (json) console.log(JSON.stringify({ bench, figure, value: rounded, unit }))
    else console.log(`${bench.padEnd(8)}${figure.padEnd(38)}${String(rounded).padStart(10)} ${unit}`)
  }
}
