/** Patches that look like breast tissue stained with haematoxylin (purple nuclei) and eosin (pink), 50 x 50 pixels. */
import sharp from 'sharp'
import { between, seeded } from './random.ts'

const side = 50

interface Nucleus {
  x: number
  y: number
  radius: number
  stretch: number
  turn: number
}

/** PNG, 8 bit RGB. Some are crowded with nuclei of uneven size, as a tumour is. */
export async function tissuePng(seed: number): Promise<Buffer> {
  const random = seeded(seed)
  const crowded = random() < 0.5
  const nuclei: Nucleus[] = Array.from(
    { length: Math.round(crowded ? between(random, 45, 80) : between(random, 8, 22)) },
    () => ({
      x: random() * side,
      y: random() * side,
      radius: crowded ? between(random, 1.3, 3.2) : between(random, 1, 1.8),
      stretch: between(random, 0.6, 1),
      turn: random() * Math.PI,
    }),
  )
  const wave = { x: between(random, 0.1, 0.4), y: between(random, 0.1, 0.4), at: random() * 6 }
  const gap = crowded ? 1.2 : between(random, 0.5, 0.9)
  const pixels = Buffer.alloc(side * side * 3)
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const fibre = Math.sin(x * wave.x + y * wave.y + wave.at) * Math.cos(x * wave.y - y * wave.x)
      const fat = fibre > gap ? 1 : 0
      const purple = Math.max(0, ...nuclei.map(nucleus => cover(nucleus, x, y)))
      const grain = between(random, -10, 10)
      const colour = [232 - 12 * fibre, 182 - 26 * fibre, 214 - 12 * fibre].map((eosin, channel) => {
        const ground = fat ? 242 : eosin
        return ground + purple * (([112, 70, 148][channel] ?? 0) - ground) + grain
      })
      for (const [channel, value] of colour.entries())
        pixels[(y * side + x) * 3 + channel] = Math.max(0, Math.min(255, Math.round(value)))
    }
  }
  return sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
    .png()
    .toBuffer()
}

/** How much of a pixel a nucleus covers, 0..0.9. */
function cover({ x: cx, y: cy, radius, stretch, turn }: Nucleus, x: number, y: number): number {
  const [dx, dy] = [x - cx, y - cy]
  if (Math.abs(dx) > 4 || Math.abs(dy) > 4) return 0
  const along = dx * Math.cos(turn) + dy * Math.sin(turn)
  const across = (dy * Math.cos(turn) - dx * Math.sin(turn)) / stretch
  return Math.max(0, Math.min(0.9, radius + 0.5 - Math.hypot(along, across)))
}
