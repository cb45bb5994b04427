/** De-identification of one object by PS3.15 Annex E: basic profile with options, driven by table E.1-1 (table.json). */
import { promisify } from 'node:util'
import { deflateRaw } from 'node:zlib'
import type { DeidentifyOption, DeidentifyRules } from '../../../schemas/deidentify.ts'
import { RaylogError } from '../../../schemas/errors.ts'
import { type Parsed, parseDataSet, uidText } from '../dicom/dataset.ts'
import { type Encoding, elementAt, type Piece, type Source, sourceOf, tagAt } from '../dicom/elements.ts'
import { fragmentsByFrame } from '../dicom/fragments.ts'
import { readPixelModule } from '../dicom/pixels.ts'
import { skipUndefined } from '../dicom/skip.ts'
import { sniff } from '../dicom/sniff.ts'
import { deflated, explicitBig, explicitLittle, isVideo, type Packing, syntaxOf } from '../dicom/syntaxes.ts'
import { textOf } from '../dicom/text.ts'
import type { Deidentified, DeidentifyReport } from '../port.ts'
import { type Cleaning, cleaningOf } from './burnt-in.ts'
import { blankPixels, type CleanedPixels, cleanDecoded, cleanNative } from './clean-pixels.ts'
import { blankComments } from './comments.ts'
import { fileMeta } from './file-meta.ts'
import { markDeidentified, putPixels } from './mark.ts'
import { createReport, type Recorder } from './report.ts'
import { rewrite, type Written } from './rewrite.ts'
import { createSubstitutes } from './values.ts'

export interface Deidentifying {
  rules: DeidentifyRules
  /** Of this installation: UIDs, dates and pseudonyms hang on it. */
  key: Uint8Array
  site: string
}

const mediaDirectory = '1.2.840.10008.1.3.10'
const pixelTags = new Set([0x7fe00008, 0x7fe00009, 0x7fe00010])
/** Packings whose frames may begin with any bytes, those of a JPEG too. */
const withoutMarkers: ReadonlySet<Packing> = new Set(['raw-frames', 'deflated-frames', 'rle'])
const deflate = promisify(deflateRaw)

/**
 * @param bytes a whole object, in any transfer syntax; it stays in the one it has unless compressed pixels are cleaned
 * @throws RaylogError not-deidentified, pixels-not-cleaned, too-large, not-an-image, malformed-dicom, truncated, decode-failed
 */
export async function deidentify(bytes: Uint8Array, { rules, key, site }: Deidentifying): Promise<Deidentified> {
  const options: ReadonlySet<DeidentifyOption> = new Set(rules.options)
  const kind = sniff(bytes)
  if (kind === undefined) throw new RaylogError('not-an-image', 'neither DICOM, PNG, JPEG nor TIFF')
  if (kind !== 'dicom') {
    if (rules.plainImages === 'refuse')
      throw new RaylogError('not-deidentified', 'a picture that is not DICOM has no attributes to go by')
    return { bytes, report: { options: rules.options, changes: [], pixels: 'untouched' }, original: null }
  }
  const parsed = await parseDataSet(bytes, { lastGroup: 0x7fe0, complete: true, maxInflated: rules.maxBytes })
  if (parsed.cutAt !== undefined) throw new RaylogError('truncated', 'the data set ends inside an element')
  const text = textOf(parsed.data)
  const patientId = text('x00100020', 'LO')
  const substitutes = createSubstitutes(key, patientId ? [site, text('x00100021', 'LO') ?? '', patientId] : undefined)
  const cleaning = cleaningOf(parsed, rules)
  const encoding = encodingOf(parsed)
  const source = sourceOf(parsed.bytes)
  const { record, changes } = createReport()
  const words = new Set(rules.words.map(word => word.toLowerCase()))
  const rewriting = { source, options, safePrivate: rules.safePrivate, words, substitutes, record }
  const written = new Map(
    rewrite(rewriting, topLevel(source, parsed.start, encoding), encoding, pixelTags).map(one => [one.tag, one]),
  )
  const overlaid = hasEmbeddedOverlays(parsed)
  const cleaned = await cleanPixels(bytes, parsed, cleaning, overlaid, rules.maxBytes)
  if (cleaned?.changed && (!encoding.explicit || encoding.big))
    throw new RaylogError('pixels-not-cleaned', 'pixels of this kind cannot be cleaned in this transfer syntax')
  if (cleaned !== undefined) putPixels(written, cleaned, encoding)
  else if (parsed.pixels?.hadUndefinedLength) withoutComments(written, parsed, record)
  const sure = cleaning.kind === 'blank' || cleaning.kind === 'regions' || cleaning.kind === 'known-clean'
  markDeidentified(written, encoding, { options, burntIn: sure ? false : undefined, dated: patientId !== null })
  const transferSyntax = cleaned?.changed ? explicitLittle : parsed.transferSyntax
  const original = identityOf(parsed)
  const sopInstance = options.has('retain-uids') ? original.sopInstance : substitutes.uid(original.sopInstance)
  const body = Buffer.concat([...written.values()].sort((a, b) => a.tag - b.tag).flatMap(({ chunks }) => chunks))
  const data = transferSyntax === deflated ? await deflate(body) : body
  const out = Buffer.concat([fileMeta({ sopClass: original.sopClass, sopInstance, transferSyntax }), data])
  return {
    bytes: out,
    report: { options: rules.options, changes: changes(), pixels: pixelsOf(parsed, cleaning, overlaid) },
    original,
  }
}

function encodingOf({ explicit, transferSyntax }: Parsed): Encoding {
  return { explicit, big: transferSyntax === explicitBig }
}

function identityOf({ data, meta }: Parsed): NonNullable<Deidentified['original']> {
  const sopClass = uidText(data.string('x00080016')) ?? uidText(meta.string('x00020002'))
  const sopInstance = uidText(data.string('x00080018')) ?? uidText(meta.string('x00020003'))
  if (sopClass === undefined || sopInstance === undefined)
    throw new RaylogError('malformed-dicom', 'SOP Class UID or SOP Instance UID is missing')
  if (sopClass === mediaDirectory)
    throw new RaylogError('not-an-image', 'a DICOMDIR only lists files: send the files that it lists')
  return { sopClass, sopInstance, study: uidText(data.string('x0020000d')) ?? '' }
}

/** All that follows the pixels and cannot be read is left out: nothing of it is needed, and anything may stand in it. */
function* topLevel(source: Source, start: number, encoding: Encoding): Generator<Piece> {
  const limit = source.bytes.length
  let past = false
  for (let at = start; at < limit; ) {
    let piece: Piece
    try {
      piece = pieceAt(source, at, limit, encoding)
    } catch (thrown) {
      if (past && thrown instanceof RaylogError) return
      throw thrown
    }
    past ||= pixelTags.has(piece.tag)
    yield piece
    at = piece.end
  }
}

/** Pixels whose last delimiter is missing go to the end: readers forgive that. */
function pieceAt(source: Source, at: number, limit: number, encoding: Encoding): Piece {
  if (at + 12 <= limit && tagAt(source, at, encoding.big) === 0x7fe00010 && encoding.explicit) {
    const undefinedEnd = source.view.getUint32(at + 8, !encoding.big) === 0xffffffff
    if (undefinedEnd && skipUndefined(source.bytes, at + 12, 'OB') === undefined)
      return { tag: 0x7fe00010, vr: 'OB', start: at, from: at + 12, to: limit, end: limit, undefinedLength: true }
  }
  return elementAt(source, at, limit, encoding)
}

/** Overlays in unused bits of the pixels (retired): Overlay Bits Allocated above 1 (PS3.3 C.9.2.1.1.4, 2004). */
function hasEmbeddedOverlays({ data, pixels }: Parsed): boolean {
  if (pixels?.tag !== 'x7fe00010') return false
  return Object.keys(data.elements).some(tag => /^x60[0-9a-f][02468ace]0100$/.test(tag) && (data.uint16(tag) ?? 1) > 1)
}

async function cleanPixels(
  object: Uint8Array,
  parsed: Parsed,
  cleaning: Cleaning,
  overlaid: boolean,
  maxBytes: number,
): Promise<CleanedPixels | undefined> {
  const { pixels, bytes } = parsed
  if (pixels === undefined) return undefined
  const regions = cleaning.kind === 'regions' ? cleaning.regions : []
  if (cleaning.kind !== 'blank' && regions.length === 0 && !overlaid) return undefined
  const module = readPixelModule(parsed)
  const native = pixels.hadUndefinedLength !== true
  if (cleaning.kind === 'blank') return blankPixels(module, native, maxBytes)
  if (!native && syntaxOf(parsed.transferSyntax) === undefined)
    throw new RaylogError('pixels-not-cleaned', 'the transfer syntax is not one that Raylog decodes')
  if (!native || module.bitsAllocated === 1 || module.photometric.endsWith('_422'))
    return cleanDecoded(object, module, regions, maxBytes)
  const value = bytes.subarray(pixels.dataOffset, pixels.dataOffset + pixels.length)
  return cleanNative(value, module, regions, {
    mask: overlaid,
    big: parsed.transferSyntax === explicitBig,
    words: pixels.vr === 'OW',
  })
}

/** Pixels that stay compressed, without the text in their frames. A video is one stream, cut wherever its sender liked. */
function withoutComments(written: Map<number, Written>, parsed: Parsed, record: Recorder): void {
  if (isVideo(parsed.transferSyntax)) return
  const old = written.get(0x7fe00010)
  const [chunk] = old?.chunks ?? []
  if (!chunk || withoutMarkers.has(syntaxOf(parsed.transferSyntax)?.packing ?? 'jpeg')) return
  const own = chunk.slice()
  const offset = chunk.byteOffset - parsed.bytes.byteOffset
  const frames = fragmentsByFrame(parsed)
  const count = blankComments(
    own,
    frames.map(frame => frame.map(({ start, length }) => ({ start: start - offset, length }))),
  )
  if (count === 0) return
  for (let i = 0; i < count; i++) record('7fe00010', 'Comments in Pixel Data', 'empty')
  written.set(0x7fe00010, { tag: 0x7fe00010, chunks: [own] })
}

function pixelsOf({ pixels }: Parsed, { kind }: Cleaning, overlaid: boolean): DeidentifyReport['pixels'] {
  if (pixels === undefined) return 'none'
  if (kind === 'blank') return 'blanked'
  if (kind === 'regions' || kind === 'known-clean') return kind
  return overlaid ? 'overlays-removed' : 'untouched'
}
