/**
 * A data set written again, element by element: what may stay is copied byte by byte, so that nothing is lost that nobody
 * asked to change; what may not is removed, emptied or replaced, in sequences as well (PS3.15 E.1.1).
 */
import type { DeidentifyOption } from '../../../schemas/deidentify.ts'
import {
  broken,
  delimiter,
  type Encoding,
  headOf,
  hex,
  itemsOf,
  itemTag,
  looksLikeItems,
  type Piece,
  piecesIn,
  type Source,
  total,
  undefinedLength,
} from '../dicom/elements.ts'
import { contentItems, dummyAction } from './content.ts'
import { createPrivacy, type SafePrivate } from './private.ts'
import type { Recorder } from './report.ts'
import { type Action, actionOf, actionOfUnknown, actionOfUnlisted, rowOf, vrOf } from './table.ts'
import { dummyOf, isWellKnown, type Substitutes, textBytes } from './values.ts'
import { isPlain } from './words.ts'

export interface Rewriting {
  source: Source
  options: ReadonlySet<DeidentifyOption>
  safePrivate: readonly SafePrivate[]
  words: ReadonlySet<string>
  substitutes: Substitutes
  record: Recorder
}

/** A top-level element, ready to be written. */
export interface Written {
  tag: number
  chunks: Uint8Array[]
}

/** Devices nest ten deep or so. */
const maxDepth = 64

/** `dummy`: within a sequence that must stay and may say nothing. */
type Mode = 'normal' | 'dummy'

/** UIDs that name a class or a scheme, private ones too: to replace them would only make the object unreadable. */
const classUids = new Set([
  '00080016',
  '00081150',
  '0008010c',
  '00080118',
  '00041510',
  '00020002',
  '00020010',
  '0008001a',
])

/** At the top they are copied as they are, and cleaned by themselves (`leave`). */
const pixelTags = new Set([0x7fe00008, 0x7fe00009, 0x7fe00010])

const identities = new Set(['00100010', '00100020'])

/** @param leave tags that are copied as they are: the pixels */
export function rewrite(
  rewriting: Rewriting,
  pieces: Iterable<Piece>,
  encoding: Encoding,
  leave: ReadonlySet<number> = new Set(),
): Written[] {
  return rewriteSet(rewriting, pieces, encoding, 'normal', 0, leave)
}

function rewriteSet(
  rewriting: Rewriting,
  pieces: Iterable<Piece>,
  encoding: Encoding,
  mode: Mode,
  depth: number,
  leave: ReadonlySet<number>,
): Written[] {
  if (depth > maxDepth) throw broken(`sequences nested deeper than ${maxDepth}`)
  const { source, record } = rewriting
  const privacy = createPrivacy(rewriting.options.has('retain-safe-private') ? rewriting.safePrivate : [], source)
  const written: Written[] = []
  for (const piece of pieces) {
    const { tag } = piece
    if ((tag & 0xffff) === 0) continue // group lengths (retired) would be wrong from here on
    if (leave.has(tag)) {
      written.push({ tag, chunks: [source.bytes.subarray(piece.start, piece.end)] })
      continue
    }
    if ((tag >>> 16) & 1) {
      if (mode === 'normal' && privacy.keeps(piece)) written.push({ tag, chunks: [copy(source, piece)] })
      else record('private', 'Private attributes', 'remove')
      continue
    }
    const chunks = rewriteElement(rewriting, piece, encoding, mode, depth)
    if (chunks.length > 0) written.push({ tag, chunks })
  }
  return written
}

const copy = ({ bytes }: Source, { start, end }: Piece) => bytes.subarray(start, end)

function rewriteElement(
  rewriting: Rewriting,
  piece: Piece,
  encoding: Encoding,
  mode: Mode,
  depth: number,
): Uint8Array[] {
  const { source, options, record, substitutes } = rewriting
  const tag = hex(piece.tag)
  const row = rowOf(tag)
  const vr = vrOfPiece(source, piece, encoding, row?.vr)
  let action: Action = row ? actionOf(row, vr, options) : actionOfUnlisted(tag, vr, piece.vr, options)
  // What a sequence hides that is not written as one nobody can see; the same goes for pixels that are not the image's.
  const hidden = row?.vr === 'SQ' ? vr !== 'SQ' : piece.undefinedLength && vr !== 'SQ'
  if ((hidden || pixelTags.has(piece.tag)) && action !== 'empty') action = 'remove'
  if (mode === 'dummy' && action !== 'remove' && action !== 'empty')
    action = vr === 'UI' ? actionOfUnknown(vr, options) : dummyAction(tag)
  if (classUids.has(tag) && action === 'uid') action = 'keep'
  const name = row?.name ?? ''
  const dummy = () =>
    dummyOf(vr, { length: piece.to - piece.from, count: valuesOf(source, piece).length, big: encoding.big })
  const replaced = (value: Uint8Array): Uint8Array[] => [headOf(piece.tag, vr, value.length, encoding), value]
  if (vr === 'SQ' && action !== 'remove' && action !== 'empty') {
    if (action === 'dummy' || action === 'content') record(tag, name, action)
    const inner = action === 'dummy' ? 'dummy' : action === 'content' ? 'content' : mode
    return rewriteSequence(rewriting, piece, encoding, inner, depth)
  }
  switch (action) {
    case 'keep':
      return [copy(source, piece)]
    case 'remove':
      record(tag, name, 'remove')
      return []
    case 'uid':
      record(tag, name, 'uid')
      return replaced(uids(source, piece, substitutes))
    case 'shift': {
      const value = shifted(source, piece, vr, substitutes)
      record(tag, name, value === undefined ? 'dummy' : 'shift')
      return replaced(value ?? (row?.basic.includes('D') ? dummy() : new Uint8Array(0)))
    }
    case 'words': {
      const plain = isPlain(latin(source, piece), rewriting.words)
      if (plain) return [copy(source, piece)]
      record(tag, name, row?.basic === 'X' ? 'remove' : 'words')
      return row?.basic === 'X' ? [] : replaced(row?.basic === 'Z' ? new Uint8Array(0) : dummy())
    }
    default: {
      const filled = action === 'dummy' || identities.has(tag)
      record(tag, name, filled ? 'dummy' : 'empty')
      if (identities.has(tag)) return replaced(textBytes(substitutes.pseudonym, vr))
      return replaced(filled ? dummy() : new Uint8Array(0))
    }
  }
}

/** The VR that a value has, whatever stands there: UN is what middlemen write who did not know better. */
function vrOfPiece(source: Source, piece: Piece, encoding: Encoding, ofTable: string | undefined): string {
  if (piece.vr !== undefined && piece.vr !== 'UN') return piece.vr
  const inside: Encoding = piece.vr === 'UN' ? { explicit: false, big: encoding.big } : encoding
  if (piece.undefinedLength) return 'SQ' // nothing else has none, but fragments, which say OB or OW
  const known = ofTable ?? vrOf(hex(piece.tag))
  if (known !== undefined && known !== 'UN') return known
  return looksLikeItems(source, piece.from, piece.to, inside) ? 'SQ' : 'UN'
}

function rewriteSequence(
  rewriting: Rewriting,
  piece: Piece,
  encoding: Encoding,
  mode: Mode | 'content',
  depth: number,
): Uint8Array[] {
  const { source } = rewriting
  // PS3.5 6.2.2, note 2: a sequence in UN is in implicit VR little endian.
  const inside: Encoding = piece.vr === 'UN' ? { explicit: false, big: false } : encoding
  const items = itemsOf(source, piece.from, piece.to, inside)
  const body: Uint8Array[] = []
  for (const item of mode === 'content' ? contentItems(source, items, inside) : items) {
    const pieces = piecesIn(source, item.from, item.to, inside)
    const set = rewriteSet(rewriting, pieces, inside, mode === 'content' ? 'normal' : mode, depth + 1, new Set())
    const chunks = set.flatMap(written => written.chunks)
    const length = item.undefinedLength ? undefinedLength : total(chunks)
    body.push(headOf(itemTag, 'UN', length, inside), ...chunks)
    if (item.undefinedLength) body.push(delimiter('item', inside))
  }
  const vr = piece.vr === 'UN' ? 'UN' : 'SQ'
  if (!piece.undefinedLength) return [headOf(piece.tag, vr, total(body), encoding), ...body]
  return [headOf(piece.tag, vr, undefinedLength, encoding), ...body, delimiter('sequence', inside)]
}

const latin = ({ bytes }: Source, { from, to }: Piece): string =>
  Buffer.from(bytes.subarray(from, to)).toString('latin1')

const valuesOf = (source: Source, piece: Piece): string[] =>
  latin(source, piece)
    .replace(/[\0 ]+$/, '')
    .split('\\')

function uids(source: Source, piece: Piece, substitutes: Substitutes): Uint8Array {
  const uidOf = (uid: string) => (isWellKnown(uid) ? uid : substitutes.uid(uid))
  return textBytes(
    valuesOf(source, piece)
      .map(value => uidOf(value.replaceAll('\0', '').trim()))
      .join('\\'),
    'UI',
  )
}

/** Undefined where one of the values is no date. */
function shifted(source: Source, piece: Piece, vr: string, substitutes: Substitutes): Uint8Array | undefined {
  if (vr !== 'DA' && vr !== 'DT' && vr !== 'TM') return undefined
  const values = valuesOf(source, piece).map(value => (value.trim() === '' ? '' : substitutes.shift(value, vr)))
  if (values.some(value => value === undefined)) return undefined
  // A time that is none may be anything.
  if (vr === 'TM' && values.some(value => !/^[\d:.]*\s*$/.test(value ?? ''))) return undefined
  return textBytes(values.join('\\'), vr)
}
