/** Every way in which a study is reported. Adding one is a file under `formats`, and a line here. */
import { csv } from './formats/csv.ts'
import { dicomPdf } from './formats/dicom-pdf.ts'
import { dicomSc } from './formats/dicom-sc.ts'
import { dicomSeg } from './formats/dicom-seg.ts'
import { dicomSr } from './formats/dicom-sr.ts'
import { fhir } from './formats/fhir.ts'
import { hl7 } from './formats/hl7.ts'
import { json } from './formats/json.ts'
import { pdfStudy } from './formats/pdf-study.ts'
import type { FormatContext, StudyFormat } from './study/format.ts'

/** In the order of the settings' description. Named by the `name` of what they give. */
export const studyFormats: Readonly<Record<string, (context: FormatContext) => StudyFormat>> = {
  'dicom-sr': dicomSr,
  'dicom-sc': dicomSc,
  'dicom-seg': dicomSeg,
  'dicom-pdf': dicomPdf,
  'pdf-study': pdfStudy,
  fhir,
  hl7,
  json,
  csv,
}

/** Made unless the settings say otherwise: what people and scripts read here. Other systems' are made for those who send them. */
export const formatsByDefault: readonly string[] = ['pdf-study', 'json']
