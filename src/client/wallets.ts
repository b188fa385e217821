import { allowance, type Spending } from './wallet/allowance.ts'
import { type Approved, approve } from './wallet/approve.ts'
import { openWalletChain, type WalletChainOptions } from './wallet/chain.ts'
import { claim } from './wallet/claim.ts'
import { type CreatedWallet, createWallet, type NewWallet } from './wallet/create.ts'
import { type Funding, fund } from './wallet/fund.ts'
import type { Moved } from './wallet/moved.ts'
import { type Debt, owed } from './wallet/owed.ts'
import { report, type WalletQuestion, type WalletReport } from './wallet/report.ts'
import type { Sum } from './wallet/sum.ts'
import { type Withdrawal, withdraw } from './wallet/withdraw.ts'

/**
 * Infernet's wallets on one chain: what consumers pay from, and nodes are paid into and stake. Amounts are bigint, in base units, or text as
 * people write it: `1000`, `0.1 ether`, `1.5 token`. Each that sends waits until it is mined, and sends nothing that would fail. Every call
 * may throw InfernetError.
 */
export type Wallets = {
  create(wallet: NewWallet): Promise<CreatedWallet>
  approve(spending: Spending & { amount: Sum }): Promise<Approved>
  fund(funding: Funding): Promise<Moved>
  withdraw(withdrawal: Withdrawal): Promise<Moved>
  balance(question: WalletQuestion): Promise<WalletReport>
  allowance(spending: Spending): Promise<bigint>
  owed(debt: Debt): Promise<bigint>
  claim(debt: Debt): Promise<Moved>
}

/** @throws InfernetError `invalid_request` when `rpcUrl` is no HTTP URL, or the signer has no account. */
export function createWallets(options: WalletChainOptions): Wallets {
  const chain = openWalletChain(options)
  return {
    create: wallet => createWallet(chain, wallet),
    approve: spending => approve(chain, spending),
    fund: funding => fund(chain, funding),
    withdraw: withdrawal => withdraw(chain, withdrawal),
    balance: question => report(chain, question),
    allowance: spending => allowance(chain, spending),
    owed: debt => owed(chain, debt),
    claim: debt => claim(chain, debt),
  }
}
