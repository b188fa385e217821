import { randomUUID } from 'node:crypto'
import { rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { onTestFinished, test } from 'vitest'
import type { Lease } from '../../src/protocol/runner.ts'
import { createEdge } from '../../src/runner/edge/connect.ts'
import { loadKey } from '../../src/runner/key/load.ts'
import { createSigner } from '../../src/runner/key/signer.ts'
import { createNotice } from '../../src/runner/notice.ts'
import { createReporter } from '../../src/runner/report.ts'
import type { Entry } from '../../src/runner/spool/entry.ts'
import { openSpool } from '../../src/runner/spool/spool.ts'
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
  const options = { edge, instance, spool, back: createNotice(), log, signal }
  const reporter = createReporter({ ...options, onAnswered: () => {} })
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
