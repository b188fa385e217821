// Draws sample.png. The committed picture was drawn with DejaVu Sans; another machine's fonts give other pixels.
import { fileURLToPath } from 'node:url'
import sharp from 'sharp'

const lines = [
  { text: 'Northwind Bakery Supply', y: 62, size: 40 },
  { text: 'Number 4725', y: 122, size: 32 },
  { text: 'Wheat Flour 25 kg', y: 178, size: 32 },
  { text: 'Payment due March 23', y: 234, size: 32 },
]

const text = lines
  .map(({ text, y, size }) => `<text x="40" y="${y}" font-size="${size}">${text}</text>`)
  .join('')
const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="900" height="300">
  <rect width="900" height="300" fill="#ffffff"/>
  <rect x="10" y="10" width="880" height="280" fill="none" stroke="#9aa5b1" stroke-width="2"/>
  <g font-family="DejaVu Sans, sans-serif" fill="#1f2933">${text}
    <text x="640" y="178" font-size="32">384.75</text>
  </g>
</svg>`

await sharp(Buffer.from(svg))
  .png({ palette: true, colours: 32, compressionLevel: 9 })
  .toFile(fileURLToPath(new URL('sample.png', import.meta.url)))
