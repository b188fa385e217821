import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createNotice } from '../../src/runner/notice.ts'
import { createUploader } from '../../src/runner/upload.ts'

test('behavior: a payload file that was cut short is refused, and nothing else of this process goes out in its place', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'infernet-upload-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  const path = join(directory, 'payload')
  await writeFile(path, 'x'.repeat(100))
  const sent: unknown[] = []
  const uploader = createUploader({
    edge: {
      send(request) {
        sent.push(request.body)
        return Promise.reject(new Error('not needed'))
      },
      roundTripMs: () => 0,
      close: async () => {},
    },
    trouble: { failed: () => {}, over: () => {} },
    back: createNotice(),
    signal: AbortSignal.timeout(1_000),
  })
  const upload = { kind: 'result', path, bytes: 200 } as const
  await expect(uploader.upload({ id: 'a', attempt: 1 }, upload)).rejects.toThrow(/shorter than it was stored/)
  expect(sent).toEqual([])
})
