/** What a sender may say of its files: form fields before them, or the query. */
import { z } from 'zod'
import type { Models } from '../../models/port.ts'
import { RaylogError } from '../../schemas/errors.ts'
import type { Hints } from '../intake.ts'

/** A code string of DICOM (PS3.5 6.2), told in any case. */
const code = z
  .string()
  .trim()
  .toUpperCase()
  .regex(/^[A-Z0-9_ ]{1,16}$/)
  .optional()

export const hintFields = z.object({
  model: z
    .string()
    .max(1_000)
    .optional()
    .describe('names of models that must see it, with commas between; otherwise the routing rules decide'),
  modality: code.describe('of plain images, such as DX'),
  bodyPart: code.describe('of plain images, such as CHEST'),
  view: code.describe('of plain images, such as PA'),
  priority: z.enum(['routine', 'urgent', 'stat']).optional(),
  study: z.string().min(1).max(128).optional().describe('plain images of one name are one study'),
})

export type HintFields = z.infer<typeof hintFields>

/** @throws RaylogError bad-request for a field that is not one, or whose value is not valid */
export function readField(name: string, value: unknown): HintFields {
  const parsed = hintFields.strict().safeParse({ [name]: value })
  if (parsed.success) return parsed.data
  const why = parsed.error.issues.map(issue => issue.message).join('; ')
  throw new RaylogError('bad-request', `field ${JSON.stringify(name.slice(0, 40))}: ${why}`)
}

/** @throws RaylogError no-such-model */
export function toHints({ model, ...rest }: HintFields, models: Models, route: string): Hints {
  const requested = [
    ...new Set(
      (model ?? '')
        .split(',')
        .map(name => name.trim())
        .filter(Boolean),
    ),
  ]
  const known = new Set(models.list().map(({ manifest }) => manifest.name))
  const missing = requested.filter(name => !known.has(name))
  if (missing.length > 0)
    throw new RaylogError(
      'no-such-model',
      `no model ${missing.join(', ').slice(0, 200)}; there are ${[...known].join(', ')}`,
    )
  return { ...rest, requested, source: { kind: 'upload', peer: route } }
}
