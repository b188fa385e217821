/** Preloaded into a runner: a disk that takes a second for each batch, and tells when it begins. */
import { open } from 'node:fs/promises'
import { isMainThread } from 'node:worker_threads'

const writeMs = 1_000

if (isMainThread) {
  const file = await open(process.execPath, 'r')
  const handle: { writeFile: (...args: unknown[]) => Promise<void> } = Object.getPrototypeOf(file)
  await file.close()
  const { writeFile } = handle
  handle.writeFile = async function slowly(...args) {
    process.send?.('writing')
    await new Promise(resolve => setTimeout(resolve, writeMs))
    await writeFile.apply(this, args)
  }
}
