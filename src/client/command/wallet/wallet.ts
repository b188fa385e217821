import { defineCommand } from 'citty'
import { allowance } from './allowance.ts'
import { approve } from './approve.ts'
import { balance } from './balance.ts'
import { claim } from './claim.ts'
import { create } from './create.ts'
import { fund } from './fund.ts'
import { owed } from './owed.ts'
import { withdraw } from './withdraw.ts'

export const wallet = defineCommand({
  meta: {
    name: 'wallet',
    description: 'Wallets: what consumers pay from, and nodes are paid into and stake',
  },
  subCommands: { create, approve, fund, withdraw, balance, allowance, owed, claim },
})
