/** Valid files with damage done to them, and valid messages of every service with damage done to their bytes. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { commandField, writeAction, writeEventReport, writeQueryRequest } from '../../dicom/command.ts'
import { explicitLittle, implicitLittle, writeElements } from '../../dicom/data-set.ts'
import { readFileMeta } from '../../dicom/part10.ts'
import { commitmentClass, commitmentInstance, procedureStepClass } from '../../producers/dimse/sop-classes.ts'
import { chestDicom, chestUids } from '../../producers/simulator/phantoms.ts'
import type { DicomAttributes } from '../../schemas/dicom-json.ts'
import { patientRoot, studyRoot } from '../harness/dicom-node.ts'
import { associateRequest, command, dataPdus, dataSetOf, releaseRequest, store } from '../harness/dicom-peer.ts'
import { begun, made } from '../harness/procedure-steps.ts'

const folder = join(import.meta.dirname, '../../models/fixtures/imaging')

export interface Mutant {
  /** The file, and what stands behind its meta information. */
  bytes: Buffer
  dataSet: Buffer
  /** As the meta information said before the damage. */
  sopClass: string
  sopInstance: string
  transferSyntax: string
}

const originals = readdirSync(folder)
  .filter(name => name.endsWith('.dcm'))
  .flatMap(name => {
    const bytes = readFileSync(join(folder, name))
    const meta = readFileMeta(bytes)
    return meta ? [{ bytes, ...meta }] : []
  })

function fail(): never {
  throw new Error('nothing to damage')
}

/** Where in a file: half of them within its first elements, which say what all else is. */
const place = fc.oneof(
  fc.record({ near: fc.constant(true), at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }) }),
  fc.record({ near: fc.constant(false), at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }) }),
)
const damage = fc.record({
  kind: fc.constantFrom('bit', 'byte', 'zeros', 'ones', 'gone', 'twice', 'other', 'cut'),
  place,
  size: fc.integer({ min: 1, max: 32 }),
  byte: fc.integer({ min: 0, max: 255 }),
})
type Damage = typeof damage extends fc.Arbitrary<infer T> ? T : never

const headBytes = 600

function damaged(bytes: Buffer, from: number, { kind, place: { near, at }, size, byte }: Damage, other: Buffer) {
  const start = from + Math.floor(at * (near ? Math.min(headBytes, bytes.length - from) : bytes.length - from))
  const end = Math.min(bytes.length, start + size)
  if (kind === 'cut') return bytes.subarray(0, start)
  if (kind === 'gone') return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)])
  if (kind === 'twice') return Buffer.concat([bytes.subarray(0, end), bytes.subarray(start)])
  if (kind === 'bit') bytes[start] = (bytes[start] ?? 0) ^ (1 << (byte & 7))
  if (kind === 'byte') bytes[start] = byte
  if (kind === 'zeros') bytes.fill(0, start, end)
  if (kind === 'ones') bytes.fill(0xff, start, end)
  if (kind === 'other') other.subarray(byte % other.length).copy(bytes, start, 0, end - start)
  return bytes
}

const allDamaged = (bytes: Buffer, from: number, damages: readonly Damage[], other: Buffer) =>
  damages.reduce<Buffer>((now, each) => (now.length > from ? damaged(now, from, each, other) : now), bytes)

/** Each of a SOP instance of its own, where the bytes that say so are not packed, with one to three kinds of damage. */
export function mutants(count: number, seed: number): Mutant[] {
  const one = fc.record({
    of: fc.nat(originals.length - 1),
    other: fc.nat(originals.length - 1),
    damages: fc.array(damage, { minLength: 1, maxLength: 3 }),
    /** Of one in eight the meta information is damaged too. */
    from: fc.nat(7),
  })
  return fc.sample(one, { numRuns: count, seed }).map(({ of, other, damages, from }, i) => {
    const original = originals[of] ?? fail()
    const digits = String(i)
    const sopInstance = original.sopInstance.slice(0, -digits.length - 1) + 9 + digits
    const packed = !original.bytes.subarray(original.dataAt).includes(original.sopInstance)
    let bytes: Buffer = Buffer.from(original.bytes)
    if (!packed)
      for (let at = bytes.indexOf(original.sopInstance); at >= 0; at = bytes.indexOf(original.sopInstance, at))
        bytes.write(sopInstance, at, 'latin1')
    const begin = from === 0 ? 132 : original.dataAt
    const second = originals[other]?.bytes ?? bytes
    bytes = allDamaged(bytes, begin, damages, second)
    const { sopClass, transferSyntax } = original
    const said = { sopClass, sopInstance: packed ? original.sopInstance : sopInstance, transferSyntax }
    return { bytes, dataSet: bytes.subarray(original.dataAt), ...said }
  })
}

/** Contexts for all of them. */
export const contextsOfMutants = [...Map.groupBy(originals, ({ sopClass }) => sopClass)].flatMap(([abstract, these]) =>
  [...new Set(these.map(({ transferSyntax }) => transferSyntax))].map(syntax => ({ abstract, syntaxes: [syntax] })),
)

const text = (vr: string, ...Value: string[]) => ({ vr, Value })
const destination = 'ARCHIVE'

/** N-CREATE and N-SET, which differ in the tags of their UIDs (PS3.7 10.3.3, 10.3.5). */
const ofStep = (field: number, [sopClass, sopInstance]: [string, string]) =>
  writeElements(
    {
      ...{ [sopClass]: text('UI', procedureStepClass), [sopInstance]: text('UI', '1.2.77.1') },
      ...{ '00000100': { vr: 'US', Value: [field] }, '00000110': { vr: 'US', Value: [5] } },
      '00000800': { vr: 'US', Value: [1] },
    },
    implicitLittle,
  )

interface Message {
  name: string
  sopClass: string
  command: Buffer
  dataSet: Buffer
  /** The status of the last response, or one of these where it depends on what was sent before. */
  right: number[]
}

/** One message of each service, whole and right. */
function messages(study: string): Message[] {
  const { sopClass, sopInstance } = chestUids(1)
  const asked = (level: string, more: DicomAttributes) =>
    writeElements({ '00080052': text('CS', level), '0020000D': text('UI', study), ...more }, explicitLittle)
  const reference = { '00081150': text('UI', sopClass), '00081155': text('UI', sopInstance) }
  const references = { '00081195': text('UI', '1.2.77.2'), '00081199': { vr: 'SQ', Value: [reference] } }
  const set = (attributes: DicomAttributes) => writeElements(attributes, explicitLittle)
  const query = (field: 'find' | 'move' | 'get', uid: string, to?: string) =>
    writeQueryRequest(commandField[field], 7, uid, to)
  const names = { '00100010': text('PN', 'A*^*'), '00080020': text('DA', '20200101-20261231') }
  const patients = `${patientRoot}1`
  const [find, move, get] = [`${studyRoot}1`, `${studyRoot}2`, `${studyRoot}3`]
  const image = { '0020000E': text('UI', '1.2'), '00080018': text('UI', '') }
  const storing = command(commandField.store, { sopClass, sopInstance, data: true })
  const step = { sopClass: procedureStepClass, command: Buffer.alloc(0) }
  const commitment = { sopClass: commitmentClass, dataSet: set(references) }
  const action = writeAction(3, commitmentClass, commitmentInstance, 1)
  const report = writeEventReport(3, commitmentClass, commitmentInstance, 1)
  const creating = ofStep(commandField.create, ['00000002', '00001000'])
  const setting = ofStep(commandField.set, ['00000003', '00001001'])
  return [
    { name: 'C-STORE', sopClass, command: storing, dataSet: dataSetOf(chestDicom(1, { size: 32 })), right: [0] },
    { name: 'C-FIND', sopClass: find, command: query('find', find), dataSet: asked('STUDY', names), right: [0] },
    {
      ...{ name: 'C-FIND of images', sopClass: patients, command: query('find', patients), right: [0] },
      dataSet: asked('IMAGE', { '00100020': text('LO', '1'), ...image }),
    },
    {
      ...{ name: 'C-MOVE', sopClass: move, command: query('move', move, destination), right: [0] },
      dataSet: asked('STUDY', {}),
    },
    // They take nothing back, so nothing can be sent.
    { name: 'C-GET', sopClass: get, command: query('get', get), dataSet: asked('STUDY', {}), right: [0xa702] },
    { name: 'N-ACTION', ...commitment, command: action, right: [0] },
    { name: 'N-EVENT-REPORT', ...commitment, command: report, right: [0x0115] },
    { ...step, name: 'N-CREATE', command: creating, dataSet: set(begun(study)), right: [0, 0x0111] },
    { ...step, name: 'N-SET', command: setting, dataSet: set(made('COMPLETED', '1.3')), right: [0, 0x0110, 0x0112] },
  ]
}

/** An association with one message: whole, or with damage to its request, its PDUs, its command or its data set alone. */
export interface Stream {
  service: string
  /** With what was damaged. */
  name: string
  bytes: Buffer
  /** The sender says at once that nothing follows, and hears no answer. */
  ends: boolean
  /** What must be answered; undefined: damaged. */
  right: readonly number[] | undefined
}

export function streams(count: number, seed: number, study: string): Stream[] {
  const all = messages(study)
  const one = fc.record({
    of: fc.nat(all.length - 1),
    where: fc.constantFrom('association', 'pdus', 'pdus', 'command', 'data', 'data', 'data', 'random', 'nothing'),
    damages: fc.array(damage, { minLength: 1, maxLength: 2 }),
    random: fc.uint8Array({ maxLength: 400 }),
    chunk: fc.integer({ min: 16, max: 16_000 }),
    ends: fc.boolean(),
  })
  return fc.sample(one, { numRuns: count, seed }).map(({ of, where, damages, random, chunk, ends }, i) => {
    const { name, sopClass, command: asked, dataSet, right } = all[of] ?? fail()
    const hurt = (bytes: Buffer, yes: boolean) => (yes ? allDamaged(Buffer.from(bytes), 0, damages, dataSet) : bytes)
    const request = associateRequest({
      calling: `FUZZ${i % 8}`,
      contexts: [{ abstract: sopClass, syntaxes: [explicitLittle] }],
    })
    const message =
      where === 'random'
        ? Buffer.from(random)
        : Buffer.concat([
            dataPdus(1, true, hurt(asked, where === 'command')),
            dataPdus(1, false, hurt(dataSet, where === 'data'), chunk),
            // Who hears no answer says goodbye at once.
            ...(ends ? [releaseRequest()] : []),
          ])
    return {
      service: name,
      name: `${name}, damage to ${where}`,
      ends,
      right: where === 'nothing' ? right : undefined,
      bytes: Buffer.concat([hurt(request, where === 'association'), hurt(message, where === 'pdus')]),
    }
  })
}

/** A C-STORE of it over an association that has these contexts. */
export function storeOf({ dataSet, sopClass, sopInstance, transferSyntax }: Mutant): Buffer {
  const at = contextsOfMutants.findIndex(
    ({ abstract, syntaxes }) => abstract === sopClass && syntaxes.includes(transferSyntax),
  )
  return store({ context: 2 * at + 1, sopClass, sopInstance }, dataSet)
}
