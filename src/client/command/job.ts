import type { Requires } from '../../protocol/labels.ts'
import type { NewJob } from '../body.ts'
import type { Client } from '../client.ts'
import { InfernetError } from '../error.ts'
import { command } from './command.ts'
import { NegativeAnswer, PendingJob, UsageError } from './exit.ts'
import { readInput, writeOutput, writePieces } from './files.ts'
import { toLine } from './indent.ts'
import { input, openClient, output, url } from './options.ts'

export const job = command({
  name: 'job',
  description: 'Request a job; prints its id, or with --sync its output',
  args: {
    containers: {
      type: 'string',
      alias: 'c',
      required: true,
      description: 'Ids of the chain of containers, separated by commas.',
      valueHint: 'ids',
    },
    'requires-proof': { type: 'boolean', default: false, description: 'Ask for a proof.' },
    requires: {
      type: 'string',
      description: 'Labels that the host must have, separated by commas: gpu=H100,gpu_memory_gib>=40.',
      valueHint: 'labels',
    },
    timeout: {
      type: 'string',
      description: 'Seconds that the containers may take, all together.',
      valueHint: 'n',
    },
    'expires-in': {
      type: 'string',
      description: 'Seconds that the job may wait for a runner.',
      valueHint: 'n',
    },
    priority: { type: 'string', description: 'From -10 to 10; higher goes first.', valueHint: 'n' },
    'idempotency-key': {
      type: 'string',
      description: 'The same key with the same job is the same job, for a day.',
      valueHint: 'key',
    },
    stream: { type: 'boolean', default: false, description: 'Print the output as the container makes it.' },
    sync: { type: 'boolean', default: false, description: 'Wait for the job, and print its output.' },
    retries: {
      type: 'string',
      default: '5',
      description: 'With --sync: how many seconds to wait.',
      valueHint: 'n',
    },
    input,
    output,
    url,
  },
  async run({ args }) {
    const client = openClient(args.url)
    if (!/^\d{1,6}$/.test(args.retries)) throw new UsageError('--retries must be a number of seconds')
    const key = args['idempotency-key']
    const job = {
      containers: args.containers.split(','),
      requires_proof: args['requires-proof'],
      requires: toRequires(args.requires),
      timeout: toNumber('--timeout', args.timeout),
      expires_in: toNumber('--expires-in', args['expires-in']),
      priority: toNumber('--priority', args.priority),
      dataJson: await readInput(args.input),
    }
    if (args.stream) return await printStream(client, job, { key, output: args.output })
    const { id, offline } = await client.createJob(job, key === undefined ? {} : { idempotencyKey: key })
    if (offline) console.error('No runner that could serve this job was heard of lately: it waits for one.')
    const printed = args.sync
      ? finish(client, { id, seconds: Number(args.retries), output: args.output })
      : writeOutput(args.output, id)
    await printed.catch((error: unknown) => {
      // The job goes on, and without its id nobody could ask for it.
      throw error instanceof UsageError ? new UsageError(`${error.message} (job ${id})`) : error
    })
  },
})

/** The bytes as they come. Ctrl-C cancels the job. */
async function printStream(
  client: Client,
  job: NewJob,
  { key, output }: { key: string | undefined; output: string },
): Promise<void> {
  const leaving = new AbortController()
  const leave = () => leaving.abort()
  process.once('SIGINT', leave)
  const stream = client.stream(job, {
    signal: leaving.signal,
    ...(key !== undefined && { idempotencyKey: key }),
  })
  try {
    await writePieces(output, stream.bytes())
  } catch (error) {
    throw leaving.signal.aborted ? new NegativeAnswer() : error
  } finally {
    process.removeListener('SIGINT', leave)
  }
}

/** @throws UsageError; the node judges what the number may be. */
function toNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value)) throw new UsageError(`${name} must be a number`)
  return value
}

/** `name=text` and `name>=number`. @throws UsageError; the node judges what names and values may be. */
function toRequires(text: string | undefined): Requires | undefined {
  if (text === undefined) return undefined
  const wanted = text.split(',').map((part): [string, string | number] => {
    const [, name = '', sign, value = ''] = /^([^=>]+)(>?=)(.+)$/.exec(part.trim()) ?? []
    const number = sign === '>=' ? toNumber(`--requires ${name}`, value) : undefined
    if (sign === undefined)
      throw new UsageError('--requires must be labels such as gpu=H100,gpu_memory_gib>=40')
    return [name.trim(), number ?? value.trim()]
  })
  const twice = wanted.find(([name], index) => wanted.findIndex(([other]) => other === name) < index)
  if (twice)
    throw new UsageError(
      `--requires names ${twice[0]} twice: a host must have all, and one value of each is asked for`,
    )
  return Object.fromEntries(wanted)
}

export const cancel = command({
  name: 'cancel',
  description: 'Cancel a job; prints its state',
  args: {
    id: { type: 'string', required: true, description: 'The job.', valueHint: 'id' },
    output,
    url,
  },
  async run({ args }) {
    const { state } = await openClient(args.url).cancelJob(args.id)
    await writeOutput(args.output, state)
  },
})

/** For the node to say why a job waits. */
const whyMs = 5_000

type Sync = { id: string; seconds: number; output: string }

/** The output of a job that succeeds, the error of one that fails, as the reference's client prints them. */
async function finish(client: Client, { id, seconds, output }: Sync): Promise<void> {
  const ended = await client.waitForJob(id, { timeoutMs: seconds * 1000 }).catch(async (error: unknown) => {
    if (!(error instanceof InfernetError) || error.code !== 'timeout') throw error
    // A node that is away cannot say.
    const asked = await client.getJob(id, { signal: AbortSignal.timeout(whyMs) }).catch(() => null)
    throw new PendingJob(id, seconds, asked?.waiting?.message ?? null)
  })
  const text = ended.state === 'success' ? await client.getOutputText(id) : null
  if (text !== null) return await writeOutput(output, toLine(text))
  const said = ended.result && 'error' in ended.result ? ended.result.error : ended.error?.message
  await writeOutput(output, said ?? ended.state)
  throw new NegativeAnswer()
}
