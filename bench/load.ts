import { Pool } from 'undici'

export type Load = {
  url: string
  connections: number
  signal: AbortSignal
  body: string
  mayGoOn?: () => Promise<void>
}

/** Creates jobs one by one over so many connections until the signal. @returns how many were stored. */
export async function createUntil({ url, connections, signal, body, mayGoOn }: Load): Promise<number> {
  const pool = new Pool(url, { connections, pipelining: 1 })
  let stored = 0
  const worker = async () => {
    while (!signal.aborted) {
      if (mayGoOn) await mayGoOn()
      const response = await pool.request({
        path: '/api/jobs',
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
      })
      const text = await response.body.text()
      if (response.statusCode !== 200) throw new Error(`${response.statusCode} ${text}`)
      stored += 1
    }
  }
  await Promise.all(Array.from({ length: connections }, worker))
  await pool.close()
  return stored
}
