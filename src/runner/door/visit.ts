import { type Dispatcher, request } from 'undici'
import * as v from 'valibot'
import type { Config } from '../config/config.ts'
import { RunnerStatus } from '../status/status.ts'
import { messageOf } from '../trouble.ts'
import { type Address, readAddress } from './address.ts'

/** No runner is there to be asked. The message says why, and what to do. */
export class NoRunnerError extends Error {
  override readonly name = 'NoRunnerError'
}

const timeoutMs = 5_000

/** The state of the runner that has this configuration's spool. @throws NoRunnerError */
export async function fetchStatus(config: Pick<Config, 'spool' | 'listen'>): Promise<RunnerStatus> {
  const address = await addressOf(config)
  const { body } = await ask(address, '/status')
  const parsed = v.safeParse(RunnerStatus, await body.json().catch(() => null))
  // A process that was killed leaves its address behind, where somebody else may listen by now.
  if (!parsed.success || parsed.output.instance !== address.instance) throw gone(address)
  return parsed.output
}

/** Its log as it comes. @throws NoRunnerError */
export async function fetchLog(
  config: Pick<Config, 'spool' | 'listen'>,
  { tail, follow, signal }: { tail: number; follow: boolean; signal: AbortSignal },
): Promise<AsyncIterable<Uint8Array>> {
  await fetchStatus(config)
  const address = await addressOf(config)
  return (await ask(address, `/log?tail=${tail}&follow=${follow ? 1 : 0}`, signal)).body
}

async function addressOf({ spool, listen }: Pick<Config, 'spool' | 'listen'>): Promise<Address> {
  const address = await readAddress(spool.directory)
  if (address !== null) return address
  throw new NoRunnerError(
    listen === null
      ? '`listen` is "" in the configuration: a runner of it cannot be asked'
      : `No runner of this configuration runs, or it is another user's: there is no address in ${spool.directory}`,
  )
}

async function ask(address: Address, path: string, signal?: AbortSignal): Promise<Dispatcher.ResponseData> {
  const asked = request(`${address.url}${path}`, {
    headersTimeout: timeoutMs,
    bodyTimeout: 0,
    signal: signal ?? AbortSignal.timeout(timeoutMs),
  })
  return await asked.catch((cause: unknown) => {
    throw gone(address, cause)
  })
}

function gone({ url }: Address, cause?: unknown): NoRunnerError {
  const why = cause === undefined ? 'somebody else does' : messageOf(cause)
  return new NoRunnerError(`The runner does not answer at ${url} any more: ${why}`)
}
