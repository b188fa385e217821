import { sql } from 'drizzle-orm'
import { type Address, erc20Abi, getAddress, type Hex, isAddressEqual, parseAbi, zeroAddress } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { containersHash } from '../../../../src/client/containers-hash.ts'
import { signDelegatedSubscription } from '../../../../src/client/sign.ts'
import { accept } from '../../../../src/edge/chain/delegated/accept.ts'
import type { Door } from '../../../../src/edge/chain/delegated/door.ts'
import { readLedgerEntries } from '../../../../src/edge/chain/ledger/read.ts'
import { createSigner } from '../../../../src/edge/chain/signer.ts'
import type { ChainTick } from '../../../../src/edge/chain/tick/tick.ts'
import { createWallet } from '../../../../src/local/chain/start.ts'
import { feeAbi } from '../../../../src/protocol/abi/fee.ts'
import { walletAbi } from '../../../../src/protocol/abi/wallet.ts'
import { parseDelegated } from '../../../../src/protocol/delegated.ts'
import { type Contract, createSubscription, deploy, fund, nodeKey, transact } from '../../../support/chain.ts'
import { startTicking, type Ticking } from '../ticking.ts'
import { type Coin, coins, feeRecipient, type Paying, plenty, startPaying } from './paying.ts'

/** Who judges proofs: nobody; at once, by a verdict that is set; later, or never. */
export type Judge = 'none' | 'atomic' | 'optimistic'
export type ByCoin = Record<Coin, bigint>

export type Asking = { coin: Coin; amount: bigint; judge: Judge }

/** One of two nodes on one chain, each with a database, a key and a wallet of its own. */
export type MarketNode = {
  world: Ticking
  address: Address
  wallet: Address
  ticker: ChainTick
  door: Door
}

/** What nodes have in their wallets, or are owed, more than at first, and who has had fees; and what each signer has spent, in wei. */
export type Books = { nodes: { earned: ByCoin; gasCost: bigint }[]; protocolFee: ByCoin; verifierFee: ByCoin }

export type Market = Paying & {
  nodes: readonly [MarketNode, MarketNode]
  verifiers: Record<Exclude<Judge, 'none'>, Contract>
  askIn(asking: Asking & { redundancy: number }): Promise<void>
  /** A signed request, to some of the nodes, by their places. */
  signFor(asking: Asking & { places: readonly number[] }): Promise<void>
  /** The optimistic verifier judges what it can of what a node waits for, the oldest first. */
  judgeOne(place: number, valid: boolean): Promise<void>
  /** A token that may block wallets does that, or does it no more: a node's, by its place, or the consumer's. */
  block(whose: number | 'consumer', blocked: boolean): Promise<void>
  /** Somebody claims whatever is owed, and not blocked. */
  claim(): Promise<void>
  /** Somebody else gets the protocol's fee from now on. */
  passFeeOn(): Promise<void>
  pending(): Promise<number>
  booked(): Promise<Books>
  onChain(): Promise<Books>
}

const secondKey: Hex = '0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6'
const asker = privateKeyToAccount(`0x${'c3'.repeat(32)}`)
const verifierFee = 1_000n
const strangeAbi = parseAbi(['function setBlocked(address account, bool blocked)'])

export async function startMarket({ firstDeployment }: { firstDeployment: boolean }): Promise<Market> {
  const container = { generates_proofs: true }
  const paying = await startPaying({ container, firstDeployment })
  const second = await startTicking({ chain: paying.chain, container, firstDeployment })
  const { chain, tokens } = paying
  const args = [chain.coordinator]
  const verifiers = {
    atomic: await deploy(chain, { name: 'AtomicVerifier', file: 'Verifiers', args }),
    optimistic: await deploy(chain, { name: 'OptimisticVerifier', file: 'Verifiers', args }),
  }
  const delegator = await deploy(chain, {
    name: 'ChangingDelegator',
    args: [chain.registry, asker.address],
  })
  const delegatorPayer = await fund(chain, { spender: delegator.address, amount: plenty })
  const nodes = [await nodeOf(paying, nodeKey, paying), await nodeOf(second, secondKey, paying)] as const
  const payers = [paying.payer, delegatorPayer]
  const feeOwners = await startFeeOwners(paying)
  const strange = { address: tokens.silent, abi: strangeAbi }
  for (const coin of coins) {
    const token = tokens[coin]
    for (const verifier of Object.values(verifiers))
      await transact(chain, verifier, { functionName: 'setFee', args: [token, verifierFee] })
    if (coin === 'ether') continue
    await mint(paying, { token, to: delegatorPayer })
    await transact(
      chain,
      { address: delegatorPayer, abi: walletAbi },
      { functionName: 'approve', args: [delegator.address, token, 2n ** 255n] },
    )
  }
  const { chain: client } = chain.deployer
  const balanceOf = async (coin: Coin, address: Address) =>
    coin === 'ether'
      ? await client.getBalance({ address })
      : await client.readContract({
          address: tokens[coin],
          abi: erc20Abi,
          functionName: 'balanceOf',
          args: [address],
        })
  const balances = async (addresses: readonly Address[]) =>
    await byCoin(async coin => {
      let sum = 0n
      for (const address of addresses) sum += await balanceOf(coin, address)
      return sum
    })
  const owedBy = async (wallet: Address, { coin, to }: { coin: Coin; to: Address }) =>
    await client.readContract({
      address: wallet,
      abi: walletAbi,
      functionName: 'owed',
      args: [tokens[coin], to],
    })
  /** What consumers' wallets owe a node's, less what that owes them. */
  const owedTo = async (nodeWallet: Address) =>
    await byCoin(async coin => {
      let sum = 0n
      for (const payer of payers)
        sum +=
          (await owedBy(payer, { coin, to: nodeWallet })) - (await owedBy(nodeWallet, { coin, to: payer }))
      return sum
    })
  const atFirst = await Promise.all(
    nodes.map(async ({ address, wallet }) => ({
      coins: await balances([wallet]),
      wei: await client.getBalance({ address }),
    })),
  )
  let nonce = 0
  const tokenOf = ({ coin, amount, judge }: Asking) => ({
    token: amount === 0n ? zeroAddress : tokens[coin],
    verifier: judge === 'none' ? zeroAddress : verifiers[judge].address,
  })
  const entriesOf = async ({ world }: MarketNode) => {
    const question = { chain: chain.id, from: 0, to: 1e6, consumer: null, token: null, after: null }
    return (await readLedgerEntries(world.queue.db, { ...question, limit: 10_000 })).map(({ row }) => row)
  }
  const pendingOf = async ({ world }: MarketNode) =>
    await world.queue.db.orm.all<{ subscription: number; interval: number }>(
      sql`select subscription, interval from proofs where state = 'pending' order by subscription`,
    )

  return {
    ...paying,
    nodes,
    verifiers,
    async askIn({ redundancy, ...asking }) {
      const wallet = paying.payer
      const { amount } = asking
      await createSubscription(chain, paying.consumer, { amount, wallet, redundancy, ...tokenOf(asking) })
    },
    async signFor({ places, ...asking }) {
      const { token, verifier } = tokenOf(asking)
      const signed = await signDelegatedSubscription(asker, {
        subscription: {
          owner: getAddress(delegator.address),
          containers: containersHash(['echo']),
          payment_amount: asking.amount,
          payment_token: token,
          wallet: delegatorPayer,
          verifier,
        },
        nonce: ++nonce,
        expiry: 4_000_000_000,
        chainId: chain.id,
        coordinator: chain.coordinator,
      })
      const { request, problems } = parseDelegated({ ...signed, chain_id: chain.id })
      if (problems) throw new Error(problems.join('; '))
      for (const place of places) {
        const node = nodes[place]
        if (node) await accept(node.door, { request, data: '{"a":1}' })
      }
    },
    async judgeOne(place, valid) {
      const node = nodes[place]
      if (!node) return
      for (const { subscription, interval } of await pendingOf(node)) {
        const args = [subscription, interval, node.address, valid]
        // Of the other verifier, judged already, or undone, and the node has not heard of it.
        const isJudged = await transact(chain, verifiers.optimistic, { functionName: 'finalize', args }).then(
          () => true,
          () => false,
        )
        if (isJudged) return
      }
    },
    async block(whose, blocked) {
      const account = whose === 'consumer' ? paying.payer : nodes[whose]?.wallet
      await transact(chain, strange, { functionName: 'setBlocked', args: [account, blocked] })
    },
    async claim() {
      const both = nodes.flatMap(({ wallet }) => payers.map(payer => ({ wallet, payer })))
      const debts = both.flatMap(({ wallet, payer }) => [
        { from: payer, to: wallet },
        { from: wallet, to: payer },
      ])
      for (const { from, to } of debts) {
        if ((await owedBy(from, { coin: 'silent', to })) === 0n) continue
        const claiming = { functionName: 'claim', args: [tokens.silent, to] }
        // While the token blocks either, the debt stays.
        await transact(chain, { address: from, abi: walletAbi }, claiming).catch(() => null)
      }
    },
    async passFeeOn() {
      const current = await client.readContract({
        address: chain.fee,
        abi: feeAbi,
        functionName: 'FEE_RECIPIENT',
      })
      const [first, other] = feeOwners
      const [from, to] = isAddressEqual(current, first.address) ? [first, other] : [other, first]
      await transact(chain, from, { functionName: 'pass', args: [chain.fee, to.address] })
    },
    pending: async () => (await Promise.all(nodes.map(pendingOf))).flat().length,
    async booked() {
      const all = await Promise.all(nodes.map(entriesOf))
      type Column = 'payment' | 'slashed' | 'owed' | 'owing' | 'protocol_fee' | 'verifier_fee'
      const sum = (entries: (typeof all)[number], column: Column) =>
        byCoin(async coin =>
          entries
            .filter(({ token }) => token === tokens[coin].toLowerCase())
            .reduce((total, entry) => total + BigInt(entry[column]), 0n),
        )
      return {
        nodes: await Promise.all(
          all.map(async entries => {
            const [paid, owed] = [await sum(entries, 'payment'), await sum(entries, 'owed')]
            const [slashed, owing] = [await sum(entries, 'slashed'), await sum(entries, 'owing')]
            return {
              earned: await byCoin(async coin => paid[coin] + owed[coin] - slashed[coin] - owing[coin]),
              gasCost: entries.reduce((total, entry) => total + BigInt(entry.gas_cost), 0n),
            }
          }),
        ),
        protocolFee: await sum(all.flat(), 'protocol_fee'),
        verifierFee: await sum(all.flat(), 'verifier_fee'),
      }
    },
    async onChain() {
      return {
        nodes: await Promise.all(
          nodes.map(async ({ address, wallet }, index) => {
            const [now, owed, first] = [await balances([wallet]), await owedTo(wallet), atFirst[index]]
            return {
              earned: await byCoin(async coin => now[coin] + owed[coin] - (first?.coins[coin] ?? 0n)),
              gasCost: (first?.wei ?? 0n) - (await client.getBalance({ address })),
            }
          }),
        ),
        protocolFee: await balances(feeOwners.map(({ address }) => address)),
        verifierFee: await balances(Object.values(verifiers).map(({ address }) => address)),
      }
    },
    async close() {
      await second.close()
      await paying.close()
    },
  }
}

/** Of whom each can pass the fee on to the other; the first has it. */
async function startFeeOwners({ chain }: Paying): Promise<readonly [Contract, Contract]> {
  const owners = [
    await deploy(chain, { name: 'FeeOwner' }),
    await deploy(chain, { name: 'FeeOwner' }),
  ] as const
  const { anvil, deployer } = chain
  await anvil.setBalance({ address: feeRecipient, value: plenty })
  await anvil.impersonateAccount({ address: feeRecipient })
  const hash = await deployer.wallet.writeContract({
    account: feeRecipient,
    address: chain.fee,
    abi: feeAbi,
    functionName: 'transferOwnership',
    args: [owners[0].address],
  })
  await deployer.chain.waitForTransactionReceipt({ hash })
  return owners
}

/** With a wallet that is full of everything, and its own, so that it approves its stakes itself. */
async function nodeOf(world: Ticking, key: Hex, paying: Paying): Promise<MarketNode> {
  const { chain, tokens } = paying
  const signer = createSigner(key)
  const address = signer.address.toLowerCase() as Address
  const wallet = await createWallet(chain.deployer, chain.walletFactory, address)
  await chain.anvil.setBalance({ address: wallet, value: plenty })
  for (const coin of coins) if (coin !== 'ether') await mint(paying, { token: tokens[coin], to: wallet })
  const changed = { signer, paymentAddress: wallet }
  return { world, address, wallet, ticker: world.ticker(changed), door: await world.door(changed) }
}

async function mint({ chain }: Paying, { token, to }: { token: Address; to: Address }): Promise<void> {
  const abi = [
    {
      type: 'function',
      name: 'mint',
      stateMutability: 'nonpayable',
      inputs: [{ type: 'address' }, { type: 'uint256' }],
      outputs: [],
    },
  ] as const
  await transact(
    chain,
    { address: token, abi: abi as unknown as Contract['abi'] },
    {
      functionName: 'mint',
      args: [to, plenty],
    },
  )
}

async function byCoin(amountOf: (coin: Coin) => Promise<bigint>): Promise<ByCoin> {
  const amounts: [Coin, bigint][] = []
  for (const coin of coins) amounts.push([coin, await amountOf(coin)])
  return Object.fromEntries(amounts) as ByCoin
}
