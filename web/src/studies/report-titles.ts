/** What each of a study's files is called, so that no two of a list are called the same. */
import { reportWords } from '../../../schemas/report-types.ts'
import type { Prediction, Report } from '../api/types.ts'

/** What files are of: the study's images in the order in which the page counts them, and what models said. */
export interface Subjects {
  instances: readonly { id: string }[]
  predictions: readonly Pick<Prediction, 'id' | 'model'>[]
}

/**
 * Format, image and model; files that are still alike are counted.
 * @param reports of one list
 * @returns title by id
 */
export function titlesOf(
  reports: readonly Pick<Report, 'id' | 'format' | 'instance' | 'prediction'>[],
  { instances, predictions }: Subjects,
): Map<string, string> {
  const numbers = new Map(instances.map(({ id }, at) => [id, at + 1]))
  const models = new Map(predictions.map(({ id, model }) => [id, `${model.name}@${model.version}`]))
  const titles = new Map<string, string>()
  const alike = Map.groupBy(reports, ({ format, instance, prediction }) => {
    const number = instance === null ? undefined : numbers.get(instance)
    const of = [number && `image ${number}`, prediction === null ? undefined : models.get(prediction)].filter(Boolean)
    return of.length > 0 ? `${reportWords(format)} (${of.join(', ')})` : reportWords(format)
  })
  for (const [title, same] of alike)
    for (const [at, { id }] of same.toSorted((a, b) => (a.id < b.id ? -1 : 1)).entries())
      titles.set(id, same.length > 1 ? `${title}, ${at + 1} of ${same.length}` : title)
  return titles
}
