/**
 * Makes the picture of docs/replay.md, and prints its figures: the radiographs of the PneumoniaMNIST test through the model
 * that Raylog brings, what people said of them given as feedback, and all of it replayed through another version.
 *
 *   npx node tests/pages/replay-picture.ts pneumoniamnist.npz FOLDER_OF_NEXT_VERSION docs/replay.png
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { buffer } from 'node:stream/consumers'
import sharp from 'sharp'
import { z } from 'zod'
import { openZip } from '../../producers/zip.ts'
import type { Prediction } from '../../schemas/topics.ts'
import { isIdle, listAll } from '../harness/census.ts'
import { command } from '../harness/command.ts'
import { type Raylog, startRaylog } from '../harness/raylog.ts'
import { until } from '../harness/until.ts'
import { launch } from './browser.ts'

/** As PneumoniaMNIST numbers them. */
const labels = ['Normal', 'Pneumonia']
const perRequest = 104
const width = 1280

const [archive, next, picture] = process.argv.slice(2)
if (archive === undefined || next === undefined || picture === undefined)
  throw new Error('wanted: pneumoniamnist.npz, the folder of the next version, and where the picture goes')

const version = z
  .object({ name: z.literal('pneumonia'), version: z.string() })
  .parse(JSON.parse(readFileSync(join(next, 'model.json'), 'utf8')))
const candidate = `${version.name}@${version.version}`
const data = mkdtempSync(join(tmpdir(), 'raylog-replay-picture-'))
try {
  const images = await testImages(archive)
  await using raylog = await startRaylog({
    data: join(data, 'data'),
    set: ['logLevel=warn', `models.folders=[${resolve(next, '..')}]`, `models.standby=[${candidate}]`],
  })
  const truths = await sendAll(raylog, images)
  await judgeAll(raylog, truths)
  const range = ['--from', '2000-01-01', '--to', '2100-01-01']
  const { code, stdout, stderr } = await command(['--data', raylog.data, 'replay', '--model', candidate, ...range])
  console.log(`${images.length} images sent, ${truths.size} of them different\n\n${stdout}${stderr}`)
  const [id] = stdout.match(/rr_[0-9a-f]{32}/) ?? []
  if (code !== 0 || id === undefined) throw new Error(`the replay ended with ${code}`)
  await takePicture(raylog, id, picture)
} finally {
  rmSync(data, { recursive: true, force: true })
}

interface Labelled {
  png: Buffer
  label: string
}

async function testImages(path: string): Promise<Labelled[]> {
  const arrays = new Map<string, { shape: number[]; bytes: Buffer }>()
  const most = 2 ** 26
  const zip = await openZip(path, { maxEntries: 100, maxTotalBytes: most, maxEntryBytes: most, maxRatio: 1_000 })
  for (const { name, bytes } of zip.entries) arrays.set(name, arrayOf(await buffer(bytes)))
  zip.close()
  const pixels = arrays.get('test_images.npy')
  const numbers = arrays.get('test_labels.npy')
  const [count = 0, height = 0, width = 0] = pixels?.shape ?? []
  return await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const raw = pixels?.bytes.subarray(n * height * width, (n + 1) * height * width)
      const png = await sharp(raw, { raw: { width, height, channels: 1 } })
        .toColourspace('b-w')
        .png()
        .toBuffer()
      return { png, label: labels[numbers?.bytes[n] ?? -1] ?? 'none' }
    }),
  )
}

/** One array of bytes in NumPy's format, version 1.0 (numpy.lib.format). */
function arrayOf(file: Buffer): { shape: number[]; bytes: Buffer } {
  const head = 10 + file.readUInt16LE(8)
  const [, numbers = ''] =
    /'descr': '\|u1', 'fortran_order': False, 'shape': \(([\d, ]+)\)/.exec(file.toString('latin1', 10, head)) ?? []
  const shape = numbers.split(',').flatMap(number => (number.trim() === '' ? [] : [Number(number)]))
  if (shape.length === 0) throw new Error('not an array of bytes as NumPy writes them')
  return { shape, bytes: file.subarray(head) }
}

/** @returns what people said of each instance, by its id */
async function sendAll(raylog: Raylog, images: readonly Labelled[]): Promise<Map<string, string>> {
  const truths = new Map<string, string>()
  const stored = z.object({ items: z.array(z.object({ file: z.string(), id: z.string() })) })
  for (let at = 0; at < images.length; at += perRequest) {
    const form = new FormData()
    form.append('modality', 'DX')
    form.append('bodyPart', 'CHEST')
    const some = images.slice(at, at + perRequest)
    for (const [n, { png }] of some.entries()) form.append('file', new Blob([new Uint8Array(png)]), `${n}.png`)
    const answer = await raylog.post('/api/v1/instances', form)
    const text = await answer.text()
    const { items } = stored.parse(JSON.parse(text))
    for (const { file, id } of items) truths.set(id, some[Number.parseInt(file, 10)]?.label ?? 'none')
  }
  await until('all are judged', () => isIdle(raylog))
  return truths
}

/** What people said, as the page would send it. */
async function judgeAll(raylog: Raylog, truths: ReadonlyMap<string, string>): Promise<void> {
  for (const { id, instance, label } of await listAll<Prediction>(raylog, 'predictions')) {
    const truth = truths.get(instance)
    const said = truth === label ? { verdict: 'agreed' } : { verdict: 'corrected', label: truth }
    const headers = { 'content-type': 'application/json' }
    const answer = await raylog.post(`/api/v1/predictions/${id}/feedback`, JSON.stringify(said), headers)
    if (!answer.ok) throw new Error(await answer.text())
  }
  await until('it is kept', () => isIdle(raylog))
}

/** Light, twice as fine as it is shown, from the top to the first row of flips. */
async function takePicture(raylog: Raylog, id: string, path: string): Promise<void> {
  await using stack = new AsyncDisposableStack()
  const browser = stack.adopt(await launch(), opened => opened.close())
  const page = await browser.newPage({ viewport: { width, height: 2_400 }, deviceScaleFactor: 2 })
  await page.addInitScript("localStorage.setItem('raylog.theme', 'light')")
  await page.goto(`${raylog.url}/replay/${id}?token=${raylog.token}`)
  const card = page.locator('.flips > li').first()
  await card.locator('img.shown').waitFor()
  await page.getByText('All parts well').waitFor()
  await page.waitForLoadState('networkidle')
  const box = await card.boundingBox()
  if (!box) throw new Error('nothing flipped')
  const height = Math.ceil(box.y + box.height + 12)
  const shot = await page.screenshot({ clip: { x: 0, y: 0, width, height } })
  await sharp(shot).png({ palette: true, effort: 10 }).toFile(path)
}
