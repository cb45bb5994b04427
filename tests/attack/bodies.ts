/** Bytes that no honest sender sends: images, archives and forms that lie about what they are. */
import { crc32, deflateRawSync, deflateSync } from 'node:zlib'
import { filePrefix } from '../../dicom/part10.ts'

export const secondaryCapture = '1.2.840.10008.5.1.4.1.1.7'
export const explicitLittle = '1.2.840.10008.1.2.1'
export const deflatedLittle = '1.2.840.10008.1.2.1.99'
export const jpegBaseline = '1.2.840.10008.1.2.4.50'

const longVrs = new Set(['OB', 'OW', 'SQ', 'UN', 'UT'])

/** An element in explicit VR little endian (PS3.5 7.1.2). @param length what it says of itself, where that is a lie */
export function element(tag: number, vr: string, value: Buffer, length = value.length): Buffer {
  const long = longVrs.has(vr)
  const head = Buffer.alloc(long ? 12 : 8)
  head.writeUInt16LE(tag >>> 16, 0)
  head.writeUInt16LE(tag & 0xffff, 2)
  head.write(vr, 4, 'latin1')
  if (long) head.writeUInt32LE(length, 8)
  else head.writeUInt16LE(length, 6)
  return Buffer.concat([head, value])
}

export const text = (tag: number, vr: string, value: string): Buffer => {
  const bytes = Buffer.from(value, 'utf8')
  const pad = vr === 'UI' ? '\0' : ' '
  return element(tag, vr, bytes.length % 2 ? Buffer.concat([bytes, Buffer.from(pad)]) : bytes)
}
export const short = (tag: number, value: number): Buffer =>
  element(tag, 'US', Buffer.from([value & 255, (value >> 8) & 255]))

export interface DicomLies {
  uid?: string
  study?: string
  rows?: number
  columns?: number
  /** As text, as it stands in the file. */
  frames?: string
  transferSyntax?: string
  /** Stands between group 0008 and 0010. */
  before?: Buffer
  /** Stands in group 0010, instead of a name and an id. */
  patient?: Buffer
  /** Stands after the patient. */
  more?: Buffer
  /** The pixel element as it stands in the file. */
  pixels?: Buffer
}

/** A secondary capture of 8 bits that may lie about anything; the data set alone. */
export function dicomDataSet(lies: DicomLies = {}): Buffer {
  const { uid = '1.2.3.4', study = '1.2.3', rows = 16, columns = 16 } = lies
  return Buffer.concat([
    text(0x00080005, 'CS', 'ISO_IR 192'),
    text(0x00080016, 'UI', secondaryCapture),
    text(0x00080018, 'UI', uid),
    text(0x00080060, 'CS', 'OT'),
    lies.before ?? Buffer.alloc(0),
    lies.patient ?? Buffer.concat([text(0x00100010, 'PN', 'Nobody'), text(0x00100020, 'LO', '1')]),
    lies.more ?? Buffer.alloc(0),
    text(0x0020000d, 'UI', study),
    text(0x0020000e, 'UI', `${study}.1`),
    short(0x00280002, 1),
    text(0x00280004, 'CS', 'MONOCHROME2'),
    ...(lies.frames === undefined ? [] : [text(0x00280008, 'IS', lies.frames)]),
    short(0x00280010, rows),
    short(0x00280011, columns),
    short(0x00280100, 8),
    short(0x00280101, 8),
    short(0x00280102, 7),
    short(0x00280103, 0),
    lies.pixels ?? element(0x7fe00010, 'OW', Buffer.alloc(rows * columns, 9)),
  ])
}

/** The same as a Part 10 file. */
export function dicomFile(lies: DicomLies = {}): Buffer {
  const { uid = '1.2.3.4', transferSyntax = explicitLittle } = lies
  const data = dicomDataSet(lies)
  return Buffer.concat([
    filePrefix(secondaryCapture, uid, transferSyntax),
    transferSyntax === deflatedLittle ? deflateRawSync(data) : data,
  ])
}

const item = (length: number, value: Buffer = Buffer.alloc(0)) => {
  const head = Buffer.from([0xfe, 0xff, 0x00, 0xe0, 0, 0, 0, 0])
  head.writeUInt32LE(length, 4)
  return Buffer.concat([head, value])
}
const sequenceEnd = Buffer.from([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0])

/** Encapsulated pixels of one fragment. */
export const encapsulated = (fragment: Buffer): Buffer =>
  Buffer.concat([
    element(0x7fe00010, 'OB', Buffer.alloc(0), 0xffffffff),
    item(0),
    item(fragment.length, fragment),
    sequenceEnd,
  ])

/** A sequence of undefined length, full of the smallest elements there are. */
export function crowdedSequence(bytes: number): Buffer {
  const one = element(0x00081111, 'LO', Buffer.alloc(0))
  const count = Math.floor(bytes / one.length)
  return Buffer.concat([
    element(0x00081110, 'SQ', Buffer.alloc(0), 0xffffffff),
    item(0xffffffff),
    Buffer.alloc(count * one.length, one),
    Buffer.from([0xfe, 0xff, 0x0d, 0xe0, 0, 0, 0, 0]),
    sequenceEnd,
  ])
}

/** Sequences within sequences, none of them closed. */
export function deepSequence(depth: number): Buffer {
  const one = Buffer.concat([element(0x00081110, 'SQ', Buffer.alloc(0), 0xffffffff), item(0xffffffff)])
  return Buffer.alloc(depth * one.length, one)
}

function chunk(type: string, data: Buffer): Buffer {
  const head = Buffer.alloc(4)
  head.writeUInt32BE(data.length)
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const check = Buffer.alloc(4)
  check.writeUInt32BE(crc32(body))
  return Buffer.concat([head, body, check])
}

/** A PNG of `width` x `height` black pixels of 1 bit: some kB, whatever its size. `extra` stands before the pixels. */
export function pngOf(width: number, height: number, ...extra: Buffer[]): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header[8] = 1
  const rows = deflateSync(Buffer.alloc((1 + Math.ceil(width / 8)) * height))
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    ...extra,
    chunk('IDAT', rows),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

/** A comment of a PNG that unpacks to so many bytes. */
export const pngText = (keyword: string, bytes: Buffer): Buffer =>
  chunk('zTXt', Buffer.concat([Buffer.from(`${keyword}\0\0`, 'latin1'), deflateSync(bytes)]))

/** A TIFF of `pages` pages of 1 x 1 that all share one pixel. `loop`: the last page says that the first follows. */
export function tiffOf(pages: number, { loop = false, width = 1, height = 1 } = {}): Buffer {
  const entries: [number, number, number, number][] = [
    [256, 4, 1, width],
    [257, 4, 1, height],
    [258, 3, 1, 8],
    [259, 3, 1, 1],
    [262, 3, 1, 1],
    [273, 4, 1, 8],
    [277, 3, 1, 1],
    [278, 4, 1, height],
    [279, 4, 1, width * height],
  ]
  const size = 2 + entries.length * 12 + 4
  const out = Buffer.alloc(16 + pages * size)
  out.write('II*\0', 0, 'latin1')
  out.writeUInt32LE(16, 4)
  for (let page = 0, at = 16; page < pages; page++, at += size) {
    out.writeUInt16LE(entries.length, at)
    for (const [i, [tag, type, count, value]] of entries.entries()) {
      const to = at + 2 + i * 12
      out.writeUInt16LE(tag, to)
      out.writeUInt16LE(type, to + 2)
      out.writeUInt32LE(count, to + 4)
      out.writeUInt32LE(value, to + 8)
    }
    out.writeUInt32LE(page + 1 < pages ? at + size : loop ? 16 : 0, at + size - 4)
  }
  return out
}

export interface ZipLie {
  name: string | Buffer
  bytes: Buffer
  /** What the directory says of its unpacked size. */
  declared?: number
  encrypted?: boolean
  /** External attributes: a symbolic link is 0o120777 << 16. */
  mode?: number
}

/** A ZIP archive whose directory says what it is told to (APPNOTE 4.3). */
export function zipOfLies(files: readonly ZipLie[]): Buffer {
  const local: Buffer[] = []
  const central: Buffer[] = []
  let offset = 0
  for (const { name, bytes, declared = bytes.length, encrypted = false, mode = 0 } of files) {
    const packed = deflateRawSync(bytes)
    const label = typeof name === 'string' ? Buffer.from(name) : name
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(0x0800 | (encrypted ? 1 : 0), 2)
    common.writeUInt16LE(8, 4)
    common.writeUInt32LE(crc32(bytes), 10)
    common.writeUInt32LE(packed.length, 14)
    common.writeUInt32LE(Math.min(declared, 0xfffffffe), 18)
    common.writeUInt16LE(label.length, 22)
    const header = Buffer.concat([Buffer.from([0x50, 0x4b, 3, 4]), common, label, packed])
    const tail = Buffer.alloc(14)
    tail.writeUInt32LE(mode >>> 0, 6)
    tail.writeUInt32LE(offset, 10)
    central.push(Buffer.concat([Buffer.from([0x50, 0x4b, 1, 2, 20, 3]), common, tail, label]))
    local.push(header)
    offset += header.length
  }
  const directory = Buffer.concat(central)
  const end = Buffer.alloc(22)
  end.set([0x50, 0x4b, 5, 6])
  end.writeUInt16LE(files.length & 0xffff, 8)
  end.writeUInt16LE(files.length & 0xffff, 10)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...local, directory, end])
}
