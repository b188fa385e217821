import { createReadStream } from 'node:fs'

/** A file or folder in an archive. File content is either at hand or at a path of this machine. */
export type Entry =
  | { path: string; mode: number; folder: true }
  | { path: string; mode: number; content: Buffer }
  | { path: string; mode: number; file: string; bytes: number }

const block = 512

/** Writes a ustar archive. Owner and times are zero, so that the same files give the same archive. */
export async function* tar(entries: Iterable<Entry>): AsyncGenerator<Uint8Array> {
  for (const entry of entries) {
    const bytes = size(entry)
    yield header(entry, bytes)
    if ('content' in entry) yield entry.content
    if ('file' in entry && bytes > 0) yield* exactly(entry.file, bytes)
    if (bytes % block) yield Buffer.alloc(block - (bytes % block))
  }
  yield Buffer.alloc(2 * block)
}

function size(entry: Entry): number {
  if ('content' in entry) return entry.content.length
  return 'file' in entry ? entry.bytes : 0
}

/** A file that changes its size under way would shift every header after it. */
async function* exactly(file: string, bytes: number): AsyncGenerator<Uint8Array> {
  let read = 0
  for await (const chunk of createReadStream(file, { end: bytes - 1, highWaterMark: 1024 * 1024 })) {
    read += chunk.length
    yield chunk
  }
  if (read !== bytes) throw new Error(`${file} became shorter while it was packed`)
}

function header(entry: Entry, bytes: number): Buffer {
  const { name, prefix } = split('folder' in entry ? `${entry.path}/` : entry.path)
  const field = Buffer.alloc(block)
  field.write(name, 0)
  field.write(octal(entry.mode, 7), 100)
  field.write(octal(0, 7), 108)
  field.write(octal(0, 7), 116)
  field.write(octal(bytes, 11), 124)
  field.write(octal(0, 11), 136)
  field.write('        ', 148)
  field.write('folder' in entry ? '5' : '0', 156)
  field.write('ustar\0' + '00', 257)
  field.write(prefix, 345)
  const sum = field.reduce((total, byte) => total + byte, 0)
  field.write(`${octal(sum, 6)}\0 `, 148)
  return field
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0')
}

/** ustar holds 100 bytes of name and 155 of the folders before it. */
function split(path: string): { name: string; prefix: string } {
  if (Buffer.byteLength(path) <= 100) return { name: path, prefix: '' }
  for (let at = path.indexOf('/'); at > 0; at = path.indexOf('/', at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)]
    if (name !== '' && Buffer.byteLength(name) <= 100 && Buffer.byteLength(prefix) <= 155)
      return { name, prefix }
  }
  throw new Error(`the path is too long for an archive: ${path}`)
}
