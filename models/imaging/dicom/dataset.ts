/**
 * Reads the top level of a DICOM data set up to its pixels with dicom-parser: file meta, transfer syntax, inflation,
 * lengths. Sequences that nobody asked for are passed over unread, so damage or size in them does no harm.
 */
import dicomParser, { type DataSet, type Element } from 'dicom-parser'
import { RaylogError } from '../../../schemas/errors.ts'
import { inflateAtMost } from './inflate.ts'
import { longVrs, skipUndefined } from './skip.ts'
import { guessSyntax, hasVrs, isVr, prefixAt } from './sniff.ts'
import { deflated, explicitBig } from './syntaxes.ts'

export interface Parsed {
  /** Elements read so far: those before the pixels (or before the end of group 0028, when only facts are wanted). */
  data: DataSet
  meta: DataSet
  transferSyntax: string
  /** Whether the transfer syntax was guessed, for want of one in the file. */
  guessed: boolean
  /** Bytes of the data set (inflated where they were deflated); offsets in `data` point here. */
  bytes: Uint8Array
  /** Whether VRs stand in the data set; some writers say the other in the file meta information. */
  explicit: boolean
  /** Where the data set begins in `bytes`, after the file meta information. */
  start: number
  /** The element that holds the pixels, its value not read: length 0xffffffff where encapsulated. */
  pixels: Element | undefined
  /** Group of the element in which the bytes end; undefined when nothing was missing. */
  cutAt: number | undefined
}

export interface ParseOptions {
  /** Last group that is read. */
  lastGroup: number
  /** Whether `bytes` is all there is; otherwise it is a beginning. */
  complete: boolean
  /** Most bytes that a deflated data set may become; of a beginning no more than this is inflated. */
  maxInflated: number
  /** Sequences whose items are wanted. */
  sequences?: ReadonlySet<string>
}

const pixelTags = new Set(['x7fe00008', 'x7fe00009', 'x7fe00010'])
/** More top-level elements than this is no data set that a device wrote. */
const maxElements = 50_000

/** @throws RaylogError not-an-image, malformed-dicom, truncated, too-large */
export async function parseDataSet(input: Uint8Array, options: ParseOptions): Promise<Parsed> {
  const { meta, end } = readMeta(input)
  const stated = uidText(meta.string('x00020010'))
  const transferSyntax = stated ?? guessSyntax(input, end)
  if (transferSyntax === undefined)
    throw new RaylogError('malformed-dicom', 'no transfer syntax is given, and none can be guessed')
  let bytes = input
  let start = end
  if (transferSyntax === deflated) {
    bytes = await inflateAtMost(input.subarray(end), options.maxInflated, options.complete)
    start = 0
  }
  const explicit = hasVrs(bytes, start, transferSyntax)
  const walked = walk(bytes, start, transferSyntax, explicit, options)
  const guessed = stated === undefined
  if (guessed && walked.pixels?.hadUndefinedLength === true)
    throw new RaylogError('malformed-dicom', 'the pixels are compressed, but no transfer syntax says how')
  return { ...walked, meta, transferSyntax, guessed, bytes, explicit, start }
}

/** A UID without its padding; undefined when empty. */
export function uidText(value: string | undefined): string | undefined {
  const text = value?.replaceAll('\0', '').trim()
  return text === undefined || text === '' ? undefined : text
}

/** File meta information, and where the data set begins. @throws RaylogError not-an-image, malformed-dicom, truncated */
export function readMeta(bytes: Uint8Array): { meta: DataSet; end: number } {
  const little = dicomParser.littleEndianByteArrayParser
  const prefix = prefixAt(bytes)
  if (prefix === undefined && !(bytes[0] === 0x02 && bytes[1] === 0x00) && guessSyntax(bytes, 0) === undefined)
    throw new RaylogError('not-an-image', 'neither DICOM, PNG, JPEG nor TIFF')
  if ((prefix ?? 0) >= bytes.length) throw new RaylogError('truncated', 'the data end before the file meta information')
  const stream = new dicomParser.ByteStream(little, bytes, prefix ?? 0)
  const elements: Record<string, Element> = {}
  const meta = new dicomParser.DataSet(little, bytes, elements)
  let groupEnd = Number.POSITIVE_INFINITY
  while (stream.position + 8 <= bytes.length) {
    const group = little.readUint16(bytes, stream.position)
    if (group !== 2) break
    // The group's own length settles where it ends when what follows is deflated and could look like anything.
    if (stream.position >= groupEnd && uidText(meta.string('x00020010')) === deflated) break
    const element = guarded(() => dicomParser.readDicomElementExplicit(stream, []))
    if (stream.position > bytes.length)
      throw new RaylogError('truncated', 'the data end inside the file meta information')
    elements[element.tag] = element
    if (element.tag === 'x00020000' && element.length === 4)
      groupEnd = stream.position + little.readUint32(bytes, element.dataOffset)
  }
  return { meta, end: stream.position }
}

type Walked = Pick<Parsed, 'data' | 'pixels' | 'cutAt'>

function walk(
  bytes: Uint8Array,
  start: number,
  transferSyntax: string,
  explicit: boolean,
  options: ParseOptions,
): Walked {
  const parser =
    transferSyntax === explicitBig ? dicomParser.bigEndianByteArrayParser : dicomParser.littleEndianByteArrayParser
  const elements: Record<string, Element> = {}
  const data = new dicomParser.DataSet(parser, bytes, elements)
  // A stream of no bytes is more than the library bears.
  if (start >= bytes.length) return { data, pixels: undefined, cutAt: lastGroupOf(elements) }
  const stream = new dicomParser.ByteStream(parser, bytes, start)
  for (let count = 0; stream.position < bytes.length; count++) {
    if (count > maxElements) throw new RaylogError('malformed-dicom', `more than ${maxElements} elements`)
    if (stream.position + 8 > bytes.length) return { data, pixels: undefined, cutAt: lastGroupOf(elements) }
    const head = peek(stream, explicit)
    if (head.group > options.lastGroup) return { data, pixels: undefined, cutAt: undefined }
    if (stream.position + head.size > bytes.length) return { data, pixels: undefined, cutAt: head.group }
    if (pixelTags.has(head.tag)) return { data, pixels: pixelElement(stream, head), cutAt: undefined }
    const element = readElement(stream, head, explicit, options)
    if (element === undefined || stream.position > bytes.length) return { data, pixels: undefined, cutAt: head.group }
    elements[head.tag] = element
  }
  return { data, pixels: undefined, cutAt: undefined }
}

interface Head {
  tag: string
  group: number
  vr: string | undefined
  /** 0xffffffff where undefined */
  length: number
  /** Bytes of tag, VR and length. */
  size: number
}

const undefinedLength = 0xffffffff

/**
 * Names of tags and VRs that were met before: making the text of each of hundreds of elements anew, for each image, cost
 * more than all the rest of reading a header. Bounded, since senders choose their private tags.
 */
const tags = new Map<number, string>()
const maxTags = 16_384
const vrNames = new Map<number, string>()

function tagOf(group: number, element: number): string {
  const number = group * 0x10000 + element
  const known = tags.get(number)
  if (known !== undefined) return known
  const tag = `x${number.toString(16).padStart(8, '0')}`
  if (tags.size < maxTags) tags.set(number, tag)
  return tag
}

function vrOf(first: number, second: number): string {
  const code = first * 256 + second
  const known = vrNames.get(code)
  if (known !== undefined) return known
  const vr = String.fromCharCode(first, second)
  vrNames.set(code, vr)
  return vr
}

function peek(stream: InstanceType<typeof dicomParser.ByteStream>, explicit: boolean): Head {
  const { byteArrayParser: parser, byteArray: bytes, position: at } = stream
  const group = parser.readUint16(bytes, at)
  const tag = tagOf(group, parser.readUint16(bytes, at + 2))
  if (!explicit) return { tag, group, vr: undefined, length: parser.readUint32(bytes, at + 4), size: 8 }
  const vr = vrOf(bytes[at + 4] ?? 0, bytes[at + 5] ?? 0)
  if (group !== 0xfffe && !isVr(vr)) throw new RaylogError('malformed-dicom', `element ${tag.slice(1)} has no valid VR`)
  if (!longVrs.has(vr)) return { tag, group, vr, length: parser.readUint16(bytes, at + 6), size: 8 }
  const length = at + 12 <= bytes.length ? parser.readUint32(bytes, at + 8) : 0
  return { tag, group, vr, length, size: 12 }
}

function pixelElement(stream: InstanceType<typeof dicomParser.ByteStream>, head: Head): Element {
  const { tag, length, vr } = head
  const dataOffset = stream.position + head.size
  return {
    tag,
    length,
    dataOffset,
    hadUndefinedLength: length === undefinedLength,
    ...(vr !== undefined && { vr }),
  }
}

const isBig = (stream: InstanceType<typeof dicomParser.ByteStream>) =>
  stream.byteArrayParser === dicomParser.bigEndianByteArrayParser

/** @returns undefined when the bytes end inside it */
function readElement(
  stream: InstanceType<typeof dicomParser.ByteStream>,
  head: Head,
  explicit: boolean,
  options: ParseOptions,
): Element | undefined {
  const dataOffset = stream.position + head.size
  const wanted = options.sequences?.has(head.tag) === true
  if (head.length !== undefinedLength && (!wanted || dataOffset + head.length > stream.byteArray.length)) {
    stream.seek(head.size + head.length)
    return { tag: head.tag, length: head.length, dataOffset, ...(head.vr !== undefined && { vr: head.vr }) }
  }
  if (!wanted) {
    const end = skipUndefined(stream.byteArray, dataOffset, head.vr, isBig(stream))
    if (end === undefined) return undefined
    stream.seek(end - stream.position)
    return { tag: head.tag, length: end - dataOffset, dataOffset, ...(head.vr !== undefined && { vr: head.vr }) }
  }
  const warnings: string[] = []
  stream.warnings = warnings
  try {
    const element = explicit
      ? dicomParser.readDicomElementExplicit(stream, warnings)
      : dicomParser.readDicomElementImplicit(stream)
    return warnings.some(text => text.startsWith('eof')) ? undefined : element
  } catch (thrown) {
    if (/past (the )?end|eof|out of/i.test(messageOf(thrown))) return undefined
    throw new RaylogError('malformed-dicom', `sequence ${head.tag.slice(1)} cannot be parsed`, { cause: thrown })
  }
}

function lastGroupOf(elements: Record<string, Element>): number {
  const last = Object.keys(elements).at(-1)
  return last === undefined ? 0 : Number.parseInt(last.slice(1, 5), 16)
}

function guarded<T>(read: () => T): T {
  try {
    return read()
  } catch (thrown) {
    throw new RaylogError('malformed-dicom', `the file meta information cannot be parsed: ${messageOf(thrown)}`, {
      cause: thrown,
    })
  }
}

/** dicom-parser throws strings and plain objects as well as errors. */
function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message
  if (typeof thrown === 'string') return thrown
  if (typeof thrown === 'object' && thrown !== null && 'exception' in thrown) return messageOf(thrown.exception)
  return 'unknown fault'
}
