import { connect, createServer, type Socket } from 'node:net'
import { freePort } from '../../../src/local/port.ts'

/** Stands between the runner and a port of this machine. */
export type Wire = {
  url: string
  /** Every connection breaks, and each new one. */
  cut(): void
  /** Connections stand, and nothing comes through. */
  silence(): void
  /** Whole again: what was held goes on. */
  mend(): void
  close(): void
}

type Line = { near: Socket; far: Socket }

export async function startWire(port: number): Promise<Wire> {
  const lines = new Set<Line>()
  let state: 'whole' | 'cut' | 'silent' = 'whole'

  function pass({ near, far }: Line): void {
    near.pipe(far)
    far.pipe(near)
  }

  function hold({ near, far }: Line): void {
    near.unpipe(far).pause()
    far.unpipe(near).pause()
  }

  const server = createServer({ allowHalfOpen: true }, near => {
    if (state === 'cut') return void near.resetAndDestroy()
    const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const line = { near, far }
    lines.add(line)
    for (const socket of [near, far])
      socket
        .on('error', () => {})
        .on('close', () => {
          lines.delete(line)
          near.destroy()
          far.destroy()
        })
    if (state === 'whole') pass(line)
    else hold(line)
  })
  const own = await freePort()
  await new Promise<void>(resolve => server.listen(own, '127.0.0.1', resolve))

  function breakAll(): void {
    for (const { near, far } of lines) {
      near.resetAndDestroy()
      far.resetAndDestroy()
    }
  }

  return {
    url: `http://127.0.0.1:${own}`,
    cut() {
      state = 'cut'
      breakAll()
    },
    silence() {
      state = 'silent'
      for (const line of lines) hold(line)
    },
    mend() {
      if (state === 'silent') for (const line of lines) pass(line)
      state = 'whole'
    },
    close() {
      server.close()
      breakAll()
    },
  }
}
