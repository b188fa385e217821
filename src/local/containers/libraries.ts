import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/**
 * The shared libraries of this machine that the given programs and libraries need, and the loader, by the path
 * under which the loader looks for them. Libraries that lie beside what needs them (`within`) are left out.
 */
export async function sharedLibraries(binaries: string[], within = ''): Promise<string[]> {
  const outputs = await Promise.all(binaries.map(async file => (await run('ldd', [file])).stdout))
  const found = new Set<string>()
  for (const line of outputs.join('\n').split('\n')) {
    if (line.includes('not found')) throw new Error(`a shared library is missing:${line}`)
    const path = /=> (\/\S+) \(0x/.exec(line)?.[1] ?? /^\s*(\/\S+) \(0x/.exec(line)?.[1]
    if (path && !(within && path.startsWith(within))) found.add(path)
  }
  return [...found].sort()
}
