import type { Lease } from '../../protocol/runner.ts'
import type { Edge } from './connect.ts'

export type Part = { lease: Lease; kind: 'result' | 'intermediate'; seq: number; bytes: Uint8Array }

/** Uploads one part of a payload; `seq` begins at 0. Harmless to repeat. */
export async function putPart(
  edge: Edge,
  { lease, kind, seq, bytes }: Part,
  signal?: AbortSignal,
): Promise<void> {
  const path = `/runner/jobs/${lease.id}/result/${seq}?attempt=${lease.attempt}&kind=${kind}`
  const { body } = await edge.send({ method: 'PUT', path, body: bytes, signal })
  await body.dump()
}
