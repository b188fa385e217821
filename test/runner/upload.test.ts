import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { EdgeError } from '../../src/runner/edge/error.ts'
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
      pour: () => Promise.reject(new Error('not needed')),
      heard: () => null,
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

test('behavior: an edge that is back is tried at once, however long the pause was to be', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'infernet-upload-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  const path = join(directory, 'payload')
  await writeFile(path, 'x'.repeat(100))
  const back = createNotice()
  let tries = 0
  const uploader = createUploader({
    edge: {
      async send() {
        tries += 1
        if (tries > 1) throw new EdgeError('seen again', { status: 409, retry: 'never' })
        // Fifteen seconds, but for the notice.
        setTimeout(back.post, 10)
        throw new EdgeError('away', { status: 403, retry: 'slowly' })
      },
      pour: () => Promise.reject(new Error('not needed')),
      heard: () => null,
      roundTripMs: () => 0,
      close: async () => {},
    },
    trouble: { failed: () => {}, over: () => {} },
    back,
    signal: new AbortController().signal,
  })
  const uploading = uploader.upload({ id: 'job', attempt: 1 }, { kind: 'result', path, bytes: 100 })
  await expect(uploading).rejects.toThrow('seen again')
}, 5_000)
