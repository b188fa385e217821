import { type Address, encodeFunctionData, keccak256, parseEther, parseEventLogs, toHex } from 'viem'
import { runForge } from '../scripts/forge.ts'
import { eip712CoordinatorAbi } from '../src/protocol/abi/eip712-coordinator.ts'
import { feeAbi } from '../src/protocol/abi/fee.ts'
import { inboxAbi } from '../src/protocol/abi/inbox.ts'
import { readerAbi } from '../src/protocol/abi/reader.ts'
import { walletFactoryAbi } from '../src/protocol/abi/wallet-factory.ts'
import { fixture, type GasChain, gasOfRicherEvents, noOne, type Sender, startGasChain } from './gas-chain.ts'
import type { Report } from './report.ts'

/** Of the subscription's payment; a verifier's fee is a tenth of it. */
const price = parseEther('1')
const word = keccak256('0x01')
const kilobyte = toHex(Uint8Array.from({ length: 1024 }, (_, index) => 1 + (index % 255)))

/**
 * Gas of each call, as receipts of transactions of their own on anvil say: consumers that do nothing, 32 bytes in and out, a fee of 5 %,
 * recipients that have a balance, wallets that were used before. `.bare`: without the richer events.
 */
export async function benchGas(report: Report): Promise<void> {
  if (!runForge(['build', '--silent'])) throw new Error('The contracts do not build')
  const chain = await startGasChain()
  const note = (figure: string, receipt: Awaited<ReturnType<Sender['send']>>) => {
    const gas = Number(receipt.gasUsed)
    report(figure, gas, 'gas')
    const extra = gasOfRicherEvents(receipt)
    if (extra > 0) report(`${figure}.bare`, gas - extra, 'gas')
  }
  try {
    await benchAll(chain, note, report)
  } finally {
    await chain.close()
  }
}

type Note = (figure: string, receipt: Awaited<ReturnType<Sender['send']>>) => void
type Ask = { lazy?: boolean; token?: Address; amount?: bigint; verifier?: Address }

async function benchAll(chain: GasChain, note: Note, report: Report): Promise<void> {
  const { owner, node, otherNode } = chain
  const consumerFixture = fixture('Consumers', 'EmptyConsumer')
  const consumer = await owner.create(consumerFixture, [chain.registry])
  const wallet = await chain.fund(consumer)
  const nodeWallet = await chain.fund(node.address)
  await owner.send({ address: chain.fee, abi: feeAbi, functionName: 'updateFee', args: [500] })
  const atomic = await createVerifier(chain, 'BareAtomicVerifier')
  const optimistic = await createVerifier(chain, 'BareOptimisticVerifier')
  const coordinator = { address: chain.coordinator, abi: chain.coordinatorAbi }

  const terms = ({ lazy = false, token = noOne, amount = 0n, verifier = noOne }: Ask) =>
    ['container', 1, 0, 2, lazy, token, amount, amount > 0n ? wallet : noOne, verifier] as unknown[]
  const create = (ask: Ask) =>
    owner.send({ ...coordinator, functionName: 'createSubscription', args: terms(ask) })
  const ask = async (asked: Ask) => {
    const receipt = await owner.send({
      address: consumer,
      abi: consumerFixture.abi,
      functionName: 'create',
      args: terms(asked),
    })
    return idOf(receipt)
  }
  const deliver = (id: number, as: Sender = node) =>
    as.send({ ...coordinator, functionName: 'deliverCompute', args: [id, 1, word, word, '0x', nodeWallet] })

  await ask({})
  note('createSubscription.callback', await create({}))
  note('createSubscription.lazy', await create({ lazy: true }))
  note('createSubscription.paid', await create({ amount: price }))
  note('createSubscription.verified', await create({ amount: price, verifier: atomic.address }))

  const eager = await ask({})
  note('deliverCompute.eager.first', await deliver(eager))
  note('deliverCompute.eager.second', await deliver(eager, otherNode))
  note('deliverCompute.paid.eth', await deliver(await ask({ amount: price })))
  const token = chain.token.address
  // Balances that are not zero, as in use.
  await deliver(await ask({ amount: price, token }))
  note('deliverCompute.paid.erc20', await deliver(await ask({ amount: price, token })))
  note('deliverCompute.proof.atomic', await deliver(await ask({ amount: price, verifier: atomic.address })))
  const verdict = (id: number, valid: boolean) =>
    owner.send({ ...optimistic, functionName: 'finalize', args: [id, 1, node.address, valid] })
  const proven = await ask({ amount: price, verifier: optimistic.address })
  note('deliverCompute.proof.optimistic', await deliver(proven))
  note('finalize.valid', await verdict(proven, true))
  const disproven = await ask({ amount: price, verifier: optimistic.address })
  await deliver(disproven)
  note('finalize.slash', await verdict(disproven, false))
  note('deliverCompute.lazy.first', await deliver(await ask({ lazy: true })))
  note('deliverCompute.lazy.next', await deliver(await ask({ lazy: true })))

  await benchDelegated(chain, note)
  note(
    'createWallet',
    await owner.send({
      address: chain.walletFactory,
      abi: walletFactoryAbi,
      functionName: 'createWallet',
      args: [node.address],
    }),
  )
  note(
    'inbox.write.1k',
    await node.send({
      address: chain.inbox,
      abi: inboxAbi,
      functionName: 'write',
      args: [word, kilobyte, '0x', '0x'],
    }),
  )

  const first = await ask({})
  for (let count = 1; count < 100; count += 1) await ask({})
  note(
    'reader.100',
    await node.send({
      address: chain.reader,
      abi: readerAbi,
      functionName: 'readSubscriptionBatch',
      args: [first, first + 100],
    }),
  )
  const calls = Array.from({ length: 10 }, (_, index) => ({
    gasLimit: 0,
    data: encodeFunctionData({
      abi: eip712CoordinatorAbi,
      functionName: 'deliverCompute',
      args: [first + index, 1, word, word, '0x', nodeWallet],
    }),
  }))
  const batch = await node.send({ ...coordinator, functionName: 'deliverComputeBatch', args: [calls] })
  report('batch.10', Number(batch.gasUsed) / 10, 'gas an answer')
  report('batch.10.bare', (Number(batch.gasUsed) - gasOfRicherEvents(batch)) / 10, 'gas an answer')
}

async function createVerifier({ owner, coordinator }: GasChain, name: string) {
  const { abi, ...file } = fixture('Bench', name)
  const address = await owner.create(file, [coordinator])
  await owner.send({ address, abi, functionName: 'setFee', args: [noOne, price / 10n] })
  return { address, abi }
}

async function benchDelegated(chain: GasChain, note: Note): Promise<void> {
  const { owner, node, otherNode } = chain
  const delegator = await owner.create(fixture('Bench', 'EmptyDelegator'), [chain.registry, owner.address])
  const sub = {
    owner: delegator,
    activeAt: 1,
    period: 0,
    frequency: 1,
    redundancy: 2,
    containerId: word,
    lazy: false,
    verifier: noOne,
    paymentAmount: 0n,
    paymentToken: noOne,
    wallet: noOne,
  } as const
  const message = { nonce: 1, expiry: 4_000_000_000, sub }
  const signature = await owner.sign({
    domain: {
      name: 'InfernetCoordinator',
      version: '1',
      chainId: 31_337,
      verifyingContract: chain.coordinator,
    },
    types: delegateTypes,
    primaryType: 'DelegateSubscription',
    message,
  })
  const r = signature.slice(0, 66)
  const s = `0x${signature.slice(66, 130)}`
  const v = Number.parseInt(signature.slice(130), 16)
  const deliver = (as: Sender) =>
    as.send({
      address: chain.coordinator,
      abi: chain.coordinatorAbi,
      functionName: 'deliverComputeDelegatee',
      args: [message.nonce, message.expiry, sub, v, r, s, 1, word, word, '0x', noOne],
    })
  note('deliverComputeDelegatee.new', await deliver(node))
  note('deliverComputeDelegatee.existing', await deliver(otherNode))
}

const delegateTypes = {
  DelegateSubscription: [
    { name: 'nonce', type: 'uint32' },
    { name: 'expiry', type: 'uint32' },
    { name: 'sub', type: 'Subscription' },
  ],
  Subscription: [
    { name: 'owner', type: 'address' },
    { name: 'activeAt', type: 'uint32' },
    { name: 'period', type: 'uint32' },
    { name: 'frequency', type: 'uint32' },
    { name: 'redundancy', type: 'uint16' },
    { name: 'containerId', type: 'bytes32' },
    { name: 'lazy', type: 'bool' },
    { name: 'verifier', type: 'address' },
    { name: 'paymentAmount', type: 'uint256' },
    { name: 'paymentToken', type: 'address' },
    { name: 'wallet', type: 'address' },
  ],
} as const

function idOf({ logs }: Awaited<ReturnType<Sender['send']>>): number {
  const [created] = parseEventLogs({ abi: eip712CoordinatorAbi, eventName: 'SubscriptionCreated', logs })
  if (!created) throw new Error('No subscription was created')
  return created.args.id
}
