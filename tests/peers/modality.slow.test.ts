/** A modality that is written with pynetdicom, as hospitals' simulators and gateways are: it sends, and misbehaves. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { dimse } from '../../producers/dimse/stage.ts'
import { transferSyntaxNames } from '../../producers/dimse/syntaxes.ts'
import { chestDicom, chestUids } from '../../producers/simulator/phantoms.ts'
import { ids } from '../../schemas/ids.ts'
import { dataSetOf } from '../harness/dicom-peer.ts'
import { type OpenProducer, openProducer } from '../harness/producer.ts'
import { pynetdicom, runPython } from '../harness/python.ts'

const { python, missing, title } = await pynetdicom('a modality of pynetdicom')
const script = join(import.meta.dirname, 'pynetdicom_modality.py')
const fixtures = join(import.meta.dirname, '../../models/fixtures/imaging')

let folder = ''
let stage: OpenProducer
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'raylog-modality-'))
})
afterEach(async () => {
  await stage.close()
  await rm(folder, { recursive: true })
})

async function open(settings: object = {}, peers: object[] = []): Promise<void> {
  stage = await openProducer(dimse, { settings: { port: 0, ...settings }, network: { peers } })
}

async function modality(what: string, ...args: string[]): Promise<unknown> {
  return JSON.parse(await runPython(python, [script, what, String(stage.endpoints.dicom?.port), ...args]))
}

async function chestFile(name: string, seed: number, options: Parameters<typeof chestDicom>[1] = {}): Promise<string> {
  await writeFile(join(folder, name), chestDicom(seed, options))
  return join(folder, name)
}

const stored = async (key: string) => dataSetOf(await stage.stores.objects.get(key))
const encapsulated = '1.2.840.10008.1.2.4.'

/** Files in these syntaxes are at hand; of the others pydicom makes one. */
const files: Readonly<Record<string, string>> = {
  '1.2.840.10008.1.2': 'implicit-i16.dcm',
  '1.2.840.10008.1.2.1': 'explicit-u16-frames.dcm',
  '1.2.840.10008.1.2.1.99': 'deflated-u8.dcm',
  '1.2.840.10008.1.2.2': 'big-endian-i16-12-bits.dcm',
  '1.2.840.10008.1.2.5': 'rle-frames.dcm',
  [`${encapsulated}50`]: 'jpeg-50-ybr-422.dcm',
  [`${encapsulated}51`]: 'jpeg-51-12-bits.dcm',
  [`${encapsulated}57`]: 'jpeg-57-uint16.dcm',
  [`${encapsulated}70`]: 'jpeg-70-signed-12.dcm',
  [`${encapsulated}80`]: 'jpeg-ls-80-frames.dcm',
  [`${encapsulated}81`]: 'jpeg-ls-81-rgb.dcm',
  [`${encapsulated}90`]: 'j2k-90-frames.dcm',
  [`${encapsulated}91`]: 'j2k-91-uint16.dcm',
  [`${encapsulated}201`]: 'htj2k-201-frames.dcm',
  [`${encapsulated}202`]: 'htj2k-202-uint8-rgb.dcm',
  [`${encapsulated}203`]: 'htj2k-203-int16.dcm',
  '1.2.840.10008.1.2.8.1': 'deflated-frames.dcm',
}

describe.skipIf(missing)(title, { timeout: 300_000 }, () => {
  it('has an object of each transfer syntax stored as it is, byte for byte, video too', async () => {
    await open()
    const listed = [...transferSyntaxNames.keys()].map(uid => [
      uid,
      uid in files ? join(fixtures, files[uid] ?? '') : null,
    ])
    const sent = await modality('syntaxes', folder, JSON.stringify(listed))
    expect(sent).toMatchObject(listed.map(([syntax]) => ({ syntax, status: 0 })))
    if (!Array.isArray(sent)) return
    for (const [i, { syntax, file }] of sent.entries()) {
      const event = stage.published[i]
      expect(event?.dicom?.transferSyntax).toBe(syntax)
      expect((await stored(event?.object.key ?? '')).equals(dataSetOf(await readFile(file))), syntax).toBe(true)
    }
  })

  it('has every storage SOP class that it knows accepted', async () => {
    await open()
    expect(await modality('every')).toEqual({ known: expect.toSatisfy(count => count > 150), refused: [] })
  })

  it('has of each context the transfer syntax that it proposed first, not one that we would like better', async () => {
    await open()
    const [j2k, implicit] = [`${encapsulated}90`, '1.2.840.10008.1.2']
    expect(await modality('order', j2k, implicit)).toEqual([[j2k], [implicit]])
  })

  it('may send the SOP classes of its settings alone, and its images have its site and priority', async () => {
    const { sopClass } = chestUids(1)
    const other = '1.2.840.10008.5.1.4.1.1.7'
    const peer = { name: 'ct', aeTitle: 'CT1', addresses: ['127.0.0.1'], site: 'north', priority: 'stat' }
    await open({}, [{ ...peer, sopClasses: [sopClass] }])
    expect(await modality('classes', sopClass, other)).toEqual({ [sopClass]: 0, [other]: 'refused 1' })
    expect(stage.published).toMatchObject([{ dicom: { sopClass }, site: 'north', priority: 'stat' }])
  })

  it('may store private SOP classes where the settings say so, and is told that nobody knows them where not', async () => {
    const [ours, theirs] = ['1.2.840.10008.5.1.4.1.1.999.1', '1.3.46.670589.11.0.0.12.1']
    await open()
    expect(await modality('classes', ours, theirs)).toEqual({ [ours]: 0, [theirs]: 'refused 3' })
    await stage.close()
    await open({ privateSopClasses: true })
    expect(await modality('classes', ours, theirs)).toEqual({ [ours]: 0, [theirs]: 0 })
    expect(stage.published.map(event => event.dicom?.sopClass)).toEqual([ours, theirs])
  })

  it('is turned away for the right reason, and the audit has each', async () => {
    const known = { name: 'ct', aeTitle: 'CT1', addresses: ['127.0.0.1'], maxAssociations: 2 }
    const elsewhere = { name: 'mr', aeTitle: 'MR1', addresses: ['192.0.2.7'] }
    await open({ strictAeTitle: true }, [known, elsewhere])
    expect(await modality('rejected', 'CT1', 'RAYLOG')).toBeNull()
    expect(await modality('rejected', 'WHO', 'RAYLOG')).toEqual([1, 1, 3])
    expect(await modality('rejected', 'MR1', 'RAYLOG')).toEqual([1, 1, 3])
    expect(await modality('rejected', 'CT1', 'OTHER')).toEqual([1, 1, 7])
    expect(await modality('crowded', '2')).toEqual({ rejected: [2, 3, 2], afterwards: 0 })
    const rejected = stage.audited.filter(({ action }) => action === 'association-rejected')
    expect(rejected.map(({ actor }) => actor)).toEqual(['WHO', 'MR1', 'CT1', 'CT1'])
  })

  it('may be two hundred at once', async () => {
    // Two hundred threads of Python on a busy machine may take longer than others to ask.
    await open({ artimMs: 120_000, maxAssociationsPerCaller: 200, maxUnassociatedPerAddress: 200 })
    const names = await Promise.all(Array.from({ length: 10 }, (_, seed) => chestFile(`${seed}.dcm`, seed)))
    const statuses = await modality('together', '200', ...names)
    const opened = stage.audited.filter(({ action }) => action === 'association-opened').length
    expect({ statuses, opened }).toEqual({ statuses: { 0: 200 }, opened: 200 })
    // What comes again is the same image: two hundred were told so, ten are kept.
    expect(new Set(stage.published.map(({ id }) => id)).size).toBe(10)
    expect(await stage.objectCount()).toBe(10)
  })

  it('sends one image a hundred times at once: one object, one instance', async () => {
    await open({ maxAssociationsPerCaller: 100, maxUnassociatedPerAddress: 100 })
    expect(await modality('together', '100', await chestFile('a.dcm', 1))).toEqual({ 0: 100 })
    expect(new Set(stage.published.map(({ id }) => id)).size).toBe(1)
    expect(await stage.objectCount()).toBe(1)
  })

  it('breaks off in the middle of an image, and nothing of it is kept', async () => {
    await open()
    const file = await chestFile('a.dcm', 1, { size: 1_024 })
    expect(await modality('broken', file)).toEqual({ abort: null, vanish: null, whole: 0 })
    expect(stage.published).toHaveLength(1)
    expect(await stage.objectCount()).toBe(1)
    expect(stage.logs()).not.toContain('fault of ours')
  })

  it('tells of its procedure steps by N-CREATE and N-SET, and the study is to have what they made', async () => {
    await open()
    const { study } = chestUids(1)
    const said = await modality('steps', study)
    expect(said).toEqual([0, 0x0111, 0, 0x0106, 0x0112, 0, 0x0110, 0, 0])
    expect(stage.published).toMatchObject([
      { study: ids.study('main', study), what: 'expect', images: 5, source: 'modality', actor: 'CT1' },
    ])
    expect(stage.logs()).not.toMatch(/canary/i)
  })
})
