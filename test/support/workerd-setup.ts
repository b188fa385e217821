import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundleEdge } from '../../src/local/edge.ts'

let folder: string | undefined

/** Before the first file of a run: most of them start the edge, some many times. */
export async function setup(): Promise<void> {
  folder = await mkdtemp(join(tmpdir(), 'infernet-edge-module-'))
  const module = join(folder, 'edge.js')
  await bundleEdge(module)
  process.env.EDGE_MODULE = module
}

export async function teardown(): Promise<void> {
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
}
