import { randomUUID } from 'node:crypto'
import { appendFile, mkdtemp, readdir, rename, rm, stat, symlink, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Lease } from '../../src/protocol/runner.ts'
import { createDisk } from '../../src/runner/disk.ts'
import { createEdge } from '../../src/runner/edge/connect.ts'
import { loadKey } from '../../src/runner/key/load.ts'
import { createSigner } from '../../src/runner/key/signer.ts'
import { createNotice } from '../../src/runner/notice.ts'
import { createReporter } from '../../src/runner/report.ts'
import type { Entry } from '../../src/runner/spool/entry.ts'
import { LockedError } from '../../src/runner/spool/lock.ts'
import { openSpool, type Spool } from '../../src/runner/spool/spool.ts'
import { eventually, setup } from './setup.ts'

/** A spool in a directory, and what takes it to the edge, without the rest of a runner. */
async function start() {
  const { directory, edge: server, log, logged } = await setup()
  const instance = randomUUID()
  const spool = await openSpool(join(directory, 'spool'), { instance, log })
  const { id, privateKey } = await loadKey(join(directory, 'runner.key'))
  const signer = createSigner({ id, privateKey, audience: server.url })
  const edge = createEdge({ url: server.url, id, signer })
  const controller = new AbortController()
  const { signal } = controller
  const disk = createDisk({ layout: spool.layout, onBack: () => {}, log, signal })
  const options = { edge, instance, spool, disk, back: createNotice(), log, signal }
  const reporter = createReporter({ ...options, delivered: async () => {}, onAnswered: () => {} })
  const loops = [reporter.loops.spool(), reporter.loops.report()]
  onTestFinished(async () => {
    controller.abort()
    await Promise.all(loops)
    await edge.close()
    spool.close()
  })
  return { spool, reporter, server, logged }
}

function entryOf(lease: Lease, upload: Entry['uploads'][number]): Entry {
  const line = { ...lease, status: 'success', error_code: null, intermediate: null }
  const payload = { parts: 1, bytes: upload.bytes }
  return { lease, line: JSON.stringify({ ...line, result: payload }), uploads: [upload], batch: null }
}

test('behavior: a payload that cannot be opened for the moment is reported once it can', async () => {
  const { spool, reporter, server, logged } = await start()
  const { id } = server.enqueue({ containers: ['one'], data: '1' })
  const lease = { id, attempt: 1 }
  const path = spool.layout.payload(lease, 'result')
  await symlink(path, path)
  reporter.add(entryOf(lease, { kind: 'result', path, bytes: 5 }))
  await eventually(() => logged.some(({ level }) => level !== 'info'))
  await rm(path)
  await writeFile(path, '"xyz"')
  await server.reported(id)
})

const log = { debug() {}, info() {}, warn() {}, error() {} }

describe('lock', () => {
  async function open(directory: string): Promise<Spool> {
    const spool = await openSpool(directory, { instance: randomUUID(), log })
    onTestFinished(() => spool.close())
    return spool
  }

  async function volume(): Promise<string> {
    const directory = await mkdtemp(join(tmpdir(), 'infernet-spool-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    return directory
  }

  test('behavior: it is of the directory, by whatever name that is reached, and of no other one', async () => {
    const directory = await volume()
    const [one, other] = [join(directory, 'one'), join(directory, 'other')]
    const first = await open(one)
    await rename(one, other)
    await expect(open(other)).rejects.toThrow(LockedError)
    await open(one)
    first.close()
    await open(other)
  })

  test('behavior: it writes nothing, so that a full disk keeps nobody out', async () => {
    const directory = await volume()
    await open(directory)
    const names = await readdir(directory)
    expect(names.filter(name => name.startsWith('lock'))).toEqual(['lock'])
    expect((await stat(join(directory, 'lock'))).size).toBe(0)
  })
})

describe('start', () => {
  /** The same spool in one process after another, each of them killed. */
  async function killed() {
    const directory = await mkdtemp(join(tmpdir(), 'infernet-spool-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    return async <T>(use: (spool: Spool) => Promise<T>): Promise<T> => {
      const spool = await openSpool(directory, { instance: randomUUID(), log })
      try {
        return await use(spool)
      } finally {
        spool.close()
      }
    }
  }

  async function writeLarge(spool: Spool, ids: readonly string[]): Promise<void> {
    const entries = ids.map(async id => {
      const lease = { id, attempt: 1 }
      const { upload } = await spool.store(lease, 'result', [JSON.stringify('x'.repeat(100_000))])
      if (upload === null) throw new Error('It is to be a payload of its own')
      return entryOf(lease, upload)
    })
    await spool.write(await Promise.all(entries))
  }

  const [a, b] = ['01900000-0000-7000-8000-00000000000a', '01900000-0000-7000-8000-00000000000b']
  const idsLeft = async (spool: Spool) => spool.left.map(({ lease }) => lease.id)
  const files = async ({ layout }: Spool) => ({
    batches: (await readdir(layout.batches)).length,
    payloads: (await readdir(layout.payloads)).length,
    corrupt: (await readdir(layout.corrupt)).length,
  })

  test('behavior: what one of a batch has been answered for costs none of the others, however often it is killed', async () => {
    const start = await killed()
    await start(async spool => {
      await writeLarge(spool, [a, b])
      await unlink(spool.layout.payload({ id: a, attempt: 1 }, 'result'))
    })
    expect(await start(idsLeft)).toEqual([b])
    expect(await start(idsLeft)).toEqual([b])
    expect(await start(files)).toEqual({ batches: 1, payloads: 1, corrupt: 0 })
    await start(async spool => {
      for (const entry of spool.left) spool.release(entry)
      await expect.poll(() => files(spool)).toEqual({ batches: 0, payloads: 0, corrupt: 0 })
    })
  })

  test('behavior: what can be read of a torn batch survives being killed again, and the batch is set aside after', async () => {
    const start = await killed()
    await start(async spool => {
      await writeLarge(spool, [a, b])
      const [batch = ''] = await readdir(spool.layout.batches)
      await appendFile(join(spool.layout.batches, batch), '{"id":"torn')
    })
    expect(await start(idsLeft)).toEqual([a, b])
    expect(await start(idsLeft)).toEqual([a, b])
    await start(async spool => {
      for (const entry of spool.left) spool.release(entry)
      await expect.poll(() => files(spool)).toEqual({ batches: 0, payloads: 0, corrupt: 1 })
      expect(spool.bytes()).toBe(0)
    })
  })

  test('behavior: payloads that a line which cannot be read may have named are kept', async () => {
    const start = await killed()
    await start(async spool => {
      await writeLarge(spool, [a])
      const [batch = ''] = await readdir(spool.layout.batches)
      await writeFile(join(spool.layout.batches, batch), '{"id":"torn')
    })
    expect(await start(idsLeft)).toEqual([])
    expect(await start(files)).toEqual({ batches: 0, payloads: 0, corrupt: 2 })
  })
})
