/** Clean Pixel Data (PS3.15 E.3.1): which images may have names burnt in, and the regions that are made black. */
import type { DeidentifyRules, PixelRule, Region } from '../../../schemas/deidentify.ts'
import { RaylogError } from '../../../schemas/errors.ts'
import type { Parsed } from '../dicom/dataset.ts'
import { textOf } from '../dicom/text.ts'

/** Nothing, some regions, or all of every frame. */
export type Cleaning = { kind: 'leave' | 'known-clean' | 'blank' } | { kind: 'regions'; regions: readonly Region[] }

const storage = '1.2.840.10008.5.1.4.1.1.'
/** Secondary capture, ultrasound of one and several frames (retired ones too), visible light: whatever modality they say. */
const suspectClasses = [`${storage}7`, `${storage}3`, `${storage}6`, `${storage}77.1`]
/** Its labels have names, its volumes have none: Image Type tells. */
const wholeSlide = `${storage}77.1.6`
/** Image Type of pictures of a screen, dose reports and the like, which come as CT or MR. */
const screens = /SCREEN|REPORT|DOSE.?INFO|PROTOCOL|LABEL/

/** @throws RaylogError pixels-not-cleaned */
export function cleaningOf({ data, pixels }: Parsed, rules: DeidentifyRules): Cleaning {
  if (pixels === undefined || !rules.options.includes('clean-pixels')) return { kind: 'leave' }
  const text = textOf(data)
  const facts = {
    modality: (text('x00080060', 'LO') ?? '').toUpperCase(),
    manufacturer: text('x00080070', 'LO') ?? '',
    model: text('x00081090', 'LO') ?? '',
    rows: data.uint16('x00280010') ?? 0,
    columns: data.uint16('x00280011') ?? 0,
  }
  const saysSo = text('x00280301', 'LO')?.toUpperCase() === 'YES'
  const rule = rules.pixels.rules.find(one => fits(one, facts))
  // A rule that nothing is burnt in does not go before an image that says the contrary.
  if (rule !== undefined && !(saysSo && rule.regions.length === 0))
    return rule.regions.length === 0 ? { kind: 'known-clean' } : { kind: 'regions', regions: rule.regions }
  const sopClass = text('x00080016', 'LO') ?? ''
  const suspect =
    saysSo ||
    (sopClass !== wholeSlide && suspectClasses.some(one => sopClass === one || sopClass.startsWith(`${one}.`))) ||
    screens.test((data.string('x00080008') ?? '').toUpperCase()) ||
    rules.pixels.modalities.some(one => one.toUpperCase() === facts.modality)
  if (!suspect || rules.pixels.unknown === 'keep') return { kind: 'leave' }
  if (rules.pixels.unknown === 'blank') return { kind: 'blank' }
  throw new RaylogError(
    'pixels-not-cleaned',
    `names may be burnt into images of modality ${facts.modality || '(none)'}`,
  )
}

interface Facts {
  modality: string
  manufacturer: string
  model: string
  rows: number
  columns: number
}

function fits(rule: PixelRule, facts: Facts): boolean {
  const within = (part: string | null, whole: string) =>
    part === null || whole.toLowerCase().includes(part.toLowerCase())
  return (
    (rule.modality === null || rule.modality.toUpperCase() === facts.modality) &&
    within(rule.manufacturer, facts.manufacturer) &&
    within(rule.model, facts.model) &&
    (rule.rows === null || rule.rows === facts.rows) &&
    (rule.columns === null || rule.columns === facts.columns)
  )
}
