import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

/**
 * Whatever goes wrong with a chain is played on both deployments of the contracts, ours and the reference's first ones: a test file that has
 * something go wrong says `firstDeployment` or `bothDeployments`, or "Of one deployment:" and why, "Of no deployment:" and why.
 */

const root = fileURLToPath(new URL('../../', import.meta.url))

/** A chain, or what answers as one. */
const chains =
  /\b(startTicking|startDelegating|startProving|startPaying|startGuardWorld|startAnvilWorld)\(|\b(chainSystemOf|startRpcProxy)\(/
const troubles = {
  requests: /\bsetFault\(|\bfault: |\bsetOverride\(/,
  blocks: /\breorganise\(|anvil_reorg/,
  deaths: /\bdieAt\(|\.kill\(/,
  transactions: /\bholding\(|setAutomine|anvil_dropTransaction|anvil_setNonce/,
  money: /setBalance/,
  fees: /BaseFeePerGas/,
}
const excused = /\bOf (one|no) deployment:\s/

const files = ['test/edge/chain', 'test/flows'].flatMap(folder =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.test.ts'))
    .map(file => ({ path: `${folder}/${file}`, text: readFileSync(join(root, folder, file), 'utf8') })),
)

test.for(Object.entries(troubles))('default: of %s, on both deployments', ([, trouble]) => {
  const faulty = files.filter(({ text }) => chains.test(text) && trouble.test(text))
  expect(faulty.length).toBeGreaterThan(1)
  const alone = faulty.filter(
    ({ text }) =>
      !/\b(firstDeployment|bothDeployments)\b/.test(text) && !excused.test(text.replaceAll('\n *', '')),
  )
  expect(alone.map(({ path }) => path)).toEqual([])
})
