/** Small images for tests that send thousands, and an HTTP sender that repeats each until it is acknowledged. */
import { setTimeout as wait } from 'node:timers/promises'
import { chestDicom, chestUids, digitPng } from '../../producers/simulator/phantoms.ts'
import type { Sent, ToStore } from './cstore.ts'
import type { Raylog } from './raylog.ts'

const preambleAndMeta = (file: Buffer) => 132 + 12 + file.readUInt32LE(140)

/** A radiograph, each number with UIDs of its own; its study is its own too unless given. @param size of its sides, pixels */
export function radiograph(n: number, { size = 64, study = n }: { size?: number; study?: number } = {}): ToStore {
  const file = chestDicom(n, { size, study })
  const dataSet = file.subarray(preambleAndMeta(file))
  return { ...chestUids(n, study), transferSyntax: '1.2.840.10008.1.2.1', dataSet }
}

/** Of 64 by 64. */
export const smallRadiograph = (n: number): ToStore => radiograph(n)

/**
 * Uploads the digits of these numbers, one after the other, each until it is acknowledged.
 * @param pace waited for before each attempt
 * @returns the ids that were answered
 */
export async function uploadDigits(
  raylog: Pick<Raylog, 'post'>,
  numbers: readonly number[],
  pace: () => Promise<unknown> = async () => undefined,
): Promise<Sent> {
  const sent: Sent = { acknowledged: [], repeated: 0 }
  for (const n of numbers) {
    const png = new Uint8Array(await digitPng(n, n % 10))
    for (;;) {
      await pace()
      const id = await uploadOnce(raylog, png, `${n}.png`)
      if (id !== undefined) {
        sent.acknowledged.push(id)
        break
      }
      sent.repeated++
      await wait(100)
    }
  }
  return sent
}

/**
 * Uploads radiographs of one study in one request.
 * @param seeds of the images
 * @param options its study's number; size of the sides, pixels
 */
export async function uploadChests(
  raylog: Pick<Raylog, 'post'>,
  seeds: readonly number[],
  { study, size = 256, priority = 'routine' }: { study: number; size?: number; priority?: string },
): Promise<void> {
  const form = new FormData()
  form.append('priority', priority)
  for (const seed of seeds) {
    const bytes = new Uint8Array(chestDicom(seed, { size, study }))
    form.append('file', new Blob([bytes], { type: 'application/dicom' }), `${seed}.dcm`)
  }
  const { status } = await raylog.post('/api/v1/instances', form)
  if (status !== 201) throw new Error(`the radiographs were answered with ${status}`)
}

/** @returns the id, or undefined where it was not acknowledged */
async function uploadOnce(raylog: Pick<Raylog, 'post'>, png: Uint8Array<ArrayBuffer>, name: string) {
  const form = new FormData()
  form.append('model', 'digits')
  form.append('file', new Blob([png], { type: 'image/png' }), name)
  try {
    const response = await raylog.post('/api/v1/instances', form)
    const body: unknown = await response.json()
    return acknowledgedId(response.status, body)
  } catch {
    // Killed in the middle, or not there yet.
    return undefined
  }
}

function acknowledgedId(status: number, body: unknown): string | undefined {
  if (status >= 300 || typeof body !== 'object' || body === null || !('items' in body) || !Array.isArray(body.items))
    return
  const first: unknown = body.items[0]
  return typeof first === 'object' && first !== null && 'id' in first ? String(first.id) : undefined
}
