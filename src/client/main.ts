import { stripVTControlCharacters } from 'node:util'
import { type CommandDef, defineCommand, runCommand, runMain } from 'citty'
import { shieldDashed } from '../protocol/dashed.ts'
import { toExit } from './command/exit.ts'
import { cancel, job } from './command/job.ts'
import { ids, results } from './command/jobs.ts'
import { checkModel, health, info, resources } from './command/node.ts'
import { joinFlagValue, renameFlag } from './command/options.ts'
import { runners } from './command/runners.ts'

const infernet = defineCommand({
  meta: { name: 'infernet', description: 'A client of a compute-oracle node' },
  subCommands: {
    health,
    info,
    resources,
    'check-model': checkModel,
    job,
    cancel,
    results,
    ids,
    // It loads what signs: the other commands need not wait for that.
    sub: () => import('./command/sub.ts').then(({ sub }) => sub),
    wallet: () => import('./command/wallet/wallet.ts').then(({ wallet }) => wallet),
    // By the names that the reference's client has for them.
    'create-wallet': () => import('./command/wallet/create.ts').then(({ createWallet }) => createWallet),
    approve: () => import('./command/wallet/approve.ts').then(({ approve }) => approve),
    fund: () => import('./command/wallet/fund.ts').then(({ fund }) => fund),
    withdraw: () => import('./command/wallet/withdraw.ts').then(({ withdraw }) => withdraw),
    runners,
  },
}) as CommandDef

async function main(args: string[]): Promise<void> {
  if (args.length === 0 || args.includes('--help') || args.includes('-h')) {
    await runMain(infernet, { rawArgs: args.length === 0 ? ['--help'] : args })
    return
  }
  try {
    const renamed = renameFlag(args, '-pk', '--private-key')
    await runCommand(infernet, { rawArgs: shieldDashed(joinFlagValue(renamed, '--requires-proof')) })
  } catch (error) {
    const { code, message } = toExit(error)
    if (message !== null) console.error(stripVTControlCharacters(message))
    process.exitCode = code
  }
}

// `writeOutput` learns of a reader that has gone from its own write.
process.stdout.on('error', () => {})
await main(process.argv.slice(2))
