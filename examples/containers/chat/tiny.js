import { createHash } from 'node:crypto'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { learnBpe } from './bpe.js'
import { writeGguf } from './gguf.js'
import { tiny } from './pins.js'

// What the tokenizer learns its words from.
const text = `A lighthouse stands where the land ends and the sea begins. At night its lamp turns slowly, and the light
goes out over the water to the ships that pass. The keeper of the lighthouse writes the weather into a book: the wind
from the west, the rain in the evening, the fog that comes with the morning. When a ship answers with its horn, the
keeper writes that too. Nobody reads the book, but the sea is never the same, and the words are never the same. In the
summer the birds come back to the rocks under the tower, and the children of the village walk along the shore to look
at them. They ask the keeper what the light says. It says where we are, the keeper answers, and that is all there is to
say. In the winter the waves are higher than the door, and the stairs are cold, and the light turns as it always does.`

const width = 64
const heads = 4
const kvHeads = 2
const inner = 128
const layers = 2
const context = 65_536
const special = ['<|endoftext|>', '<|im_start|>', '<|im_end|>']
const normal = 1
const control = 3

const template =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

/** Writes the tiny model into a folder: a real tokenizer, a real network, and weights that nobody has trained. */
export async function ensureTiny(folder) {
  const content = makeTiny()
  const path = join(folder, tiny.file)
  const part = `${path}.${process.pid}.part`
  await writeFile(part, content)
  await rename(part, path)
  return { name: tiny.name, path, sha256: createHash('sha256').update(content).digest('hex') }
}

/** The same bytes each time. */
export function makeTiny() {
  const { tokens, merges } = learnBpe(text, 400)
  const vocabulary = [...special, ...tokens]
  return writeGguf({
    metadata: [...architecture(vocabulary.length), ...tokenizer(vocabulary, merges)],
    tensors: network(vocabulary),
  })
}

function architecture(size) {
  return [
    ['general.architecture', 'string', 'llama'],
    ['general.name', 'string', tiny.name],
    ['general.file_type', 'u32', 0],
    ['llama.vocab_size', 'u32', size],
    ['llama.context_length', 'u32', context],
    ['llama.embedding_length', 'u32', width],
    ['llama.block_count', 'u32', layers],
    ['llama.feed_forward_length', 'u32', inner],
    ['llama.attention.head_count', 'u32', heads],
    ['llama.attention.head_count_kv', 'u32', kvHeads],
    ['llama.attention.layer_norm_rms_epsilon', 'f32', 1e-5],
    ['llama.rope.dimension_count', 'u32', width / heads],
  ]
}

function tokenizer(vocabulary, merges) {
  return [
    ['tokenizer.ggml.model', 'string', 'gpt2'],
    ['tokenizer.ggml.pre', 'string', 'gpt-2'],
    ['tokenizer.ggml.tokens', ['string'], vocabulary],
    [
      'tokenizer.ggml.token_type',
      ['i32'],
      vocabulary.map((_, id) => (id < special.length ? control : normal)),
    ],
    ['tokenizer.ggml.merges', ['string'], merges],
    ['tokenizer.ggml.bos_token_id', 'u32', special.indexOf('<|im_start|>')],
    ['tokenizer.ggml.eos_token_id', 'u32', special.indexOf('<|im_end|>')],
    ['tokenizer.ggml.add_bos_token', 'bool', false],
    ['tokenizer.chat_template', 'string', template],
  ]
}

function network(vocabulary) {
  const random = createRandom(20250201)
  const matrix = (name, dimensions, scale) => {
    const data = new Float32Array(dimensions.reduce((product, length) => product * length))
    for (let at = 0; at < data.length; at++) data[at] = random() * scale
    return { name, dimensions, data }
  }
  const ones = name => ({ name, dimensions: [width], data: new Float32Array(width).fill(1) })
  const block = index => {
    const at = name => `blk.${index}.${name}.weight`
    return [
      ones(at('attn_norm')),
      matrix(at('attn_q'), [width, width], 0.3),
      matrix(at('attn_k'), [width, (width / heads) * kvHeads], 0.3),
      matrix(at('attn_v'), [width, (width / heads) * kvHeads], 0.3),
      matrix(at('attn_output'), [width, width], 0.1),
      ones(at('ffn_norm')),
      matrix(at('ffn_gate'), [width, inner], 0.3),
      matrix(at('ffn_up'), [width, inner], 0.3),
      matrix(at('ffn_down'), [inner, width], 0.1),
    ]
  }
  const embeddings = matrix('token_embd.weight', [width, vocabulary.length], 1)
  const output = matrix('output.weight', [width, vocabulary.length], 0.5)
  lean(vocabulary, { embeddings, output })
  const blocks = Array.from({ length: layers }, (_, index) => block(index)).flat()
  return [embeddings, ...blocks, ones('output_norm.weight'), output]
}

/**
 * The first dimension is the same for every token, and so tells what the last layer is to prefer: words to bytes, and
 * never half a character or the start of a message. The end of the message comes now and then.
 */
function lean(vocabulary, { embeddings, output }) {
  const firstWord = special.length + 256
  for (let id = 0; id < vocabulary.length; id++) {
    embeddings.data[id * width] = 4
    output.data[id * width] = id >= firstWord ? 1 : -8
  }
  output.data[special.indexOf('<|im_end|>') * width] = 0.2
}

/** Numbers from -1 to 1: Mulberry32. Only 32-bit whole numbers, so that each machine makes the same. */
function createRandom(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 31 - 1
  }
}
