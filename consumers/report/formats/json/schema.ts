/** The JSON export of a study's report. docs/study-report.schema.json is made from this; a change that breaks readers is a new version. */
import { z } from 'zod'

const text = z.string().nullable()
const time = z.iso.datetime().describe('UTC')
const score = z.number().describe('0..1')

const model = z.strictObject({ name: z.string(), version: z.string() })
const code = z.strictObject({ scheme: z.string(), value: z.string(), meaning: z.string() }).nullable()

const finding = z.strictObject({
  model,
  label: z.string().describe('as the model says'),
  code: code.describe('of the label, where one is known'),
  group: text.describe('L, R, B, U or a Series Instance UID; null: of the whole study'),
  present: z.boolean().describe('false: looked for, and not found'),
  score,
  threshold: z.number().nullable(),
  rule: z.string().describe('any, max, mean or count'),
  positive: z.int().describe('images that say so'),
  analysed: z.int().describe('images that were asked'),
  corrected: z.int().describe('images where a person decided otherwise than the model'),
  quality: z.array(z.string()),
  priority: z.enum(['routine', 'urgent', 'stat']),
  images: z.array(z.string()).describe('ids of those that say so, surest first'),
})

const answer = z.strictObject({
  prediction: z.string(),
  model: model.extend({ digest: z.string().describe('SHA-256 of the weights') }),
  label: z.string(),
  score,
  threshold: z.number().nullable(),
  confidence: score,
  probabilities: z.record(z.string(), z.number()),
  regions: z.array(
    z.strictObject({
      label: z.string(),
      score,
      frame: z.int(),
      points: z.array(z.number()).describe('x, y, x, y … in pixels of the image'),
    }),
  ),
  quality: z.array(z.string()),
  at: time,
  verdict: z
    .strictObject({ verdict: z.enum(['agreed', 'corrected', 'unsure']), label: text, at: time })
    .nullable()
    .describe('of a person'),
})

const image = z.strictObject({
  id: z.string(),
  sopInstanceUid: text,
  seriesUid: text,
  number: z.int().nullable(),
  modality: text,
  lost: text.describe('why it can no longer be read; null: it can'),
  answers: z.array(answer),
})

export const studyReport = z.strictObject({
  schema: z.literal('raylog.study-report.v1'),
  language: z.enum(['en', 'fr', 'es']).describe('of conclusion and notes'),
  researchUseOnly: z.boolean(),
  status: z.enum(['preliminary', 'amended', 'corrected']).describe('no person has verified it in any of them'),
  revision: z.int(),
  replaces: z.int().nullable().describe('the revision that this one takes the place of'),
  assessedAt: time,
  study: z.strictObject({
    id: z.string(),
    uid: text,
    accession: text.describe('only where the settings show names'),
    description: text,
    site: z.string(),
    institution: text,
    modality: text,
    examinedAt: time,
    series: z.int(),
    images: z.int(),
    completedBy: z.enum(['idle', 'expected_count', 'forced', 'rule']),
    expected: z.int().nullable().describe('images that were announced'),
  }),
  patient: z
    .strictObject({
      pseudonym: text,
      id: text,
      issuer: text,
      name: text.describe('as in DICOM: Family^Given^Middle^Prefix^Suffix'),
      birthDate: z.iso.date().nullable(),
      sex: text,
    })
    .nullable()
    .describe('all but the pseudonym only where the settings show names; null: the images name nobody'),
  priority: z.enum(['routine', 'urgent', 'stat']),
  conclusion: z.array(z.string()),
  notes: z.array(z.string()).describe('how complete it is, what changed, what is missing'),
  findings: z.array(finding),
  missing: z.array(z.strictObject({ image: z.string(), model: z.string(), code: text.describe('null: not in time') })),
  images: z.array(image),
  earlier: z
    .array(
      z.strictObject({
        study: z.string(),
        uid: text,
        modality: text,
        at: time,
        revision: z.int(),
        found: z.array(z.string()),
        notFound: z.array(z.string()),
      }),
    )
    .describe('examinations of the same patient at this site, newest first'),
})

export type StudyReportJson = z.infer<typeof studyReport>
