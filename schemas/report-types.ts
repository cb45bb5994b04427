/** What the bytes of a report are, by its format: for those who make it, those who give it out, and those who read of it. */

export interface ReportType {
  contentType: string
  extension: string
  /** Shown by a browser; otherwise only saved. */
  inline?: true
}

export const reportTypes = {
  /** Of one prediction. */
  pdf: { contentType: 'application/pdf', extension: 'pdf', inline: true },
  'pdf-study': { contentType: 'application/pdf', extension: 'pdf', inline: true },
  fhir: { contentType: 'application/fhir+json', extension: 'json' },
  hl7: { contentType: 'x-application/hl7-v2+er7; charset=utf-8', extension: 'hl7' },
  json: { contentType: 'application/json', extension: 'json' },
  csv: { contentType: 'text/csv; charset=utf-8; header=present', extension: 'csv' },
} as const satisfies Record<string, ReportType>

const dicom: ReportType = { contentType: 'application/dicom', extension: 'dcm' }
const unknown: ReportType = { contentType: 'application/octet-stream', extension: 'bin' }

/** Formats whose names begin with `dicom-` are DICOM objects; one of a later version is bytes. */
export function reportType(format: string): ReportType {
  if (Object.hasOwn(reportTypes, format)) return reportTypes[format as keyof typeof reportTypes]
  return format.startsWith('dicom-') ? dicom : unknown
}

/** What people call each format, wherever one is named to them. */
const words: Readonly<Record<string, string>> = {
  pdf: 'PDF page of one image',
  'pdf-study': 'PDF report',
  'dicom-sr': 'Structured report',
  'dicom-pdf': 'PDF report in DICOM',
  'dicom-sc': 'Picture',
  'dicom-seg': 'Segmentation',
  fhir: 'FHIR',
  hl7: 'HL7',
  json: 'JSON',
  csv: 'CSV',
}

/** A format as people call it; one of a later version by its own name. */
export const reportWords = (format: string): string => (Object.hasOwn(words, format) && words[format]) || format

/** Where a report is; null where there is none, as it could not be made. */
export const reportPlace = ({ destination, object }: { destination: string; object: string | null }): string | null =>
  destination !== 'store' ? `to ${destination}` : object === null ? null : 'kept here'
