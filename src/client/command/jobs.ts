import { command } from './command.ts'
import { UsageError } from './exit.ts'
import { writeOutput } from './files.ts'
import { indent } from './indent.ts'
import { openClient, output, repeated, url } from './options.ts'

export const results = command({
  name: 'results',
  description: 'Results of jobs',
  args: {
    id: { type: 'string', required: true, description: 'A job; may be repeated.', valueHint: 'id' },
    intermediate: {
      type: 'boolean',
      default: false,
      description: 'Add what the containers before the last one said.',
    },
    output,
    url,
  },
  async run({ args, rawArgs }) {
    const { intermediate } = args
    const text = await openClient(args.url).getResultsText(repeated(rawArgs, 'id'), { intermediate })
    await writeOutput(args.output, indent(text))
  },
})

const pendingOf: Record<string, boolean | undefined> = { pending: true, completed: false, all: undefined }

export const ids = command({
  name: 'ids',
  description: 'Ids of your jobs',
  args: {
    status: {
      type: 'string',
      default: 'all',
      description: 'pending, completed or all.',
      valueHint: 'pending|completed|all',
    },
    output,
    url,
  },
  async run({ args }) {
    const status = args.status.toLowerCase()
    if (!Object.hasOwn(pendingOf, status)) throw new UsageError('--status is one of pending, completed, all')
    const ids: string[] = []
    for await (const id of openClient(args.url).listJobs({ pending: pendingOf[status] })) ids.push(id)
    await writeOutput(args.output, JSON.stringify(ids, null, 2))
  },
})
