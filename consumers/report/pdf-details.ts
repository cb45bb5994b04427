/** Where the result comes from: patient, image and model, so that it can be found and made again. */
import type { ReportContent } from './format.ts'
import { colour, type Doc, fitted, font, heading } from './pdf-style.ts'
import { sexWords } from './texts/phrases.ts'
import { type Speech, speak, type TextKey } from './texts/texts.ts'
import { personName, printable } from './words.ts'

type Row = readonly [label: TextKey, value: string | null | undefined]

const rowHeight = 13
const labelWidth = 88

export function drawDetails(doc: Doc, content: ReportContent, area: { x: number; y: number; width: number }): void {
  const speech = speak(content.language)
  const half = (area.width - 24) / 2
  const right = area.x + half + 24
  const draw = (title: TextKey, rows: readonly Row[], x: number, y: number, width = half) =>
    drawRows(doc, speech, { title, rows }, { x, y, width })
  const below = Math.max(
    draw('patient', patientRows(speech, content), area.x, area.y),
    draw('study', studyRows(speech, content), right, area.y),
  )
  const second = below + 14
  const third =
    Math.max(
      draw('model', modelRows(speech, content), area.x, second),
      draw('times', timeRows(speech, content), right, second),
    ) + 14
  draw('identifiers', identifierRows(content), area.x, third, area.width)
}

/** Rows without a value are left out. Gives the y below the last. */
function drawRows(
  doc: Doc,
  speech: Speech,
  { title, rows }: { title: TextKey; rows: readonly Row[] },
  { x, y, width }: { x: number; y: number; width: number },
): number {
  let at = heading(doc, printable(speech.say(title)), x, y, width)
  for (const [key, value] of rows) {
    if (value === null || value === undefined || value === '') continue
    doc.font(font.regular).fontSize(8.5).fillColor(colour.faint)
    doc.text(fitted(doc, printable(speech.say(key)), labelWidth - 4), x, at, { lineBreak: false })
    doc.fillColor(colour.ink)
    doc.text(fitted(doc, printable(value), width - labelWidth), x + labelWidth, at, { lineBreak: false })
    at += rowHeight
  }
  return at
}

function patientRows(speech: Speech, { prediction, patient }: ReportContent): Row[] {
  return [
    ['name', patient?.name && (personName(patient.name) ?? speech.say('nameNotPrintable'))],
    ['born', patient?.birthDate && speech.date(patient.birthDate)],
    ['sex', patient && sexWords(speech, patient.sex)],
    ['pseudonym', prediction.patient ?? speech.say('noPatient')],
  ]
}

function studyRows(speech: Speech, { prediction, image }: ReportContent): Row[] {
  const equipment = [image?.equipment?.manufacturer, image?.equipment?.model].filter(Boolean).join(' ')
  return [
    ['modality', image?.modality ?? prediction.modality ?? speech.say('notTold')],
    ['bodyPart', [image?.bodyPart, image?.view].filter(Boolean).join(', ')],
    ['equipment', equipment],
    ['station', image?.equipment?.station],
    ['site', prediction.site],
  ]
}

function modelRows(speech: Speech, { prediction: { model, role } }: ReportContent): Row[] {
  return [
    ['model', `${model.name}@${model.version}`],
    ['runtime', model.runtime],
    ['role', role === 'production' ? speech.say('production') : role],
  ]
}

function timeRows(speech: Speech, { prediction, image }: ReportContent): Row[] {
  const { predictedAt, receivedAt } = prediction
  return [
    ['acquired', image?.acquiredAt == null ? null : speech.shortTime(image.acquiredAt)],
    ['received', speech.shortTime(receivedAt)],
    ['analysed', speech.shortTime(predictedAt)],
    ['answeredAfter', speech.duration(Math.max(0, predictedAt - receivedAt))],
  ]
}

function identifierRows({ prediction, image }: ReportContent): Row[] {
  return [
    ['instance', prediction.instance],
    ['study', prediction.study],
    ['sopInstance', image?.dicom?.sopInstance],
    ['seriesUid', image?.dicom?.series],
    ['studyUid', image?.dicom?.study],
    ['imageObject', prediction.object],
    ['weights', prediction.model.digest],
  ]
}
