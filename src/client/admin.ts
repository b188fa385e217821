import * as v from 'valibot'
import type { LedgerDay, LedgerEntry } from '../protocol/ledger.ts'
import { type EnrolRequest, Runner, RunnerMode } from '../protocol/runner.ts'
import { parse } from './answer.ts'
import { toBody } from './body.ts'
import { type LedgerOptions, readLedger, readLedgerEntries } from './ledger.ts'
import { type CallOptions, createTransport, type TransportOptions } from './transport.ts'

/** What an operator does. Every call may throw InfernetError `unauthorized`. */
export type Admin = {
  /** Newest first. */
  listRunners(options?: CallOptions): Promise<Runner[]>
  /** Enrolling a key again renames it and lifts a revocation. @returns the runner's id. */
  enrolRunner(request: EnrolRequest, options?: CallOptions): Promise<string>
  /** @throws InfernetError `not_found` */
  revokeRunner(id: string, options?: CallOptions): Promise<void>
  /** @throws InfernetError `not_found` */
  setRunnerMode(id: string, mode: Runner['mode'], options?: CallOptions): Promise<void>
  /** What was earned and spent on a chain: sums of each day, consumer and token, the oldest first. */
  ledger(options?: LedgerOptions): AsyncGenerator<LedgerDay, void, undefined>
  /** Each entry of it. */
  ledgerEntries(options?: LedgerOptions): AsyncGenerator<LedgerEntry, void, undefined>
}

const Id = v.object({ id: v.string() })

/** `token`: the node's `ADMIN_TOKEN`. */
export function createAdmin({ token, headers, ...rest }: TransportOptions & { token: string }): Admin {
  const authorized = new Headers(headers)
  authorized.set('authorization', `Bearer ${token}`)
  const transport = createTransport({ ...rest, headers: authorized })
  const { send } = transport
  const pathOf = (id: string) => `/admin/runners/${encodeURIComponent(id)}`
  return {
    async listRunners({ signal } = {}) {
      const answer = await send({ method: 'GET', path: '/admin/runners', repeatable: true, signal })
      return parse(v.array(Runner), answer)
    },
    async enrolRunner(request, { signal } = {}) {
      const body = toBody(JSON.stringify(request))
      const answer = await send({ method: 'POST', path: '/admin/runners', body, repeatable: true, signal })
      return parse(Id, answer).id
    },
    async revokeRunner(id, { signal } = {}) {
      parse(Id, await send({ method: 'DELETE', path: pathOf(id), repeatable: true, signal }))
    },
    async setRunnerMode(id, mode, { signal } = {}) {
      const body = toBody(JSON.stringify({ mode } satisfies RunnerMode))
      parse(RunnerMode, await send({ method: 'PATCH', path: pathOf(id), body, repeatable: true, signal }))
    },
    ledger: options => readLedger(transport, options),
    ledgerEntries: options => readLedgerEntries(transport, options),
  }
}
