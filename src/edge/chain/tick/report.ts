import type { ChainReport } from '../../../protocol/chain.ts'
import type { Chain } from '../chain.ts'
import type { NodeWallet } from '../node-wallet.ts'
import type { Memory } from './memory.ts'

/** What a tick knows of its chain, for operators. */
export function reportOf(
  { config, rpc, signer }: Chain,
  { contracts, wallet, work, block, latest, problem, signerReport, left }: Memory,
): ChainReport {
  return {
    id: config.id,
    registry: config.registry,
    coordinator: contracts?.coordinator ?? null,
    problem: problem ?? (latest === null ? 'Not looked at yet' : null),
    head: latest?.number ?? null,
    block: block?.number ?? null,
    subscriptions: work === null ? null : work.cursor.nextId - 1,
    payment_address: config.paymentAddress,
    payment_wallet: walletReport(wallet?.known() ?? null),
    signer: {
      address: signer.address,
      balance: signerReport.balance?.toString() ?? null,
      blocked: signerReport.blocked,
    },
    pending: {
      computed: work?.computed ?? 0,
      sending: work?.open ?? 0,
      left: work?.open ? left : 0,
      mined: work?.mined ?? 0,
    },
    endpoints: rpc.status(),
  }
}

function walletReport(wallet: NodeWallet | null): ChainReport['payment_wallet'] {
  if (wallet === null) return null
  const { isValid, isOwn, owner, problem } = wallet
  return { valid: isValid, own: isOwn, owner, problem }
}
