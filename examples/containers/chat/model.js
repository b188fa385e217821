import { getLlama, JinjaTemplateChatWrapper, LlamaLogLevel } from 'node-llama-cpp'
import { createDecoder } from './decoder.js'
import { Refusal } from './refusal.js'

/** What a long prompt is cut into: between two pieces, about 0.3 s on a slow core, it can be given up. */
const pieceTokens = 64

/** For models that do not say how messages are laid out. */
const chatMl = `{% for message in messages %}<|im_start|>{{ message['role'] }}
{{ message['content'] }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`

/**
 * Loads the weights once, and as many contexts as there may be generations at once: each has threads of its own, where
 * sequences of one context would take turns on the same.
 */
export async function loadModel({ path, slots, threads, contextTokens }) {
  const llama = await getLlama({
    gpu: false,
    // Neither compiles nor downloads anything: the binaries come with the packages, or there are none.
    build: 'never',
    skipDownload: true,
    progressLogs: false,
    logLevel: LlamaLogLevel.error,
    maxThreads: slots * threads,
  })
  const model = await llama.loadModel({ modelPath: path })
  const template = model.fileInfo.metadata.tokenizer?.chat_template ?? chatMl
  const layout = new JinjaTemplateChatWrapper({ template, tokenizer: model.tokenizer })
  const contextSize = Math.min(contextTokens, model.trainContextSize)
  const sequences = []
  for (let made = 0; made < slots; made++) {
    const context = await model.createContext({ contextSize, threads })
    sequences.push(context.getSequence())
  }

  return {
    sequences,

    /** @returns the tokens of a chat and how many may follow. Markers of the layout inside a message stay text. */
    prepare({ messages, maxTokens, sampling }) {
      const chatHistory = [...messages.map(toHistory), { type: 'model', response: [] }]
      const tokens = layout.generateContextState({ chatHistory }).contextText.tokenize(model.tokenizer)
      if (tokens.length >= contextSize) {
        throw new Refusal(400, `the messages are ${tokens.length} tokens long; ${contextSize - 1} fit`)
      }
      return { tokens, maxTokens: Math.min(maxTokens, contextSize - tokens.length), sampling }
    },

    /** Yields the text of each token. Stops before the next one when the signal is aborted. */
    async *generate(sequence, { tokens, maxTokens, sampling }, { signal, outcome }) {
      const decoder = createDecoder((some, before) => model.detokenize(some, false, before))
      const rest = await read(sequence, tokens, signal)
      for await (const token of sequence.evaluate(rest, sampling)) {
        signal.throwIfAborted()
        outcome.completionTokens += 1
        const text = decoder.push(token)
        if (text) yield text
        if (outcome.completionTokens < maxTokens) continue
        outcome.finish = 'length'
        break
      }
      const text = decoder.end()
      if (text) yield text
    },
  }
}

/** Has all of a prompt evaluated but its last piece, which it returns. */
async function read(sequence, tokens, signal) {
  await sequence.clearHistory()
  let at = 0
  for (; at + pieceTokens < tokens.length; at += pieceTokens) {
    await sequence.evaluateWithoutGeneratingNewTokens(tokens.slice(at, at + pieceTokens))
    signal.throwIfAborted()
  }
  return tokens.slice(at)
}

function toHistory({ role, content }) {
  if (role === 'assistant') return { type: 'model', response: [content] }
  return { type: role, text: content }
}
