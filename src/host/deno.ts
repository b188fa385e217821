import { type Listen, type Listener, toListenError } from './listen.ts'

/** The part of Deno's API that we use. */
declare const Deno: {
  serve(
    options: { hostname: string; port: number; signal: AbortSignal; onListen(): void },
    handler: (request: Request, info: { remoteAddr: { hostname?: string } }) => Promise<Response> | Response,
  ): { addr: { port: number }; shutdown(): Promise<void> }
}

/** Listens with Deno's HTTP server. */
export const listenOnDeno: Listen = async options => {
  const breaking = new AbortController()
  const server = serve()
  return {
    port: server.addr.port,
    drain: () => server.shutdown(),
    destroy: () => breaking.abort(),
  } satisfies Listener

  function serve() {
    const { hostname, port, handle } = options
    try {
      return Deno.serve(
        { hostname, port, signal: breaking.signal, onListen() {} },
        (request, { remoteAddr }) => handle(request, { address: remoteAddr.hostname ?? null }),
      )
    } catch (error) {
      throw toListenError(error, options)
    }
  }
}
