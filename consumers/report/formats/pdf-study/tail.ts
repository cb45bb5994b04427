/** What stands behind the findings: what the patient had before, every image with its answers, and the identifiers. */
import { colour, page } from '../../pdf-style.ts'
import { studyUidOf } from '../../study/facts.ts'
import type { EarlierResult, StudyImage } from '../../study/format.ts'
import { conclusion, verdictWords } from '../../texts/phrases.ts'
import type { Speech } from '../../texts/texts.ts'
import { type Flow, facts } from './flow.ts'

/** A line an image: more are counted. */
const mostImages = 120

export function drawTail(flow: Flow): void {
  drawEarlier(flow)
  drawImages(flow)
  drawIdentifiers(flow)
}

function drawEarlier(flow: Flow): void {
  const { speech, content, pen } = flow
  if (content.assessed.patient === null) return
  flow.heading(speech.say('earlier'))
  if (content.earlier.length === 0) flow.paragraph(speech.say('noEarlier'), { colour: colour.faint })
  for (const one of content.earlier) {
    const words = earlierWords(speech, one)
    const left = 150
    const height = pen.heightOf(words, page.width - left)
    flow.need(height + 4)
    pen.fitted(speech.time(one.at), page.left, flow.y, left - 8, { size: 8, colour: colour.faint })
    flow.y = pen.paragraph(words, page.left + left, flow.y, page.width - left) + 4
  }
}

function earlierWords(speech: Speech, { modality, findings, revision }: EarlierResult): string {
  const what = revision === 0 ? [speech.say('notAssessed')] : conclusion(speech, findings)
  return [modality, ...what].filter(Boolean).join(' · ')
}

function drawImages(flow: Flow): void {
  const { speech, content, pen } = flow
  flow.heading(speech.say('images'))
  for (const [i, image] of content.images.slice(0, mostImages).entries()) {
    const words = imageWords(speech, image)
    const left = 24
    const size = 7.5
    flow.need(pen.heightOf(words, page.width - left, { size }) + 2)
    pen.line(String(i + 1), page.left, flow.y, { size, colour: colour.faint })
    flow.y = pen.paragraph(words, page.left + left, flow.y, page.width - left, { size }) + 2
  }
  const more = content.images.length - mostImages
  if (more > 0) flow.paragraph(speech.count('andMore', more), { colour: colour.faint })
}

function imageWords(speech: Speech, { id, instance, lost, said }: StudyImage): string {
  const answers = said.map(({ prediction: { model, label, score }, verdict }) => {
    const spoken = verdictWords(speech, verdict)
    return `${model.name} ${model.version}: ${label} ${speech.decimals(score, 3)}${spoken === null ? '' : ` (${spoken})`}`
  })
  const what = answers.length > 0 ? answers.join('; ') : (lost ?? speech.say('noAnswer'))
  return `${instance?.dicom?.sopInstance ?? id} · ${what}`
}

function drawIdentifiers(flow: Flow): void {
  const { speech, content } = flow
  const { assessed, predecessor } = content
  // Whole, each on its line, so that they can be searched for.
  const weights = new Map(
    content.images.flatMap(({ said }) => said.map(({ prediction: { model } }) => [model.digest, model.name] as const)),
  )
  const series = [...new Set(content.images.flatMap(({ instance }) => instance?.dicom?.series ?? []))]
  flow.heading(speech.say('identifiers'), 80)
  flow.y = facts(
    flow,
    [
      [speech.say('study'), assessed.study],
      ['UID', studyUidOf(content)],
      [speech.say('report'), `${assessed.id} (${assessed.revision})`],
      [speech.say('seriesUid'), series.slice(0, 3).join(', ')],
      [speech.say('pseudonym'), assessed.patient],
      ...[...weights].map(([digest, name]) => [name, `SHA-256 ${digest}`] as const),
      ...(predecessor ? [['', predecessor.reports.map(({ id }) => id).join(', ')] as const] : []),
    ],
    { x: page.left, y: flow.y, width: page.width, labels: 110 },
  )
}
