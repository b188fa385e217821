import { createPrivateKey } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import type { HostReport } from '../../protocol/host.ts'
import { limits } from '../../protocol/limits.ts'
import { createBackoff } from '../backoff.ts'
import { createEdge } from '../edge/connect.ts'
import { heartbeat } from '../edge/heartbeat.ts'
import { paceOf } from '../edge/retry.ts'
import { createSigner } from '../key/signer.ts'
import { createNotice } from '../notice.ts'
import { messageOf } from '../trouble.ts'
import type { FromThread, Setup, ToThread } from './messages.ts'
import { createPulse } from './pulse.ts'

/** The heartbeat thread: its own event loop, connection and token, so that whatever stalls the main one loses no lease. */
const { url, audience, id, privateKey, instance, heartbeatMs, state } = workerData as Setup
const edge = createEdge({
  url,
  id,
  signer: createSigner({ id, audience, privateKey: createPrivateKey(privateKey) }),
})
const pulse = createPulse({ state, heartbeatMs, now: () => performance.now() })
const tickets: number[] = []
const asked = createNotice()
const never = new AbortController().signal
let { health } = state
/** To be told; null: it was. */
let host: HostReport | null = state.host

/** How often it is looked whether a beat is due. */
const tickMs = 150

function post(message: FromThread): void {
  parentPort?.postMessage(message)
}

parentPort?.on('message', (message: ToThread) => {
  pulse.alive()
  switch (message.kind) {
    case 'held':
      return pulse.held(message.leases)
    case 'started':
      return pulse.started(message.lease)
    case 'dropped':
      return pulse.dropped(message.leases)
    case 'pace':
      return pulse.pace(message.heartbeatMs)
    case 'health':
      health = message.health
      pulse.news()
      asked.post()
      return
    case 'host':
      host = message.host
      if (!message.isNews) return
      pulse.news()
      asked.post()
      return
    case 'beat':
      tickets.push(message.ticket)
      asked.post()
  }
})

async function beat(): Promise<void> {
  const leases = pulse.leases().slice(0, limits.holding)
  const served = tickets.length
  const told = host
  const answer = await heartbeat(edge, { instance, leases, containers: health, ...(told && { host: told }) })
  if (host === told) host = null
  const lost = pulse.beaten(leases, answer)
  if (lost.length > 0) post({ kind: 'lost', leases: lost })
  for (const ticket of tickets.splice(0, served)) post({ kind: 'beaten', ticket })
}

const backoff = createBackoff({ baseMs: 500, capMs: 5_000 })
for (;;) {
  if (tickets.length === 0 && !pulse.due()) {
    await asked.wait(never, tickMs)
    continue
  }
  try {
    await beat()
    backoff.reset()
    post({ kind: 'works' })
  } catch (error) {
    post({ kind: 'failed', error: messageOf(error) })
    await asked.wait(never, paceOf(error, backoff))
  }
}
