import { type Edge, type EdgeOptions, startEdge } from '../../src/local/edge.ts'

/** The edge on workerd. Its module was made once, for all files of this run, where `workerd-setup.ts` has. */
export function startWorkerd(options: EdgeOptions): Promise<Edge> {
  const module = process.env.EDGE_MODULE
  return startEdge({ ...options, ...(module && { module }) })
}
