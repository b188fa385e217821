import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Types of each runtime: the protocol sees neither Workers nor Node, the edge no Node, the rest no Workers. */
const root = fileURLToPath(new URL('..', import.meta.url))
let failed = false
for (const project of ['src/protocol', 'src/edge', '.']) {
  const { status } = spawnSync('tsc', ['--noEmit', '-p', project], { cwd: root, stdio: 'inherit' })
  console.log(`${project}: ${status === 0 ? 'types are sound' : 'type errors'}`)
  failed ||= status !== 0
}
process.exit(failed ? 1 : 0)
