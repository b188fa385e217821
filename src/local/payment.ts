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

/** What each has more than before, in base units of the token; `gas`: wei that the sender has less. */
export type Accounts = { changes: (Party & { change: bigint })[]; gas: bigint }

/**
 * Who got what, by the balances before and after it.
 * @throws Error when it does not add up: what the payer has less is not what the takers have more, or the sender paid anything but the gas.
 */
export async function accountFor(chain: PublicClient, payment: Payment): Promise<Accounts> {
  const { token, payer, takers, sender, since, hash } = payment
  const receipt = await chain.getTransactionReceipt({ hash })
  const span = { since, until: receipt.blockNumber }
  const changes = await Promise.all(
    [payer, ...takers].map(async party => ({
      ...party,
      change: await changeOf(chain, { token, account: party.address, ...span }),
    })),
  )
  const gas = -(await changeOf(chain, { token: zeroAddress, account: sender.address, ...span }))
  const rest = changes.reduce((sum, { change }) => sum + change, 0n)
  if (rest !== 0n)
    throw new Error(`The sums of ${hash} do not add up, by ${rest}: ${inWords({ changes, gas })}`)
  const cost = receipt.gasUsed * receipt.effectiveGasPrice
  if (gas !== cost) throw new Error(`${sender.name} has ${gas} wei less, and the gas of ${hash} cost ${cost}`)
  return { changes, gas }
}

/** A line for each, of what is counted in 18 decimals, as ETH is. */
export function linesOf(
  { changes, gas }: Accounts,
  { unit, sender }: { unit: string; sender: Party },
): string[] {
  const width = Math.max(...[...changes, sender].map(({ name }) => name.length))
  const line = (name: string, change: bigint, what: string) =>
    `${name.padEnd(width)}  ${signed(change)} ${what}`
  return [
    ...changes.map(({ name, change }) => line(name, change, unit)),
    line(sender.name, -gas, 'ETH of gas'),
  ]
}

function signed(change: bigint): string {
  const size = inUnits(change < 0n ? -change : change, 18)
  return change === 0n ? ` ${size}` : `${change < 0n ? '-' : '+'}${size}`
}

function inWords({ changes, gas }: Accounts): string {
  return [...changes.map(({ name, change }) => `${name} ${change}`), `gas ${gas}`].join(', ')
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
