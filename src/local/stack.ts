import { type Address, parseEther, zeroAddress } from 'viem'
import { createAdmin } from '../client/admin.ts'
import { migrate } from '../edge/db/migrate.ts'
import { deploy } from './chain/deploy.ts'
import { forgetChain } from './chain/forget.ts'
import {
  anvilAccount,
  anvilKey,
  createDeployer,
  type LocalChain,
  nodePlace,
  startLocalChain,
} from './chain/start.ts'
import { factorVerifierAbi, factorVerifierBytecode } from './consumers/factor-verifier.ts'
import { type LocalContainer, type PreparedContainers, prepareContainers } from './containers/prepare.ts'
import { pricedOf } from './containers/priced.ts'
import { type Edge, startEdge } from './edge.ts'
import type { Home } from './home.ts'
import { type LibsqlServer, startLibsqlServer } from './libsql/server.ts'
import { freePort, isPortFree } from './port.ts'
import { type LocalRunner, runnerPublicKey, startRunner } from './runner.ts'
import type { Steps } from './steps.ts'

export type StackOptions = {
  home: Home
  steps: Steps
  /** The edge's port; another free one is taken when it is not, unless `portRequired`. */
  port: number
  portRequired: boolean
  docker: 'auto' | 'off'
  log(line: string): void
}

/** `verifier`: of the examples, on whose word the node stakes money. */
export type ServedChain = LocalChain & { verifier: Address }

export type Stack = {
  edge: Edge
  database: LibsqlServer
  containers: PreparedContainers
  runner: LocalRunner
  /** Null where anvil does not run. */
  chain: ServedChain | null
  close(): Promise<void>
}

/** How often the cron trigger fires in production. */
const scheduleMs = 60_000
/** As on many chains. */
const chainBlockSeconds = 2
/** Of each side, in basis points: as the deployment script has it. */
const chainFee = 500
/** What its node risks on the examples' verifier at one time. */
const maxStake = parseEther('1')
/** A model may take its time to load on a small machine. */
const readyMs = 120_000

/** The whole system on this machine: libSQL server, edge on workerd, containers, runner. What has started is closed if a later step fails. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { home, steps, docker, log } = options
  const closers: (() => Promise<void>)[] = []
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    const containers = await steps.run(
      'containers',
      () => prepareContainers({ docker, log: steps.note }),
      ({ containers }) => containers.map(describe).join(', '),
    )
    closers.push(containers.close)
    if (containers.containers.length === 0)
      throw new Error('No example container could be started; the reasons are above.')

    const database = await steps.run(
      'libSQL server',
      () => startLibsqlServer({ path: home.database }),
      ({ url }) => url,
    )
    closers.push(database.close)
    await steps.run(
      'schema',
      () => migrate({ url: database.url }),
      () => 'up to date',
    )

    const empty = await startChain(options)
    if (empty) {
      closers.push(empty.close)
      await forgetChain({ url: database.url, chain: empty.id })
    }
    const chain = empty && { ...empty, verifier: await deployVerifier(empty) }

    const port = await choosePort(options)
    const vars = { DATABASE_URL: database.url, ADMIN_TOKEN: home.adminToken, ...(chain && chainVars(chain)) }
    const edge = await steps.run(
      'edge on workerd',
      () => startEdge({ port, vars, log }),
      ({ url }) => url,
    )
    closers.push(edge.close)
    // A chain is looked at from the first time on.
    if (chain) await edge.runSchedule()
    const schedule = setInterval(() => void edge.runSchedule().catch(error => log(String(error))), scheduleMs)
    closers.push(async () => clearInterval(schedule))

    await steps.run(
      'runner enrolled',
      () => enrol(edge.url, home),
      id => id,
    )
    const offered = [...containers.containers, ...(chain ? pricedOf(containers.containers) : [])]
    const runner = startRunner({ home, edgeUrl: edge.url, containers: offered, log })
    closers.push(runner.close)
    await steps.run('containers ready', () =>
      untilReady(edge.url, { runner, ids: offered.map(({ id }) => id) }),
    )
    return { edge, database, containers, runner, chain, close }
  } catch (error) {
    await close()
    throw error
  }
}

function describe({ id, kind, model }: LocalContainer): string {
  return `${id} (${[kind, model].filter(Boolean).join(', ')})`
}

/** Jobs do without: where there is no binary of anvil, everything else works. */
async function startChain({ steps }: StackOptions): Promise<LocalChain | null> {
  return await steps
    .run(
      'chain with our contracts',
      () => startLocalChain({ blockTime: chainBlockSeconds, fee: chainFee }),
      ({ rpcUrl, registry }) => `${rpcUrl}, registry ${registry}`,
    )
    .catch((error: unknown) => {
      steps.note(`no chain: ${error instanceof Error ? error.message : error}`)
      return null
    })
}

/** Before the node is configured, which trusts no verifier but those that it names. */
async function deployVerifier({ rpcUrl, registry }: LocalChain): Promise<Address> {
  const user = createDeployer(rpcUrl, anvilAccount(4))
  return await deploy(user, factorVerifierAbi, factorVerifierBytecode, [registry])
}

/** The node answers there as the account that Infernet's own development chain has for it. */
function chainVars({ id, registry, rpcUrl, nodeWallet, verifier }: ServedChain): Record<string, string> {
  const verifiers = { [verifier]: { max_stake: { [zeroAddress]: String(maxStake) } } }
  return {
    CHAINS: JSON.stringify([{ id, registry, payment_address: nodeWallet, verifiers }]),
    [`CHAIN_${id}_RPC_URLS`]: rpcUrl,
    [`CHAIN_${id}_PRIVATE_KEY`]: anvilKey(nodePlace),
  }
}

async function choosePort({ port, portRequired, steps }: StackOptions): Promise<number> {
  if (await isPortFree(port)) return port
  if (portRequired) throw new Error(`Port ${port} is taken; give another with --port.`)
  const other = await freePort()
  steps.note(`port ${port} is taken; using ${other}`)
  return other
}

async function enrol(url: string, home: Home): Promise<string> {
  const admin = createAdmin({ url, token: home.adminToken })
  return await admin.enrolRunner({ name: 'this machine', public_key: await runnerPublicKey(home) })
}

/** Until `/info` names every container: the runner has registered, and its containers answer. */
async function untilReady(
  url: string,
  { runner, ids }: { runner: LocalRunner; ids: readonly string[] },
): Promise<void> {
  const deadline = performance.now() + readyMs
  const died = runner.ended.then(code => {
    throw new Error(`The runner ended with code ${code}.`)
  })
  for (;;) {
    const response = await Promise.race([fetch(`${url}/info`), died])
    const { containers } = (await response.json()) as { containers: { id: string }[] }
    const missing = ids.filter(id => !containers.some(container => container.id === id))
    if (missing.length === 0) return
    if (performance.now() > deadline)
      throw new Error(`Not ready after ${readyMs / 1000} s: ${missing.join(', ')}`)
    await Promise.race([new Promise(resolve => setTimeout(resolve, 100)), died])
  }
}
