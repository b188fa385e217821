import { open } from 'node:fs/promises'
import { PassThrough, pipeline } from 'node:stream'
import { createInflateRaw } from 'node:zlib'

// A wheel is a ZIP archive: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
const endSignature = 0x06054b50
const entrySignature = 0x02014b50
const fileSignature = 0x04034b50
const endBytes = 22
const fileHeaderBytes = 30
const stored = 0
const deflated = 8

/** One file of a wheel as a stream. Its caller knows the hash to expect, so the archive's own check sum is not looked at. */
export async function openEntry(path, name) {
  const file = await open(path)
  try {
    const { method, compressedBytes, offset } = await findEntry(file, name)
    const header = await readAt(file, offset, fileHeaderBytes)
    if (header.readUInt32LE(0) !== fileSignature) throw new Error('the archive is damaged')
    const start = offset + fileHeaderBytes + header.readUInt16LE(26) + header.readUInt16LE(28)
    const content = file.createReadStream({ start, end: start + compressedBytes - 1 })
    // Errors of the file are errors of what is handed out.
    return pipeline(content, method === deflated ? createInflateRaw() : new PassThrough(), () => {})
  } catch (error) {
    await file.close()
    throw error
  }
}

async function findEntry(file, wanted) {
  const directory = await readDirectory(file)
  for (let at = 0; at + 46 <= directory.length; ) {
    if (directory.readUInt32LE(at) !== entrySignature) break
    const nameEnd = at + 46 + directory.readUInt16LE(at + 28)
    if (directory.toString('utf8', at + 46, nameEnd) === wanted) return describe(directory.subarray(at))
    at = nameEnd + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32)
  }
  throw new Error(`there is no ${wanted} in the archive`)
}

function describe(entry) {
  const method = entry.readUInt16LE(10)
  if (method !== stored && method !== deflated)
    throw new Error(`compression method ${method} is not supported`)
  return { method, compressedBytes: entry.readUInt32LE(20), offset: entry.readUInt32LE(42) }
}

async function readDirectory(file) {
  const { size } = await file.stat()
  // The end may be followed by a comment of up to 64 KiB.
  const tail = await readAt(file, Math.max(0, size - endBytes - 0xffff), Math.min(size, endBytes + 0xffff))
  for (let at = tail.length - endBytes; at >= 0; at--) {
    if (tail.readUInt32LE(at) !== endSignature) continue
    return await readAt(file, tail.readUInt32LE(at + 16), tail.readUInt32LE(at + 12))
  }
  throw new Error('this is no archive')
}

async function readAt(file, position, length) {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, position)
  if (bytesRead !== length) throw new Error('the archive ends too soon')
  return buffer
}
