/** Who a pseudonym stands for, from what persist sealed. */
import { z } from 'zod'
import type { Ports } from '../../kafka/ports.ts'
import type { PatientIdentity } from '../../schemas/patient.ts'
import { settled } from './settled.ts'

const text = z.string().nullable().default(null)
const identity = z.object({
  name: text,
  patientId: text,
  issuer: text,
  birthDate: text,
  sex: text,
  accession: text,
})

/** JSON of a PatientIdentity. */
const sealed = z.string().transform((json, context) => {
  try {
    return identity.parse(JSON.parse(json))
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError) && !(thrown instanceof z.ZodError)) throw thrown
    context.addIssue({ code: 'custom', message: 'not a patient identity' })
    return z.NEVER
  }
})

/**
 * Null where none is kept, or the one that is cannot be opened: the pseudonym stands in the report either way.
 * The accession number is that of the first study of the patient.
 */
export async function sealedIdentity(
  { documents, secrets }: Pick<Ports, 'documents' | 'secrets'>,
  pseudonym: string,
): Promise<PatientIdentity | null> {
  const kept = await documents.get('patients', pseudonym)
  if (!kept) return null
  const opened = await settled(Promise.resolve().then(() => secrets.open(kept.sealed, pseudonym)))
  return 'lost' in opened ? null : (sealed.safeParse(opened.value).data ?? null)
}
