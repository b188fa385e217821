import { defineCommand } from 'citty'
import { loadConfig } from '../config/load.ts'
import { fetchStatus, NoRunnerError } from '../door/visit.ts'
import { sleep } from '../sleep.ts'
import { renderStatus } from '../status/render.ts'
import { fail } from './fail.ts'
import { configArg } from './run.ts'

const everyMs = 1_000
/** Of a terminal that does not know its width. */
const usualColumns = 80
/** Top left, what follows is written over, and then what is left of before is removed. */
const home = '\u001b[H'
const eraseLine = '\u001b[K'
const eraseBelow = '\u001b[J'
const clear = '\u001b[2J'

export const status = defineCommand({
  meta: { name: 'status', description: 'Watch the runner of this configuration' },
  args: {
    config: configArg,
    once: { type: 'boolean', default: false, description: 'Tell it once, and end' },
  },
  run: async ({ args }) => {
    const { config } = await loadConfig(process.env, args.config)
    const isTerminal = process.stdout.isTTY
    if (isTerminal && !args.once) process.stdout.write(clear)
    for (;;) {
      const state = await fetchStatus(config).catch(told)
      if (!isTerminal) console.log(JSON.stringify(state))
      else {
        const text = renderStatus(state, { columns: process.stdout.columns || usualColumns })
        if (args.once) console.log(text)
        else
          process.stdout.write(`${home}${text.replaceAll('\n', `${eraseLine}\n`)}${eraseLine}\n${eraseBelow}`)
      }
      // A reader that has gone, such as `head`, is the end of it.
      if (args.once || process.stdout.destroyed) return
      await sleep(everyMs)
    }
  },
})

function told(error: unknown): never {
  if (error instanceof NoRunnerError) return fail(error.message)
  throw error
}
