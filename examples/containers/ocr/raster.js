import sharp from 'sharp'

/** RGBA pixels as the recognition library wants them: made by `open` or from raw data, and resized in place. */
export class Raster {
  static async open(picture) {
    return new Raster(picture)
  }

  constructor({ data, width, height }) {
    // A copy: the library hands over views into OpenCV's memory, which move when that memory grows.
    this.data = Buffer.from(data)
    this.width = width
    this.height = height
  }

  async resize({ width, height }) {
    if (width === this.width && height === this.height) return this
    const raw = { width: this.width, height: this.height, channels: 4 }
    const { data, info } = await sharp(this.data, { raw })
      .resize({ width, height, fit: 'contain' })
      .raw()
      .toBuffer({ resolveWithObject: true })
    this.data = data
    this.width = info.width
    this.height = info.height
    return this
  }
}
