import { type Abi, type Address, decodeAbiParameters, parseEventLogs, toHex } from 'viem'
import { createClient } from '../client/client.ts'
import { eip712CoordinatorAbi } from '../protocol/abi/eip712-coordinator.ts'
import type { DelegatedInFull, DeliveryView } from '../protocol/chain.ts'
import { deploy } from './chain/deploy.ts'
import { anvilAccount, createDeployer, type LocalChain } from './chain/start.ts'
import { callbackAbi, callbackBytecode } from './consumers/callback.ts'
import { delegatedAllowlistAbi, delegatedAllowlistBytecode } from './consumers/delegated-allowlist.ts'
import { lazyAbi, lazyBytecode } from './consumers/lazy.ts'
import { recurringAbi, recurringBytecode } from './consumers/recurring.ts'
import type { Steps } from './steps.ts'

export type ChainDemoOptions = { chain: LocalChain; url: string; steps: Steps }

/** For one answer, from the request's transaction to the answer's. */
const answerMs = 30_000
const lookMs = 50
const hour = 3600

type Deployer = ReturnType<typeof createDeployer>
type Call = { to: Address; abi: Abi; functionName: string; args: readonly unknown[] }
type Asked = { id: number; block: number; gas: bigint }
type Answered = { delivery: DeliveryView; ms: number; blocks: number }

/**
 * Contracts ask, and are answered on the local chain: a callback, a lazy one whose answer is read back from the Inbox, one that was asked
 * for by a signature over HTTP, and a recurring one an hour later by the chain's clock. Throws when an answer does not come.
 */
export async function runChainDemo({ chain, url, steps }: ChainDemoOptions): Promise<void> {
  const user = createDeployer(chain.rpcUrl, anvilAccount(4))

  const callback = await deploy(user, callbackAbi, callbackBytecode, [chain.registry])
  const question = toHex('Who is there?')
  const ask = { to: callback, abi: callbackAbi as Abi, functionName: 'ask', args: ['hello-world', question] }
  const first = await steps.run(
    'contract asked',
    () => answered(user, { chain, url, call: ask }),
    told('Callback.sol', 'hello-world'),
  )
  const answers = { address: callback, abi: callbackAbi, functionName: 'answers' } as const
  steps.note(await user.chain.readContract({ ...answers, args: [first.id] }))

  const lazy = await deploy(user, lazyAbi, lazyBytecode, [chain.registry])
  const askLazily = { to: lazy, abi: lazyAbi as Abi, functionName: 'ask', args: ['hello-world', question] }
  const second = await steps.run(
    'lazy answer',
    () => answered(user, { chain, url, call: askLazily }),
    told('Lazy.sol', 'hello-world'),
  )
  const read = { address: lazy, abi: lazyAbi, functionName: 'read' } as const
  const [kept] = decodeAbiParameters(
    [{ type: 'string' }],
    await user.chain.readContract({ ...read, args: [second.id] }),
  )
  steps.note(`from the Inbox: ${kept}`)

  await askWithSignature(user, { chain, url, steps })

  const recurring = await deploy(user, recurringAbi, recurringBytecode, [
    chain.registry,
    user.wallet.account.address,
  ])
  const start = { to: recurring, abi: recurringAbi as Abi, functionName: 'start', args: ['clock'] }
  await steps.run(
    'recurring answer',
    () => answered(user, { chain, url, call: start, later: hour }),
    told('Recurring.sol', 'clock'),
  )
}

/** Nobody sends a transaction to ask: what its signer signs goes to the chain with the answer. */
async function askWithSignature(user: Deployer, { chain, url, steps }: ChainDemoOptions): Promise<void> {
  const signer = anvilAccount(5)
  const owner = await deploy(user, delegatedAllowlistAbi, delegatedAllowlistBytecode, [
    chain.registry,
    user.wallet.account.address,
    signer.address,
    // The node answers as this one.
    [anvilAccount(3).address],
  ])
  const { timestamp, number } = await user.chain.getBlock()
  const { delivery, taken } = await steps.run(
    'signature answered',
    async () => {
      const taken = await createClient({ url }).createDelegatedSubscription({
        subscription: { owner, containers: ['hello-world'] },
        signer,
        nonce: 1,
        expiry: Number(timestamp) + hour,
        chainId: chain.id,
        coordinator: chain.coordinator,
        data: { question: 'Who is there?' },
      })
      const { subscription_id, delivery } = await untilDelivered(taken.status_url, taken.id)
      return { taken: { ...taken, subscription_id: subscription_id ?? 0 }, delivery }
    },
    ({ taken, delivery: { transaction } }) => {
      const blocks = (transaction?.block ?? 0) - Number(number)
      return `DelegatedAllowlist.sol -> hello-world, signed by ${signer.address}, subscription ${taken.subscription_id} created and answered ${blocks} ${blocks === 1 ? 'block' : 'blocks'} later by ${transaction?.hash} (${transaction?.gas_used} gas)`
    },
  )
  if (delivery.interval !== 1) throw new Error(`Interval ${delivery.interval} was answered`)
  const output = await user.chain.readContract({
    address: owner,
    abi: delegatedAllowlistAbi,
    functionName: 'outputs',
    args: [taken.subscription_id],
  })
  const [kept] = decodeAbiParameters([{ type: 'string' }], output)
  steps.note(`kept by its consumer: ${kept}`)
}

export function told(consumer: string, container: string) {
  return ({ id, delivery, ms, blocks, gas }: Asked & Answered) => {
    const { hash, gas_used } = delivery.transaction ?? {}
    return `${consumer} -> ${container}, subscription ${id} (${gas} gas), interval ${delivery.interval} answered ${blocks} ${blocks === 1 ? 'block' : 'blocks'} and ${Math.round(ms)} ms later by ${hash} (${gas_used} gas)`
  }
}

/** `later`: seconds by which the chain's clock is put forward after the request. */
export async function answered(
  user: Deployer,
  { chain, url, call, later = 0 }: { chain: LocalChain; url: string; call: Call; later?: number },
): Promise<Asked & Answered> {
  const { to: address, ...rest } = call
  const hash = await user.wallet.writeContract({ address, ...rest })
  const { logs, blockNumber, gasUsed } = await user.chain.waitForTransactionReceipt({ hash })
  const [created] = parseEventLogs({ abi: eip712CoordinatorAbi, eventName: 'SubscriptionCreated', logs })
  if (!created) throw new Error(`${hash} asked for nothing`)
  let from = Number(blockNumber)
  if (later > 0) from = await putForward(user, later)
  const begun = performance.now()
  const { id } = created.args
  const place = `${url}/api/subscriptions/${chain.id}/${id}`
  const { delivery } = await untilDelivered(place, id)
  const block = delivery.transaction?.block ?? from
  return { id, block: from, gas: gasUsed, delivery, ms: performance.now() - begun, blocks: block - from }
}

async function putForward({ chain }: Deployer, seconds: number): Promise<number> {
  const request = chain.request as (call: { method: string; params: unknown[] }) => Promise<unknown>
  await request({ method: 'evm_increaseTime', params: [seconds] })
  await request({ method: 'evm_mine', params: [] })
  return Number(await chain.getBlockNumber({ cacheTime: 0 }))
}

type Found = Pick<DelegatedInFull, 'state' | 'reason' | 'deliveries'> & { subscription_id?: number | null }

/**
 * `place`: where the node tells of it.
 * @throws when it is given up, or does not come in time.
 */
export async function untilDelivered(
  place: string,
  id: number | string,
): Promise<{ delivery: DeliveryView; subscription_id: number | null }> {
  const deadline = performance.now() + answerMs
  for (;;) {
    const response = await fetch(place)
    const found = response.ok ? ((await response.json()) as Found) : null
    const delivery = found?.deliveries[0]
    if (delivery?.state === 'delivered' || delivery?.state === 'final')
      return { delivery, subscription_id: found?.subscription_id ?? null }
    if (delivery?.state === 'dropped') {
      throw new Error(`Subscription ${id} was given up: ${delivery.reason?.message ?? delivery.reason?.code}`)
    }
    if (found?.state === 'refused') {
      throw new Error(`Subscription ${id} was refused: ${found.reason?.message ?? found.reason?.code}`)
    }
    if (performance.now() > deadline) throw new Error(`Subscription ${id} was not answered in time`)
    await new Promise(resolve => setTimeout(resolve, lookMs))
  }
}
