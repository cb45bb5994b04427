/** The first page: whose study it is, what was found, how complete it is, and what it may be used for. */

import { readableName } from '../../../../schemas/person-name.ts'
import { colour, page } from '../../pdf-style.ts'
import { examinedAt, modelOf, studyUidOf } from '../../study/facts.ts'
import type { StudyContent } from '../../study/format.ts'
import { firstText } from '../../study/header.ts'
import {
  changeLines,
  completeWords,
  conclusion,
  coversWords,
  item,
  missingLines,
  sexWords,
  standingWords,
  subjectOf,
} from '../../texts/phrases.ts'
import type { Speech, TextKey } from '../../texts/texts.ts'
import { type Flow, facts, scoreBar } from './flow.ts'
import { drawable } from './fonts.ts'

export function drawSummary(flow: Flow): void {
  drawTitle(flow)
  if (flow.content.researchUseOnly) drawResearch(flow)
  drawFacts(flow)
  const { speech, content } = flow
  flow.heading(speech.say('summary'))
  for (const sentence of conclusion(speech, content.assessed.findings))
    flow.paragraph(sentence, { size: 11, bold: true })
  flow.paragraph(standingWords(speech, content), { colour: colour.faint })
  drawPriority(flow)
  drawTable(flow)
  const changes = changeLines(speech, content)
  if (changes.length > 0) {
    flow.heading(speech.say('changes'))
    flow.list(changes)
  }
  const missing = missingLines(speech, content)
  if (missing.length > 0) {
    flow.heading(speech.say('missing'))
    flow.list(missing)
  }
}

function drawTitle({ doc, pen, speech, content }: Flow): void {
  const { institution, site, madeAt, assessed } = content
  doc.rect(0, 0, page.fullWidth, 6).fill(colour.accent)
  pen.line(speech.say('title'), page.left, 30, { size: 20, bold: true })
  const where = [assessed.modality, institution ?? site, speech.time(madeAt)].filter(Boolean).join(' · ')
  pen.fitted(where, page.left, 58, page.width, { colour: colour.faint })
  pen.lineTo('RAYLOG', page.left + page.width, 38, { size: 11, bold: true, colour: colour.accent })
}

function drawResearch(flow: Flow): void {
  const { doc, pen, speech } = flow
  const note = { size: 8.5 }
  const height = 24 + pen.heightOf(speech.say('researchNote'), page.width - 28, note)
  flow.y = 80
  doc
    .lineWidth(0.8)
    .roundedRect(page.left, flow.y, page.width, height, 3)
    .fillAndStroke(colour.cautionFill, colour.caution)
  pen.line(speech.say('researchOnly'), page.left + 14, flow.y + 6, { size: 10, bold: true })
  pen.paragraph(speech.say('researchNote'), page.left + 14, flow.y + 20, page.width - 28, note)
  flow.y += height + 12
}

type Row = readonly [label: string, value: string | null]

function drawFacts(flow: Flow): void {
  const { speech, content, pen } = flow
  const half = (page.width - 24) / 2
  const right = page.left + half + 24
  const top = Math.max(flow.y, 80)
  const heading = (key: TextKey, x: number) => pen.line(speech.say(key), x, top, { size: 10, bold: true })
  heading('patient', page.left)
  heading('study', right)
  flow.y = Math.max(
    facts(flow, patientRows(speech, content), { x: page.left, y: top + 18, width: half }),
    facts(flow, studyRows(speech, content), { x: right, y: top + 18, width: half }),
  )
}

function patientRows(speech: Speech, { assessed, identity, showNames }: StudyContent): Row[] {
  const pseudonym: Row = [speech.say('pseudonym'), assessed.patient ?? speech.say('noPatient')]
  if (identity === null) return [pseudonym]
  if (!showNames) return [[speech.say('name'), speech.say('namesNotShown')], pseudonym]
  return [
    [speech.say('name'), identity.name === null ? null : shownName(speech, identity.name)],
    [speech.say('born'), identity.birthDate && speech.date(identity.birthDate)],
    [speech.say('sex'), sexWords(speech, identity.sex)],
    [speech.say('patientId'), identity.patientId && [identity.patientId, identity.issuer].filter(Boolean).join(' · ')],
    [speech.say('accession'), identity.accession],
    pseudonym,
  ]
}

/** Whose report it is, on one line: as much as may be shown. Null where the images name nobody. */
export function patientLine(speech: Speech, { assessed, identity, showNames }: StudyContent): string | null {
  if (identity === null || !showNames) return assessed.patient
  const { name, birthDate, patientId, issuer } = identity
  const parts = [name && shownName(speech, name), birthDate && speech.date(birthDate), patientId, patientId && issuer]
  return parts.filter(Boolean).join(' · ') || assessed.patient
}

/** The forms of the name that can be drawn whole. */
const shownName = (speech: Speech, text: string): string =>
  readableName(text, drawable) || speech.say('nameNotPrintable')

function studyRows(speech: Speech, content: StudyContent): Row[] {
  const { assessed, header, images, site, institution } = content
  const equipment = images.find(({ instance }) => instance?.equipment)?.instance?.equipment
  return [
    [speech.say('modality'), assessed.modality],
    [speech.say('bodyPart'), images.find(({ instance }) => instance?.bodyPart)?.instance?.bodyPart ?? null],
    [speech.say('studyDescription'), header && firstText(header, '00081030')],
    [speech.say('examined'), speech.time(examinedAt(content))],
    [speech.say('institution'), institution],
    [speech.say('site'), site],
    [speech.say('equipment'), [equipment?.manufacturer, equipment?.model].filter(Boolean).join(' ')],
    [speech.say('contents'), coversWords(speech, assessed.instances, assessed.series)],
    [speech.say('complete'), completeWords(speech, content)],
    [speech.say('assessed'), speech.time(content.madeAt)],
    ['UID', studyUidOf(content)],
  ]
}

function drawPriority(flow: Flow): void {
  const { doc, pen, speech, content } = flow
  const { priority } = content.assessed
  const words = item(speech, 'priority', speech.say(priority))
  const style = { size: 9, bold: true, colour: priority === 'routine' ? colour.ink : colour.caution }
  flow.need(24)
  const width = pen.width(words, style) + 20
  doc
    .lineWidth(0.8)
    .roundedRect(page.left, flow.y + 2, width, 18, 9)
    .stroke(priority === 'routine' ? colour.line : colour.caution)
  pen.line(words, page.left + 10, flow.y + 4.5, style)
  flow.y += 30
}

const columns = { mark: 0, label: 16, bar: 190, score: 290, images: 345, model: 400 } as const

/** A line for each finding, what was found first. */
function drawTable(flow: Flow): void {
  const { pen, speech, doc, content } = flow
  const findings = content.assessed.findings.toSorted((a, b) => Number(b.present) - Number(a.present))
  if (findings.length === 0) return
  const small = { size: 7.5, colour: colour.faint }
  const at = (column: keyof typeof columns) => page.left + columns[column]
  flow.need(40)
  for (const [column, key] of [
    ['label', 'findings'],
    ['bar', 'score'],
    ['images', 'images'],
    ['model', 'model'],
  ] as const)
    pen.line(speech.say(key), at(column), flow.y, small)
  flow.y += 14
  for (const finding of findings) {
    flow.need(18)
    const { y } = flow
    const { present, score, threshold, positive, analysed, rule } = finding
    drawMark(flow, at('mark') + 5, y + 6, present)
    pen.fitted(subjectOf(speech, finding), at('label'), y, columns.bar - columns.label - 8, { bold: present })
    scoreBar(doc, at('bar'), y + 4, 90, score, rule === 'count' ? null : threshold)
    pen.line(speech.apart(score, threshold ?? score)[0], at('score'), y, { bold: present })
    pen.line(`${positive} / ${analysed}`, at('images'), y)
    const { name, version } = modelOf(finding.model)
    pen.fitted(version === '' ? name : `${name} ${version}`, at('model'), y, page.width - columns.model, { size: 8 })
    doc
      .moveTo(page.left, y + 16)
      .lineTo(page.left + page.width, y + 16)
      .lineWidth(0.3)
      .stroke(colour.line)
    flow.y += 20
  }
}

/** Filled where it was found, hollow where not: told apart without colour. */
function drawMark({ doc }: Flow, x: number, y: number, present: boolean): void {
  doc.circle(x, y, 3.5).lineWidth(1)
  if (present) doc.fillAndStroke(colour.accent, colour.accent)
  else doc.stroke(colour.faint)
}
