import type { ServerResponse } from 'node:http'
import type { Runner } from '../runner.ts'
import { keptLines, type Lines } from './lines.ts'

export type DoorOptions = { runner: Pick<Runner, 'status' | 'metrics'>; lines: Lines }

/** A reader that is so far behind its log is cut off: lines pile up in memory. */
const mostUnreadBytes = 1024 * 1024

/**
 * The routes at the runner's own address, all of them to be read only: `/healthz`, `/readyz`, `/metrics`, `/status`, `/log`. Nothing
 * behind them holds a secret or a payload.
 */
export async function answer(
  url: URL,
  response: ServerResponse,
  { runner, lines }: DoorOptions,
): Promise<void> {
  switch (url.pathname) {
    case '/healthz':
      return send(response, { body: 'ok\n' })
    case '/readyz': {
      const { ready, reasons } = runner.status() ?? { ready: false, reasons: ['the runner is starting'] }
      return sendJson(response, { status: ready ? 200 : 503, value: { ready, reasons } })
    }
    case '/status': {
      const status = runner.status()
      return sendJson(response, { status: status === null ? 503 : 200, value: status })
    }
    case '/metrics': {
      const { metrics } = runner
      if (metrics === null) return send(response, { status: 503, body: '' })
      return send(response, { type: metrics.contentType, body: await metrics.text() })
    }
    case '/log':
      return sendLog(response, lines, url.searchParams)
    default:
      return send(response, { status: 404, body: 'Not found\n' })
  }
}

/** `tail`: how many lines to begin with (all that are kept); `follow=1`: then those that come, until the reader goes. */
function sendLog(response: ServerResponse, lines: Lines, query: URLSearchParams): void {
  const tail = Number(query.get('tail') ?? keptLines)
  if (!Number.isSafeInteger(tail) || tail < 0) {
    send(response, { status: 400, body: 'tail is a count of lines\n' })
    return
  }
  response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' })
  response.flushHeaders()
  for (const line of lines.last(tail)) response.write(`${line}\n`)
  if (query.get('follow') !== '1') {
    response.end()
    return
  }
  const leave = lines.follow(line => {
    response.write(`${line}\n`)
    if (response.writableLength > mostUnreadBytes) response.destroy()
  })
  response.once('close', leave)
}

type Sent = { status?: number; type?: string; body: string }

function send(
  response: ServerResponse,
  { status = 200, type = 'text/plain; charset=utf-8', body }: Sent,
): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body)
}

function sendJson(response: ServerResponse, { status, value }: { status: number; value: unknown }): void {
  send(response, { status, type: 'application/json', body: `${JSON.stringify(value)}\n` })
}
