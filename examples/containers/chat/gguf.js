// Writes GGUF, version 3: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
const alignment = 32
const types = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 }

/**
 * @param metadata entries `[key, type, value]`; the type of a list is `[type]`
 * @param tensors `{name, dimensions, data}`, all of 32-bit floats, the innermost dimension first
 */
export function writeGguf({ metadata, tensors }) {
  const head = Buffer.concat([
    Buffer.from('GGUF'),
    number('u32', 3),
    length(tensors.length),
    length(metadata.length),
    ...metadata.map(([key, type, value]) => Buffer.concat([string(key), typed(type, value)])),
  ])
  let offset = 0
  const infos = tensors.map(({ name, dimensions, data }) => {
    const info = [string(name), number('u32', dimensions.length), ...dimensions.map(length), number('u32', 0)]
    const entry = Buffer.concat([...info, length(offset)])
    offset += padded(data.byteLength)
    return entry
  })
  const bodies = tensors.map(({ data }) => pad(Buffer.from(data.buffer, data.byteOffset, data.byteLength)))
  return Buffer.concat([pad(Buffer.concat([head, ...infos])), ...bodies])
}

function typed(type, value) {
  if (!Array.isArray(type)) return Buffer.concat([number('u32', types[type]), plain(type, value)])
  const [inner] = type
  const items = value.map(item => plain(inner, item))
  return Buffer.concat([
    number('u32', types.array),
    number('u32', types[inner]),
    length(value.length),
    ...items,
  ])
}

function plain(type, value) {
  if (type === 'string') return string(value)
  return type === 'bool' ? Buffer.from([value ? 1 : 0]) : number(type, value)
}

function number(type, value) {
  const bytes = Buffer.alloc(4)
  if (type === 'f32') bytes.writeFloatLE(value)
  else if (type === 'i32') bytes.writeInt32LE(value)
  else bytes.writeUInt32LE(value)
  return bytes
}

function length(value) {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64LE(BigInt(value))
  return bytes
}

function string(text) {
  const bytes = Buffer.from(text)
  return Buffer.concat([length(bytes.length), bytes])
}

function pad(bytes) {
  return Buffer.concat([bytes, Buffer.alloc(padded(bytes.length) - bytes.length)])
}

function padded(bytes) {
  return Math.ceil(bytes / alignment) * alignment
}
