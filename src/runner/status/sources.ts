import type { Gpu } from '../../protocol/host.ts'
import type { Labels } from '../../protocol/labels.ts'
import type { Containers } from '../containers.ts'
import type { Mode } from '../control.ts'
import type { Disk } from '../disk.ts'
import type { Edge } from '../edge/connect.ts'
import type { Meter } from '../edge/meter.ts'
import type { SeenRoom } from '../fitness/disk.ts'
import type { Fitness } from '../fitness/fitness.ts'
import type { Heartbeat } from '../heartbeat/heartbeat.ts'
import type { Leases } from '../leases.ts'
import type { Spool } from '../spool/spool.ts'
import type { Tally } from '../tally.ts'

/** Where a runner's state is read from by those who watch it. */
export type Sources = {
  runner: string
  instance: string
  edgeUrl: string
  edge: Pick<Edge, 'roundTripMs'>
  meter: Meter
  tally: Tally
  containers: Containers
  labels: () => Labels
  gpus: () => readonly Gpu[]
  rooms: () => readonly SeenRoom[]
  fitness: Pick<Fitness, 'isFit' | 'findings'>
  leases: Leases
  heartbeat: Heartbeat
  disk: Pick<Disk, 'works'>
  spool: Pick<Spool, 'tapes'>
  spoolBytes: () => number
  spoolMaxBytes: () => number
  isFull: () => boolean
  isRegistered: () => boolean
  mode: () => Mode
  /** Claims nothing more, for good. */
  isEnding: () => boolean
}
