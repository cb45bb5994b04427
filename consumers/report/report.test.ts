import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inflateSync } from 'node:zlib'
import sharp from 'sharp'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { EmbeddedLog } from '../../kafka/embedded/log.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { type Prediction, type Report, topics } from '../../schemas/topics.ts'
import { anInstance, aPrediction } from '../../tests/gateway/samples.ts'
import { type Emitted, type OpenedStage, openForTest } from '../../tests/harness/stage.ts'
import { openLog, openStores, type Stores } from '../../tests/harness/stores.ts'
import { report } from './stage.ts'

let opened: Stores
let stores: Stores & { log: EmbeddedLog }
let stage: OpenedStage
beforeEach(async () => {
  opened = await openStores()
  stores = { ...opened, log: await openLog(join(opened.folder, 'log')) }
  stage = await openForTest(report, stores)
})
afterEach(async () => {
  await stage.close()
  await stores.log.close()
  await opened.close()
})

const winAnsi = new TextDecoder('windows-1252')

/** The text of a PDF with standard fonts: pdfkit writes it in hex, in pieces, one deflated stream a page. */
function textOf(pdf: Buffer): string {
  const source = pdf.toString('latin1')
  let text = ''
  for (const match of source.matchAll(/FlateDecode[\s\S]*?stream\r?\n/g)) {
    const start = match.index + match[0].length
    const content = pdf.subarray(start, source.indexOf('endstream', start))
    const page = content[0] === 0x78 ? inflateSync(content).toString('latin1') : ''
    if (!page.includes('BT')) continue
    for (const [, line = ''] of page.matchAll(/\[([^\]]*)\] TJ/g))
      text += `${[...line.matchAll(/<([0-9a-f]*)>/g)].map(([, hex = '']) => winAnsi.decode(Buffer.from(hex, 'hex'))).join('')}\n`
  }
  return text
}

const wide = () =>
  sharp({ create: { width: 400, height: 100, channels: 3, background: '#808080' } })
    .png()
    .toBuffer()

async function stored(bytes: Buffer, over: Partial<Prediction> = {}): Promise<Prediction> {
  const object = await stores.objects.put(bytes, 'image/png')
  await stores.documents.upsert('instances', [anInstance(1, { object, rows: 100, columns: 400 })])
  return aPrediction(1, { object: object.key, ...over })
}

/** What the stage may emit is checked by the compiler: it writes reports alone. */
const reportOf = (emitted: Emitted | undefined) => emitted?.event as Report

async function made(prediction: Prediction, by = stage): Promise<{ event: Report; pdf: Buffer; text: string }> {
  const emitted = await by.hand(topics.predictions, prediction)
  expect(emitted).toHaveLength(1)
  const event = reportOf(emitted[0])
  const pdf = await stores.objects.get(event.object ?? '')
  return { event, pdf, text: textOf(pdf) }
}

describe('the report of a prediction', () => {
  it('is one A4 page that says result, threshold, model, weights, ids and that it is for research only', async () => {
    const prediction = await stored(await wide(), {
      label: 'pneumonia',
      score: 0.8124,
      confidence: 0.8124,
      probabilities: { pneumonia: 0.8124, normal: 0.1876 },
      patient: 'pt_0123456789abcdefghijkl',
      quality: ['near-threshold'],
    })
    const { event, pdf, text } = await made(prediction)
    expect(event).toMatchObject({ format: 'pdf', destination: 'store', outcome: 'made', prediction: prediction.id })
    expect(event.bytes).toBe(pdf.length)
    expect(pdf.toString('latin1').match(/\/Type \/Page\b/g)).toHaveLength(1)
    expect(pdf.toString('latin1')).toContain('/MediaBox [0 0 595.28 841.89]')
    for (const said of [
      'RESEARCH USE ONLY',
      'The score for “pneumonia” is 0.812, at or',
      'Threshold: 0.500',
      '81.2%',
      'Quality: near the threshold: read this',
      'chest@1.0.0',
      'd'.repeat(64),
      prediction.id,
      prediction.instance,
      prediction.study,
      'pt_0123456789abcdefghijkl',
      '1 January 2026 at 00:00:00 UTC',
    ])
      expect(text).toContain(said)
  })

  it.each([
    [
      'fr',
      ['Résultat d’IA en imagerie', 'RECHERCHE UNIQUEMENT', 'N’est pas un dispositif médical.', '· main ·'],
      ['Le score de « pneumonia » est 0,812 : il atteint ou dépasse', '81,2\u00a0%', 'Seuil : 0,500', 'Image entière'],
      [
        'Qualité : proche du seuil',
        'PROBABILITÉS',
        'et 4 moins probables',
        '1 janvier 2026 à 00:00:00 UTC',
        'Réponse après',
      ],
    ],
    [
      'es',
      ['Resultado de IA en imagen médica', 'SOLO PARA INVESTIGACIÓN', 'No es un producto sanitario.', '· main ·'],
      ['La puntuación de «pneumonia» es 0,812: alcanza o supera', '81,2\u00a0%', 'Umbral: 0,500', 'Imagen completa'],
      [
        'Calidad: cerca del umbral',
        'PROBABILIDADES',
        'y 4 menos probables',
        '1 de enero de 2026 a las',
        'Respuesta tras',
      ],
    ],
  ] as const)('is in the language of the settings, %s, and each line is whole', async (language, head, said, more) => {
    const speaking = await openForTest(report, stores, { settings: { language } })
    const others = Object.fromEntries(Array.from({ length: 8 }, (_, n) => [`other ${n}`, 0.01]))
    const { pdf, text } = await made(
      await stored(await wide(), {
        ...{ label: 'pneumonia', score: 0.8124, confidence: 0.8124, patient: 'pt_0123456789abcdefghijkl' },
        ...{ quality: ['near-threshold'], probabilities: { pneumonia: 0.8124, ...others } },
      }),
      speaking,
    )
    await speaking.close()
    const lines = text.split(/[ \n]+/).join(' ')
    for (const words of [...head, ...said, ...more]) expect(lines).toContain(words)
    for (const english of [
      'Imaging',
      'RESEARCH',
      'Threshold',
      'RESULT\n',
      'Analysed',
      'Whole image',
      ' at ',
      'Page 1 of',
    ])
      expect(text).not.toContain(english)
    expect(text).not.toContain('…')
    expect(pdf.toString('latin1')).toContain(`/Lang (${language})`)
    expect(pdf.toString('latin1').match(/\/Type \/Page\b/g)).toHaveLength(1)
  })

  it('holds the image in its own proportions', async () => {
    const { pdf } = await made(await stored(await wide()))
    const image = pdf.toString('latin1').match(/\/Subtype \/Image[\s\S]*?\/Width (\d+)[\s\S]*?\/Height (\d+)/)
    expect([image?.[1], image?.[2]]).toEqual(['400', '100'])
    const drawn = /([\d.]+) 0 0 (-?[\d.]+) [\d.]+ [\d.]+ cm\s*\/I\d+ Do/.exec(pageOf(pdf))
    expect(Number(drawn?.[1]) / Math.abs(Number(drawn?.[2]))).toBeCloseTo(4, 2)
  })

  it('shows of many frames the one that the model looked at, and outlines and counts what was marked there', async () => {
    const bytes = await readFile(new URL('../../models/fixtures/imaging/explicit-u16-frames.dcm', import.meta.url))
    const object = await stores.objects.put(bytes, 'application/dicom')
    const points = [2, 2, 10, 2, 10, 10, 2, 10]
    const regions = [1, 2].map(frame => ({ label: 'mass', score: 0.8, frame, points }))
    const { pdf, text } = await made(aPrediction(1, { object: object.key, regions }))
    expect(text).toContain('frame 2 of 3')
    expect(text).toContain('1 region outlined')
    expect(pageOf(pdf).match(/1 0\.76\d* 0\.29\d* SCN/g)).toHaveLength(1)
    const samplesOf = async (frame: number) => {
      const png = await stores.images.preview(object, { frame })
      const at = png.indexOf('IDAT')
      return png.subarray(at + 4, at + 4 + png.readUInt32BE(at - 4))
    }
    expect(pdf.includes(await samplesOf(2))).toBe(true)
    expect(pdf.includes(await samplesOf(1))).toBe(false)
  })

  it('is the same to the byte when the event comes again, so that it is one object and one report', async () => {
    const prediction = await stored(await wide())
    const first = await made(prediction)
    const again = await made(prediction)
    expect(again.event.object).toBe(first.event.object)
    expect(again.event.id).toBe(first.event.id)
  })

  it('is the same whether or not persist knows the instance yet', async () => {
    const bytes = await wide()
    const object = await stores.objects.put(bytes, 'image/png')
    const prediction = aPrediction(1, { object: object.key })
    const before = await made(prediction)
    const facts = (await stores.images.describe(bytes, true)).facts
    await stores.documents.upsert('instances', [anInstance(1, { ...facts, object })])
    expect((await made(prediction)).event.object).toBe(before.event.object)
    expect(before.text).toContain('400 × 100 pixels')
  })

  it('differs from the report of another prediction', async () => {
    const prediction = await stored(await wide())
    const other = { ...prediction, id: 'pr_other' }
    expect((await made(other)).event.object).not.toBe((await made(prediction)).event.object)
  })

  it.each(['shadow', 'canary', 'replay'] as const)('is not made in the role %s', async role => {
    expect(await stage.hand(topics.predictions, await stored(await wide(), { role }))).toEqual([])
  })
})

describe('a report whose image', () => {
  it('is gone says so', async () => {
    const { text } = await made(aPrediction(1))
    expect(text).toContain('No image can be shown')
    expect(text).toContain('The stored object is gone')
    expect(text).toContain('chest@1.0.0')
  })

  it('is no image, or a damaged one, says so', async () => {
    expect((await made(await stored(Buffer.from('no image at all')))).text).toContain('No image can be shown')
    const png = await sharp(Buffer.alloc(90_000, 7), { raw: { width: 300, height: 300, channels: 1 } })
      .png()
      .toBuffer()
    const damaged = Buffer.concat([png.subarray(0, png.length / 2), Buffer.alloc(20, 3)])
    expect((await made(await stored(damaged, { id: 'pr_damaged' }))).text).toContain('No image can be shown')
  })

  it('cannot be asked for just now is not made: it is tried again', async () => {
    const away: Stores['images'] = {
      ...stores.images,
      preview: () => Promise.reject(new RaylogError('worker-died', 'the preview worker died')),
    }
    const waiting = await openForTest(report, { ...stores, images: away })
    const handed = waiting.hand(topics.predictions, await stored(await wide()))
    await expect(handed).rejects.toMatchObject({ code: 'worker-died' })
    await waiting.close()
  })
})

describe("a patient's name", () => {
  const patient = 'pt_0123456789abcdefghijkl'
  const identity = { name: 'Müller^Anna=山田^花子', patientId: '1', issuer: null, birthDate: '19700131', sex: 'F' }
  async function keep(text = JSON.stringify(identity)) {
    const sealed = stores.secrets.seal(text, patient)
    await stores.documents.upsert('patients', [{ id: patient, site: 'main', sealed }])
  }

  it('is not printed unless the settings say so', async () => {
    await keep()
    const { text } = await made(await stored(await wide(), { patient }))
    expect(text).not.toMatch(/M.ller/)
    expect(text).not.toContain('1970')
  })

  it('is printed with birth date and sex where they do', async () => {
    await keep()
    const showing = await openForTest(report, stores, { showNames: true, researchUseOnly: false })
    const { text } = await made(await stored(await wide(), { patient }), showing)
    expect(text).toContain('Müller, Anna')
    expect(text).toContain('31 January 1970')
    expect(text).toContain('female')
    expect(text).toContain(patient)
    expect(text).not.toContain('RESEARCH')
    await showing.close()
  })

  it('that is not kept, or cannot be opened, leaves the pseudonym', async () => {
    const showing = await openForTest(report, stores, { showNames: true })
    const prediction = await stored(await wide(), { patient })
    expect((await made(prediction, showing)).text).toContain(patient)
    await stores.documents.upsert('patients', [{ id: patient, site: 'main', sealed: 'rubbish' }])
    expect((await made(prediction, showing)).text).toContain(patient)
    await keep('not JSON')
    expect((await made(prediction, showing)).text).toContain(patient)
    await showing.close()
  })
})

it('many predictions at once give a report each', async () => {
  const prediction = await stored(await wide())
  const work = Array.from({ length: 20 }, (_, i) => made({ ...prediction, id: `pr_${i}` }))
  const all = await Promise.all(work)
  expect(new Set(all.map(({ event }) => event.object)).size).toBe(20)
  for (const [i, { text }] of all.entries()) expect(text).toContain(`Prediction pr_${i}\n`)
})

function pageOf(pdf: Buffer): string {
  const source = pdf.toString('latin1')
  for (const match of source.matchAll(/FlateDecode[\s\S]*?stream\r?\n/g)) {
    const start = match.index + match[0].length
    if (pdf[start] !== 0x78) continue
    const page = inflateSync(pdf.subarray(start, source.indexOf('endstream', start)), { finishFlush: 2 })
    if (page.includes('BT')) return page.toString('latin1')
  }
  return ''
}
