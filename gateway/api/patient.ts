/** Whose image it is: the pseudonym, and the name only where the settings say that it may be shown. */
import { z } from 'zod'
import { toRaylogError } from '../../schemas/errors.ts'
import type { Instance } from '../../schemas/topics.ts'
import type { ApiContext } from './context.ts'

/** The part of schemas/patient.ts that the page shows. */
const sealedIdentity = z.object({ name: z.string().nullable() })

export async function patientIdentity(
  { deps, showNames, logger }: ApiContext,
  { patient }: Pick<Instance, 'patient'>,
): Promise<{ pseudonym: string; name?: string } | null> {
  if (patient === null) return null
  const doc = showNames ? await deps.documents.get('patients', patient) : undefined
  if (doc === undefined) return { pseudonym: patient }
  try {
    const { name } = sealedIdentity.parse(JSON.parse(deps.secrets.open(doc.sealed, doc.id)))
    return name === null ? { pseudonym: patient } : { pseudonym: patient, name }
  } catch (error) {
    // The image is of use without the name, and the error may quote it: only the code is told.
    logger.warn({ code: toRaylogError(error).code, patient }, 'a sealed patient cannot be opened')
    return { pseudonym: patient }
  }
}
