import type { Steps } from './steps.ts'

export type StreamDemoOptions = {
  url: string
  steps: Steps
  /** Where the answer goes while it is made. */
  write?: (text: string) => unknown
}

const question = 'Write one sentence about the sea.'
const indent = ' '.repeat(10)

/** Streaming on real input: a model's answer, shown as it is generated. Throws when none comes. */
export async function streamDemo({
  url,
  steps,
  write = text => process.stdout.write(text),
}: StreamDemoOptions): Promise<void> {
  steps.note(`${await describeChat(url)}: ${question}`)
  await steps.run(
    'answer streamed',
    () => streamAnswer(url, write),
    ({ id, firstMs }) => `POST /api/jobs/stream, the first of it after ${Math.round(firstMs)} ms -> ${id}`,
  )
}

/** What the node says of its chat container, its model included. */
async function describeChat(url: string): Promise<string> {
  const response = await fetch(`${url}/info`)
  const { containers } = (await response.json()) as { containers: { id: string; description: string }[] }
  const chat = containers.find(({ id }) => id === 'chat')
  if (!chat) throw new Error('The node offers no chat container.')
  return chat.description
}

async function streamAnswer(
  url: string,
  write: (text: string) => unknown,
): Promise<{ id: string; firstMs: number }> {
  const begun = performance.now()
  const response = await fetch(`${url}/api/jobs/stream`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      containers: ['chat'],
      data: { messages: [{ role: 'user', content: question }], max_tokens: 64 },
    }),
  })
  if (!response.ok || !response.body)
    throw new Error(`The stream was refused: ${response.status} ${await response.text()}`)
  let id = ''
  let firstMs: number | undefined
  const texts = response.body.pipeThrough(new TextDecoderStream())
  for await (const text of afterFirstLine(texts, line => {
    id = line
  })) {
    if (firstMs === undefined) write(indent)
    firstMs ??= performance.now() - begun
    write(text.replaceAll('\n', `\n${indent}`))
  }
  if (firstMs === undefined) throw new Error('The model said nothing.')
  write('\n')
  return { id, firstMs }
}

/** Hands the first line over, and yields what follows it. */
async function* afterFirstLine(
  texts: AsyncIterable<string>,
  onLine: (line: string) => void,
): AsyncGenerator<string> {
  let head = ''
  let found = false
  for await (const text of texts) {
    head = found ? text : head + text
    const end = found ? -1 : head.indexOf('\n')
    if (!found && end === -1) continue
    if (!found) onLine(head.slice(0, end))
    found = true
    if (end + 1 < head.length) yield head.slice(end + 1)
  }
}
