/** What each of a study's files is called, so that no two of a list are called the same. */
import { reportWords } from '../../../schemas/report-types.ts'
import type { Prediction, Report } from '../api/types.ts'

/** What files are of: the study's images in the order in which the page counts them, and what models said. */
export interface Subjects {
  instances: readonly { id: string }[]
  predictions: readonly Pick<Prediction, 'id' | 'model'>[]
}

type Titled = Pick<Report, 'id' | 'format' | 'instance' | 'prediction'>

/** Those that are kept here, by the lists in which they stand: of the study by revision, the newest first, and of single images. */
export function listsOf<T extends Pick<Report, 'destination' | 'prediction' | 'revision'>>(reports: readonly T[]) {
  const kept = reports.filter(({ destination }) => destination === 'store')
  const ofStudy = kept.filter(({ prediction }) => prediction === null)
  return {
    revisions: [...Map.groupBy(ofStudy, ({ revision }) => revision ?? 0)].sort(([a], [b]) => b - a),
    pages: kept.filter(({ prediction }) => prediction !== null),
  }
}

/** What each is called in its list, by id: the same wherever it is named. */
export function titlesInLists(
  reports: readonly (Titled & Pick<Report, 'destination' | 'revision'>)[],
  subjects: Subjects,
): Map<string, string> {
  const { revisions, pages } = listsOf(reports)
  return new Map([...revisions.map(([, files]) => files), pages].flatMap(list => [...titlesOf(list, subjects)]))
}

/**
 * Format, image and model; files that are still alike are counted.
 * @param reports of one list
 * @returns title by id
 */
export function titlesOf(reports: readonly Titled[], { instances, predictions }: Subjects): Map<string, string> {
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
