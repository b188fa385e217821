import sharp from 'sharp'
import { Refusal } from './refusal.js'

/** Larger pictures are refused before they are decoded: a few KiB of PNG can unfold into gigabytes. */
const maxPixels = 24_000_000

/** Longer sides are scaled down to this: print of a full page stays legible, and its reading stays near 1 GB. */
const maxSide = 1280

/** The detection network halves its input five times. */
const multiple = 32

sharp.cache(false)

/** The bytes of `data.image`, which is base64, with or without a `data:` prefix. */
export function decodeBase64(image) {
  if (typeof image !== 'string' || image === '') {
    throw new Refusal(400, 'data.image is missing: send a PNG or JPEG picture as base64 text')
  }
  const text = image.replace(/^data:[^,]{0,100},/, '').replace(/\s+/g, '')
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw new Refusal(400, 'data.image is not base64')
  return Buffer.from(text, 'base64')
}

/**
 * Decodes, turns upright, scales and pads a picture for the model.
 *
 * The padding is on the right and at the bottom, so a point of the model's picture divided by `scale` is a point of
 * the caller's picture.
 */
export async function preparePicture(bytes) {
  const { width, height } = await measure(bytes)
  const scale = Math.min(1, maxSide / Math.max(width, height))
  const inner = {
    width: Math.max(1, Math.round(width * scale)),
    height: Math.max(1, Math.round(height * scale)),
  }
  const padded = { width: roundUp(inner.width), height: roundUp(inner.height) }
  try {
    const data = await sharp(bytes, { limitInputPixels: maxPixels, failOn: 'error' })
      .rotate()
      .flatten({ background: 'white' })
      .toColourspace('srgb')
      .resize({ ...inner, fit: 'fill' })
      .extend({
        right: padded.width - inner.width,
        bottom: padded.height - inner.height,
        background: 'white',
      })
      .ensureAlpha(1)
      .raw()
      .toBuffer()
    return { data, ...padded, scale, original: { width, height } }
  } catch (cause) {
    throw new Refusal(422, 'the picture is damaged and cannot be decoded', { cause })
  }
}

async function measure(bytes) {
  // Checked before the decoder sees anything: it reads more formats than are wanted here, SVG among them.
  const png = bytes.subarray(0, 8).equals(Buffer.from('89504e470d0a1a0a', 'hex'))
  const jpeg = bytes.subarray(0, 3).equals(Buffer.from('ffd8ff', 'hex'))
  if (!png && !jpeg) throw new Refusal(422, 'data.image is neither a PNG nor a JPEG picture')

  const { width, height, orientation = 1 } = await header(bytes)
  if (width * height > maxPixels) {
    throw new Refusal(413, `the picture has ${width * height} pixels; at most ${maxPixels} are accepted`)
  }
  return orientation >= 5 ? { width: height, height: width } : { width, height }
}

async function header(bytes) {
  try {
    return await sharp(bytes, { limitInputPixels: false }).metadata()
  } catch (cause) {
    throw new Refusal(422, 'the picture has no readable header', { cause })
  }
}

function roundUp(length) {
  return Math.ceil(length / multiple) * multiple
}
