import { command } from './command.ts'
import { NegativeAnswer } from './exit.ts'
import { writeOutput } from './files.ts'
import { node, openClient, output, url } from './options.ts'

export const health = command({
  name: 'health',
  description: 'Whether the node runs: healthy or unhealthy',
  args: { url },
  async run({ args }) {
    const { status } = await openClient(args.url).health()
    await writeOutput('-', status)
    if (status !== 'healthy') throw new NegativeAnswer()
  },
})

export const info = command({
  name: 'info',
  description: 'Version, containers, pending jobs',
  args: { url, output },
  async run({ args }) {
    await writeOutput(args.output, JSON.stringify(await openClient(args.url).info(), null, 2))
  },
})

export const resources = command({
  name: 'resources',
  description: 'What the containers say of themselves',
  args: { node, url, output },
  async run({ args }) {
    const answer = await openClient(args.node ?? args.url).resources()
    await writeOutput(args.output, JSON.stringify(answer, null, 2))
  },
})

export const checkModel = command({
  name: 'check-model',
  description: 'Which containers support a model',
  args: {
    'model-id': { type: 'string', alias: 'm', required: true, description: 'The model.', valueHint: 'id' },
    node,
    url,
    output,
  },
  async run({ args }) {
    const answer = await openClient(args.node ?? args.url).resources({ modelId: args['model-id'] })
    await writeOutput(args.output, JSON.stringify(answer, null, 2))
  },
})
