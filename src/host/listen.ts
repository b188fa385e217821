import { StartError } from './exit.ts'

/** What a host tells the app of a request's connection; the app's `c.env`. */
export type Connection = { address: string | null }

export type Handler = (request: Request, connection: Connection) => Promise<Response> | Response

export type ListenOptions = { hostname: string; port: number; handle: Handler }

/** A socket that is listened on. */
export type Listener = {
  port: number
  /** Accepts nothing more. Resolves when the requests in hand have been answered and their connections are closed. */
  drain(): Promise<void>
  /** Breaks off every connection that is left, where the host can while it drains. */
  destroy(): void
}

/** @throws StartError when the address cannot be listened on. */
export type Listen = (options: ListenOptions) => Promise<Listener>

export function urlOf({ hostname, port }: { hostname: string; port: number }): string {
  return `http://${hostname.includes(':') ? `[${hostname}]` : hostname}:${port}`
}

/** In the words of both hosts: Node's code is Deno's too, or its name. */
export function toListenError(error: unknown, { hostname, port }: ListenOptions): StartError {
  const { code, name } = error as { code?: string; name?: string }
  if (code === 'EADDRINUSE' || name === 'AddrInUse') {
    return new StartError('busy', `Port ${port} of ${hostname} is taken; give another with --port.`, {
      cause: error,
    })
  }
  return new StartError('config', `${hostname}, port ${port}, cannot be listened on: ${code ?? name}.`, {
    cause: error,
  })
}
