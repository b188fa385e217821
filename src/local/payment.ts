import { type Address, erc20Abi, type Hex, type PublicClient, zeroAddress } from 'viem'
import { inUnits } from '../client/wallet/amount.ts'

export type Party = { name: string; address: Address }

/**
 * What an answer is paid with. `takers`: everybody who gets of what the payer pays. `sender`: who pays the gas. `since`: a block before the
 * answer, after which none of them has done anything else. `hash`: of the answer's transaction.
 */
export type Payment = {
  token: Address
  payer: Party
  takers: readonly Party[]
  sender: Party
  since: bigint
  hash: Hex
}

/** Who has what more than before, in base units of the token. */
export type Change = Party & { change: bigint }

/** `gas`: wei that the sender has less. */
export type Accounts = { changes: Change[]; gas: bigint }

/**
 * Who got what, by the balances before and after it.
 * @throws Error when it does not add up: what the payer has less is not what the takers have more, or the sender paid anything but the gas.
 */
export async function accountFor(chain: PublicClient, payment: Payment): Promise<Accounts> {
  const { token, payer, takers, sender, since, hash } = payment
  const receipt = await chain.getTransactionReceipt({ hash })
  const span = { since, until: receipt.blockNumber }
  const changes = await changesOf(chain, { token, parties: [payer, ...takers], ...span })
  const gas = -(await changeOf(chain, { token: zeroAddress, account: sender.address, ...span }))
  const cost = receipt.gasUsed * receipt.effectiveGasPrice
  if (gas !== cost) throw new Error(`${sender.name} has ${gas} wei less, and the gas of ${hash} cost ${cost}`)
  return { changes, gas }
}

/**
 * What each has more at the end of one block than at the end of another, `until` and `since`.
 * @throws Error when it is more, or less, in all.
 */
export async function changesOf(
  chain: PublicClient,
  { token, parties, ...span }: { token: Address; parties: readonly Party[]; since: bigint; until: bigint },
): Promise<Change[]> {
  const changes = await Promise.all(
    parties.map(async party => ({
      ...party,
      change: await changeOf(chain, { token, account: party.address, ...span }),
    })),
  )
  const rest = changes.reduce((sum, { change }) => sum + change, 0n)
  if (rest === 0n) return changes
  const told = changes.map(({ name, change }) => `${name} ${change}`).join(', ')
  throw new Error(`The sums up to block ${span.until} do not add up, by ${rest}: ${told}`)
}

/** A line for each, of what is counted in 18 decimals, as ETH is. */
export function linesOf(
  { changes, gas }: Accounts,
  { unit, sender }: { unit: string; sender: Party },
): string[] {
  const width = widthOf([...changes, sender])
  return [
    ...changeLines(changes, { unit, width }),
    lineOf({ ...sender, change: -gas }, { unit: 'ETH of gas', width }),
  ]
}

/** Likewise, without the gas. `width`: of the names. */
export function changeLines(
  changes: readonly Change[],
  { unit, width = widthOf(changes) }: { unit: string; width?: number },
): string[] {
  return changes.map(change => lineOf(change, { unit, width }))
}

function widthOf(parties: readonly Party[]): number {
  return Math.max(...parties.map(({ name }) => name.length))
}

function lineOf({ name, change }: Change, { unit, width }: { unit: string; width: number }): string {
  return `${name.padEnd(width)}  ${signed(change)} ${unit}`
}

function signed(change: bigint): string {
  const size = inUnits(change < 0n ? -change : change, 18)
  return change === 0n ? ` ${size}` : `${change < 0n ? '-' : '+'}${size}`
}

type Span = { token: Address; account: Address; since: bigint; until: bigint }

async function changeOf(chain: PublicClient, { token, account, since, until }: Span): Promise<bigint> {
  const at = async (blockNumber: bigint) =>
    token === zeroAddress
      ? await chain.getBalance({ address: account, blockNumber })
      : await chain.readContract({
          address: token,
          abi: erc20Abi,
          functionName: 'balanceOf',
          args: [account],
          blockNumber,
        })
  const [before, after] = await Promise.all([at(since), at(until)])
  return after - before
}
