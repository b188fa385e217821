import { rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, isIP } from 'node:net'
import { isLoopback, type Listen } from '../config/listen.ts'
import type { Log } from '../log.ts'
import { messageOf } from '../trouble.ts'
import { addressFile } from './address.ts'
import { answer, type DoorOptions } from './answer.ts'

export type Door = { close(): Promise<void> }

export type OpenOptions = DoorOptions & { listen: Listen; spool: string; instance: string; log: Log }

/**
 * Listens for those who watch this runner, and writes down where. A port that is taken, by another runner of this host as a rule, is
 * replaced by a free one; without any the runner works all the same.
 */
export async function openDoor({ listen, spool, instance, log, ...options }: OpenOptions): Promise<Door> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end()
      return
    }
    if (isLoopback(listen) && !isOwnName(request.headers.host, listen)) {
      response.writeHead(403).end('This is the own address of a runner: ask for it by its address\n')
      return
    }
    const url = URL.parse(request.url ?? '', 'http://runner')
    if (url === null) {
      response.writeHead(400).end()
      return
    }
    answer(url, response, options).catch((error: unknown) => {
      log.error('A request to the own address failed', { path: url.pathname, error: messageOf(error) })
      response.destroy()
    })
  })
  const url = await listenSomewhere(server, listen, log)
  if (url === null) return { close: async () => {} }
  if (!isLoopback(listen))
    log.warn('Status, metrics and log can be read from other machines', {
      listen: `${listen.host}:${listen.port}`,
    })
  const file = addressFile(spool)
  await writeFile(file, JSON.stringify({ url, instance }), { mode: 0o600 }).catch((error: unknown) =>
    log.warn('The own address could not be written down', { file, error: messageOf(error) }),
  )
  log.info('Status, metrics and log are at', { url })
  return {
    async close() {
      await rm(file, { force: true }).catch(() => {})
      server.close()
      server.closeAllConnections()
    },
  }
}

/**
 * Whether somebody who means this host asks. A page in a browser here can have a name of its own lead to 127.0.0.1, and would read what
 * comes; it cannot ask for another name than its own. Who asks for none is no browser.
 */
function isOwnName(host: string | undefined, listen: Listen): boolean {
  if (host === undefined) return true
  const name = URL.parse(`http://${host}`)?.hostname.replace(/^\[|\]$/g, '') ?? ''
  return name === 'localhost' || name === listen.host || isIP(name) !== 0
}

/** Null: nowhere, which is told. */
async function listenSomewhere(server: Server, listen: Listen, log: Log): Promise<string | null> {
  const { host, port } = listen
  const address = `${host}:${port}`
  try {
    return await listenAt(server, listen).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') throw error
      const url = await listenAt(server, { host, port: 0 })
      log.warn('The own address is taken, using another', { listen: address, url })
      return url
    })
  } catch (error) {
    log.warn('There is no status and no metrics: the own address cannot be had', {
      listen: address,
      error: messageOf(error),
    })
    return null
  }
}

function listenAt(server: Server, { host, port }: Listen): Promise<string> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      const { port: given } = server.address() as AddressInfo
      resolve(`http://${host.includes(':') ? `[${host}]` : host}:${given}`)
    })
  })
}
