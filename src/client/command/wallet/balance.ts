import { inUnits } from '../../wallet/amount.ts'
import type { WalletReport } from '../../wallet/report.ts'
import { command } from '../command.ts'
import { addressOf, factory, json, openReads, placeOf, registry, rpcUrl, token, wallet } from './options.ts'
import { print } from './print.ts'

export const balance = command({
  name: 'balance',
  description: 'What a wallet has, what of it is locked, whose it is, and whether the factory has made it',
  args: { wallet, token, factory, registry, 'rpc-url': rpcUrl, json },
  async run({ args }) {
    const question = {
      wallet: addressOf('--wallet', args.wallet),
      token: addressOf('--token', args.token),
      place: placeOf(args),
    }
    const report = await openReads(args).balance(question)
    const { isValid, ...rest } = report
    await print(args.json, { lines: linesOf(report), object: { ...rest, made_by_factory: isValid } })
  },
})

function linesOf(report: WalletReport): string[] {
  const { wallet, owner, isValid, token, symbol } = report
  const amountOf = (base: bigint | null) =>
    base === null ? 'the wallet does not tell' : inWords(base, report)
  return [
    `Wallet: ${wallet}`,
    `owner: ${owner}`,
    `made by the factory: ${isValid === null ? 'name it with --factory or --registry' : isValid ? 'yes' : 'no'}`,
    `token: ${token}${symbol === null ? '' : ` (${symbol})`}`,
    `total: ${amountOf(report.total)}`,
    `locked: ${amountOf(report.locked)}`,
    `unlocked: ${amountOf(report.unlocked)}`,
  ]
}

/** Base units, and what that is in the token's own unit. */
export function inWords(
  base: bigint,
  { decimals, symbol }: Pick<WalletReport, 'decimals' | 'symbol'>,
): string {
  return decimals === null ? String(base) : `${base} (${inUnits(base, decimals)} ${symbol ?? 'token'})`
}
