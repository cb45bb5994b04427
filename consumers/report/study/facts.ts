/** What several formats read out of a study's content. */
import type { StudyContent } from './format.ts'

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
