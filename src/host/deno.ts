import { type Listen, type Listener, toListenError } from './listen.ts'

/** The part of Deno's API that we use. */
declare const Deno: {
  serve(
    options: { hostname: string; port: number; onListen(): void },
    handler: (request: Request, info: { remoteAddr: { hostname?: string } }) => Promise<Response> | Response,
  ): { addr: { port: number }; shutdown(): Promise<void> }
}

/** Listens with Deno's HTTP server. */
export const listenOnDeno: Listen = async options => {
  const server = serve()
  return {
    port: server.addr.port,
    drain: () => server.shutdown(),
    // Once it drains, the server is there for nobody: a signal that aborts it fails. Its connections end with the process.
    destroy() {},
  } satisfies Listener

  function serve() {
    const { hostname, port, handle } = options
    try {
      return Deno.serve({ hostname, port, onListen() {} }, (request, { remoteAddr }) =>
        handle(request, { address: remoteAddr.hostname ?? null }),
      )
    } catch (error) {
      throw toListenError(error, options)
    }
  }
}
