/** What several formats read out of a study's content. */
import type { Code, StudyContent } from './format.ts'

/** Study Instance UID; null where no image is DICOM. */
export const studyUidOf = ({ images }: Pick<StudyContent, 'images'>): string | null =>
  images.find(({ instance }) => instance?.dicom)?.instance?.dicom?.study ?? null

/** When the images were made; where they do not say, when the first one came. @returns ms since the epoch */
export function examinedAt({ images, assessed, madeAt }: StudyContent): number {
  const times = images.flatMap(({ instance }) => instance?.acquiredAt ?? [])
  return times.length > 0 ? Math.min(...times) : (assessed.firstAt ?? madeAt)
}

/** @param text name@version */
export function modelOf(text: string): { name: string; version: string } {
  const at = text.indexOf('@')
  return at < 0 ? { name: text, version: '' } : { name: text.slice(0, at), version: text.slice(at + 1) }
}

/** The code that is known for what a model calls something, which may be anything; undefined where none is. */
export const codeOfLabel = (label: string, { codes }: Pick<StudyContent, 'codes'>): Code | undefined =>
  Object.hasOwn(codes, label) ? codes[label] : undefined

/** The models that a study's findings and answers are of, by name@version; without a digest where no answer is here. */
export function modelsOf({ assessed, images }: Pick<StudyContent, 'assessed' | 'images'>) {
  const found = new Map<string, { name: string; version: string; digest: string | null }>()
  for (const { model } of assessed.findings) found.set(model, { ...modelOf(model), digest: null })
  for (const { said } of images)
    for (const { prediction } of said) {
      const { name, version, digest } = prediction.model
      found.set(`${name}@${version}`, { name, version, digest })
    }
  return found
}
