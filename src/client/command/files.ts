import { open, readFile, writeFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { UsageError } from './exit.ts'

/** The text of a file, or of stdin for `-`. */
export async function readInput(path: string): Promise<string> {
  if (path === '-') return await text(process.stdin)
  return await readFile(path, 'utf8').catch((error: Error) => {
    throw new UsageError(`Cannot read the input: ${error.message}`)
  })
}

/** Writes a line to a file, or to stdout for `-`. */
export async function writeOutput(path: string, line: string): Promise<void> {
  if (path !== '-') {
    await writeFile(path, `${line}\n`).catch((error: Error) => {
      throw new UsageError(`Cannot write the output: ${error.message}`)
    })
    return
  }
  await new Promise<void>((resolve, reject) => {
    process.stdout.write(`${line}\n`, error => {
      // A reader that has seen enough, such as `head`, is no failure of ours.
      if (error && !('code' in error && error.code === 'EPIPE')) reject(error)
      else resolve()
    })
  })
}

/** Writes bytes as they come, to a file, or to stdout for `-`. A reader that has seen enough, such as `head`, ends it. */
export async function writePieces(path: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  if (path !== '-') {
    const file = await open(path, 'w').catch((error: Error) => {
      throw new UsageError(`Cannot write the output: ${error.message}`)
    })
    try {
      for await (const piece of pieces) await file.writeFile(piece)
    } finally {
      await file.close()
    }
    return
  }
  for await (const piece of pieces) {
    const isTaken = await new Promise<boolean>((resolve, reject) => {
      process.stdout.write(piece, error => {
        if (error && !('code' in error && error.code === 'EPIPE')) reject(error)
        else resolve(!error)
      })
    })
    if (!isTaken) return
  }
}
