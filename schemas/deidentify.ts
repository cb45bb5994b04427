/** Settings of de-identification (DICOM PS3.15 Annex E): who gets it, with which options, and what is done to pixels. */
import { z } from 'zod'

/** The options of PS3.15 E.3 that are offered, by the names that settings use. */
export const deidentifyOptions = [
  'retain-uids',
  'retain-device',
  'retain-institution',
  'retain-patient-characteristics',
  'retain-full-dates',
  'shift-dates',
  'clean-descriptors',
  'clean-structured-content',
  'clean-pixels',
  'retain-safe-private',
] as const

export type DeidentifyOption = (typeof deidentifyOptions)[number]

const pixel = z.int().min(0).max(65_535)

const region = z
  .strictObject({ left: pixel, top: pixel, width: pixel.min(1), height: pixel.min(1) })
  .describe('pixels that are made black, from the upper left corner of each frame')

export type Region = z.infer<typeof region>

const pixelRule = z.strictObject({
  modality: z.string().nullable().default(null).describe('Modality, such as US; null: any'),
  manufacturer: z.string().nullable().default(null).describe('a part of Manufacturer, in any case; null: any'),
  model: z.string().nullable().default(null).describe('a part of Manufacturer Model Name, in any case; null: any'),
  rows: pixel.nullable().default(null).describe('Rows of images that the regions fit; null: any'),
  columns: pixel.nullable().default(null).describe('Columns of images that the regions fit; null: any'),
  regions: z.array(region).describe('made black; an empty list says that nothing is burnt into these images'),
})

export type PixelRule = z.infer<typeof pixelRule>

const ruleShape = {
  options: z
    .array(z.enum(deidentifyOptions))
    .default(['shift-dates', 'clean-pixels'])
    .refine(options => !(options.includes('retain-full-dates') && options.includes('shift-dates')), {
      message: 'retain-full-dates and shift-dates exclude each other',
    })
    .describe('of PS3.15 E.3, beside the basic profile'),
  pixels: z
    .strictObject({
      unknown: z
        .enum(['refuse', 'blank', 'keep'])
        .default('refuse')
        .describe(
          'images that may have names burnt in, and no rule: refused, made black as a whole, or left as they are',
        ),
      modalities: z
        .array(z.string())
        .default(['US', 'ES', 'XC', 'GM', 'OT'])
        .describe('that may have names burnt in; secondary captures and what says so itself always do'),
      rules: z.array(pixelRule).default([]).describe('the first that fits an image decides'),
    })
    .prefault({}),
  safePrivate: z
    .array(z.strictObject({ creator: z.string().min(1), group: pixel, elements: z.array(z.int().min(0).max(255)) }))
    .default([])
    .describe('private attributes that are known to be safe, kept with retain-safe-private'),
  words: z
    .array(z.string())
    .default([])
    .describe('words that descriptions may keep with clean-descriptors, beside the built-in ones'),
  plainImages: z
    .enum(['refuse', 'keep'])
    .default('refuse')
    .describe('PNG, JPEG and TIFF have no attributes to go by: refused, or taken as they are'),
  maxBytes: z
    .int()
    .min(1)
    .default(512 * 1024 * 1024)
    .describe('one object, which is held in memory while it is de-identified, bytes'),
}

/** What is done to an object. */
export const deidentifyRules = z.strictObject(ruleShape).prefault({})

export type DeidentifyRules = z.infer<typeof deidentifyRules>

/** The section `deidentify`. */
export const deidentifySection = z
  .strictObject({
    sources: z
      .array(z.string().regex(/^(\*|[a-z-]+(:.+)?)$/))
      .default([])
      .describe(
        'whose images are de-identified before anything of them is kept: *, a way in (dimse), or one peer of it (dimse:US_ROOM1)',
      ),
    ...ruleShape,
    budgetMs: z.int().min(100).default(60_000).describe('time for one object before its thread is replaced, ms'),
  })
  .prefault({})

export type DeidentifySettings = z.infer<typeof deidentifySection>
