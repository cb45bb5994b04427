/** What a report is called where it is kept as a file. Ids and formats alone: never who it is about. */
import type { ReportDeliveryDoc } from '../../schemas/report-delivery.ts'

export interface FileKind {
  extension: string
  contentType: string
}

const byFormat: Readonly<Record<string, FileKind>> = {
  fhir: { extension: 'json', contentType: 'application/fhir+json' },
  json: { extension: 'json', contentType: 'application/json' },
  csv: { extension: 'csv', contentType: 'text/csv' },
  hl7: { extension: 'hl7', contentType: 'x-application/hl7-v2+er7' },
}
const other: FileKind = { extension: 'bin', contentType: 'application/octet-stream' }

/** Where the magic of a DICOM file ends (PS3.10 7.1). */
export const dicomHeadBytes = 132
export const isDicomFile = (head: Buffer): boolean => head.toString('latin1', 128, dicomHeadBytes) === 'DICM'

/** By its first bytes where these say it, else by its format. */
export function fileKindOf(format: string, head: Buffer): FileKind {
  if (isDicomFile(head)) return { extension: 'dcm', contentType: 'application/dicom' }
  if (head.toString('latin1', 0, 5) === '%PDF-') return { extension: 'pdf', contentType: 'application/pdf' }
  return byFormat[format] ?? other
}

/** A path of two parts: the study's, then the report's with its revision. The same for each attempt. */
export function pathOf({ study, format, revision, report }: ReportDeliveryDoc, { extension }: FileKind): string {
  const safe = (text: string) => text.replace(/[^A-Za-z0-9_-]/g, '_')
  const parts = [safe(format), ...(revision === null ? [] : [`r${revision}`]), safe(report)]
  return `${safe(study)}/${parts.join('-')}.${extension}`
}
