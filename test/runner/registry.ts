import { createHash } from 'node:crypto'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { tar } from '../../src/local/containers/tar.ts'

export type RegistryOptions = { username: string; password: string; layerBytes?: number }

/** While it is slow a layer comes in such pieces, so many milliseconds apart. */
const slow = { bytes: 64 * 1024, everyMs: 100 }

/** An image registry with one image, `thing:1`, of one layer, for whoever has the password. */
export async function startRegistry({ username, password, layerBytes = 1024 * 1024 }: RegistryOptions) {
  const layer = await archive(layerBytes)
  const config = Buffer.from(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: {},
      rootfs: { type: 'layers', diff_ids: [digestOf(layer)] },
    }),
  )
  const packed = gzipSync(layer, { level: 0 })
  const media = 'application/vnd.docker'
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: `${media}.distribution.manifest.v2+json`,
      config: describe(config, `${media}.container.image.v1+json`),
      layers: [describe(packed, `${media}.image.rootfs.diff.tar.gzip`)],
    }),
  )
  const blobs = new Map([config, packed].map(blob => [digestOf(blob), blob]))
  const state = { hangs: false, isSlow: false }
  const wanted = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`

  const server = createServer((request, response) => {
    if (request.headers.authorization !== wanted) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="here"' }).end()
      return
    }
    const [, , name, kind, what = ''] = (request.url ?? '').split('/')
    const blob = blobs.get(what)
    if (name === '') response.writeHead(200).end('{}')
    else if (name === 'thing' && kind === 'manifests')
      response
        .writeHead(200, {
          'content-type': `${media}.distribution.manifest.v2+json`,
          'docker-content-digest': digestOf(manifest),
          'content-length': manifest.length,
        })
        .end(request.method === 'HEAD' ? undefined : manifest)
    else if (blob === undefined) response.writeHead(404).end()
    else if (state.hangs && blob === packed)
      response.writeHead(200, { 'content-length': blob.length }).write(blob.subarray(0, 100))
    else if (blob === packed) void drip(response.writeHead(200, { 'content-length': blob.length }), blob)
    else response.writeHead(200, { 'content-length': blob.length }).end(blob)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))

  async function drip(response: ServerResponse, blob: Buffer): Promise<void> {
    let from = 0
    while (state.isSlow && from < blob.length && !response.destroyed) {
      response.write(blob.subarray(from, from + slow.bytes))
      from += slow.bytes
      await setTimeout(slow.everyMs)
    }
    response.end(blob.subarray(from))
  }

  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    digest: digestOf(manifest),
    state,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

async function archive(bytes: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  const content = Buffer.alloc(bytes, 'thing ')
  for await (const chunk of tar([{ path: 'thing', mode: 0o644, content }])) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function describe(blob: Buffer, mediaType: string) {
  return { mediaType, size: blob.length, digest: digestOf(blob) }
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
