/** Where the result comes from: patient, image and model, so that it can be found and made again. */
import type { ReportContent } from './format.ts'
import { colour, type Doc, fitted, font, heading } from './pdf-style.ts'
import { date, duration, personName, printable, time } from './words.ts'

type Row = readonly [label: string, value: string | null | undefined]

const rowHeight = 13
const labelWidth = 78

export function drawDetails(doc: Doc, content: ReportContent, area: { x: number; y: number; width: number }): void {
  const half = (area.width - 24) / 2
  const right = area.x + half + 24
  const below = Math.max(
    drawRows(doc, 'Patient', patientRows(content), area.x, area.y, half),
    drawRows(doc, 'Examination', examinationRows(content), right, area.y, half),
  )
  const second = below + 14
  const third =
    Math.max(
      drawRows(doc, 'Model', modelRows(content), area.x, second, half),
      drawRows(doc, 'Times', timeRows(content), right, second, half),
    ) + 14
  drawRows(doc, 'Identifiers', identifierRows(content), area.x, third, area.width)
}

/** Rows without a value are left out. Gives the y below the last. */
function drawRows(doc: Doc, title: string, rows: readonly Row[], x: number, y: number, width: number): number {
  let at = heading(doc, title, x, y, width)
  for (const [label, value] of rows) {
    if (value === null || value === undefined || value === '') continue
    doc.font(font.regular).fontSize(8.5).fillColor(colour.faint).text(label, x, at, { lineBreak: false })
    doc.fillColor(colour.ink)
    doc.text(fitted(doc, printable(value), width - labelWidth), x + labelWidth, at, { lineBreak: false })
    at += rowHeight
  }
  return at
}

function patientRows({ prediction, patient }: ReportContent): Row[] {
  const name = patient?.name ? (personName(patient.name) ?? 'cannot be printed here; see the image') : null
  return [
    ['Name', name],
    ['Born', patient?.birthDate && date(patient.birthDate)],
    ['Sex', patient?.sex],
    ['Pseudonym', prediction.patient ?? 'none: the image names no patient'],
  ]
}

function examinationRows({ prediction, image }: ReportContent): Row[] {
  const equipment = [image?.equipment?.manufacturer, image?.equipment?.model].filter(Boolean).join(' ')
  return [
    ['Modality', image?.modality ?? prediction.modality ?? 'not told'],
    ['Body part', [image?.bodyPart, image?.view].filter(Boolean).join(', ')],
    ['Equipment', equipment],
    ['Station', image?.equipment?.station],
    ['Site', prediction.site],
  ]
}

function modelRows({ prediction: { model, role } }: ReportContent): Row[] {
  return [
    ['Model', `${model.name}@${model.version}`],
    ['Runtime', model.runtime],
    ['Role', role],
  ]
}

function timeRows({ prediction, image }: ReportContent): Row[] {
  const { predictedAt, receivedAt } = prediction
  return [
    ['Acquired', image?.acquiredAt == null ? null : time(image.acquiredAt)],
    ['Received', time(receivedAt)],
    ['Analysed', `${time(predictedAt)} (after ${duration(Math.max(0, predictedAt - receivedAt))})`],
  ]
}

function identifierRows({ prediction, image }: ReportContent): Row[] {
  return [
    ['Instance', prediction.instance],
    ['Study', prediction.study],
    ['SOP instance', image?.dicom?.sopInstance],
    ['Series UID', image?.dicom?.series],
    ['Study UID', image?.dicom?.study],
    ['Image object', prediction.object],
    ['Weights', `SHA-256 ${prediction.model.digest}`],
  ]
}
