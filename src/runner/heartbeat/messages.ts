import type { HostReport } from '../../protocol/host.ts'
import type { HeartbeatRequest, Lease } from '../../protocol/runner.ts'

/** What the heartbeat thread is started with. The private key is in PKCS#8 PEM. */
export type Setup = {
  url: string
  audience: string
  id: string
  privateKey: string
  instance: string
  heartbeatMs: number
  state: State
}

/** Everything a beat tells. */
export type State = {
  leases: HeartbeatRequest['leases']
  health: HeartbeatRequest['containers']
  host: HostReport
}

export type ToThread =
  | { kind: 'held'; leases: HeartbeatRequest['leases'] }
  | { kind: 'started'; lease: Lease }
  | { kind: 'dropped'; leases: readonly Lease[] }
  | { kind: 'health'; health: HeartbeatRequest['containers'] }
  /** Goes with the next beat, and no other. `isNews`: the edge should not wait for the regular one. */
  | { kind: 'host'; host: HostReport; isNews: boolean }
  | { kind: 'pace'; heartbeatMs: number }
  /** The main thread is alive. */
  | { kind: 'ping' }
  /** Beat at once, and say so when the edge has answered. */
  | { kind: 'beat'; ticket: number }

export type FromThread =
  | { kind: 'lost'; leases: Lease[] }
  | { kind: 'beaten'; ticket: number }
  | { kind: 'failed'; error: string }
  | { kind: 'works' }
