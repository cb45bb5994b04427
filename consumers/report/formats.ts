/** Every way in which a study is reported. Adding one is a file under `formats`, and a line here. */
import { dicomSr } from './formats/dicom-sr.ts'
import type { FormatContext, StudyFormat } from './study/format.ts'

/** In the order of the settings' description. Named by the `name` of what they give. */
export const studyFormats: Readonly<Record<string, (context: FormatContext) => StudyFormat>> = {
  'dicom-sr': dicomSr,
}

/** Made unless the settings say otherwise. */
export const formatsByDefault: readonly string[] = ['dicom-sr']
