/** What is lost for good is said in a report; what may come back is waited for. */
import { type RaylogError, toRaylogError } from '../../schemas/errors.ts'

/** The value; or the error where trying again would not help. @throws RaylogError otherwise */
export async function settled<T>(work: Promise<T>): Promise<{ value: T } | { lost: RaylogError }> {
  try {
    return { value: await work }
  } catch (thrown) {
    const error = toRaylogError(thrown)
    if (error.entry.verdict !== 'park') throw error
    return { lost: error }
  }
}

/** Of the table alone: a message may hold what is in the file. */
export const inWords = ({ entry }: RaylogError): string => `${entry.title}.`
