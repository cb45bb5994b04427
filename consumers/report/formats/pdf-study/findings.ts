/** Each finding with its images, the regions that the model marked, the model, and what people said of it. */
import type { StudyFinding } from '../../../../schemas/topics.ts'
import { colour, page } from '../../pdf-style.ts'
import { findingSentences, findingTitle, named, ruleWords } from '../../texts/phrases.ts'
import { type Cell, cellOf, cellWidth, drawCell, type Picture } from './cells.ts'
import type { Pictured, PicturedFinding } from './choose.ts'
import { type Flow, facts } from './flow.ts'

const right = page.left + page.width - cellWidth
/** Sentences about a finding: more are counted. */
const mostSentences = 12

export function drawFindings(
  flow: Flow,
  findings: readonly PicturedFinding[],
  pictures: ReadonlyMap<string, Picture>,
): void {
  for (const one of findings) drawFinding(flow, one, pictures)
}

function drawFinding(
  flow: Flow,
  { finding, pictures: chosen, more }: PicturedFinding,
  pictures: ReadonlyMap<string, Picture>,
) {
  const { speech } = flow
  const cells = chosen.map(one => cellOf(flow, one, finding))
  const highest = Math.max(0, ...cells.slice(0, 2).map(({ height }) => height))
  const [only, ...others] = cells
  flow.heading(findingTitle(speech, finding), highest + (cells.length === 1 ? 0 : 70))
  if (only && others.length === 0) {
    const below = flow.y + only.height
    drawCell(flow, only, pictures, { x: page.left, y: flow.y })
    const said = drawWords(flow, finding, chosen, { x: right, y: flow.y, width: cellWidth })
    flow.y = Math.max(below, said)
  } else {
    flow.y = drawWords(flow, finding, chosen, { x: page.left, y: flow.y, width: page.width }) + 8
    drawRows(flow, cells, pictures)
  }
  if (more > 0) flow.paragraph(speech.count('imagesNotShown', more), { colour: colour.faint })
}

/** Two cells side by side, as high as the higher of them. */
function drawRows(flow: Flow, cells: readonly Cell[], pictures: ReadonlyMap<string, Picture>): void {
  for (let i = 0; i < cells.length; i += 2) {
    const row = cells.slice(i, i + 2)
    const height = Math.max(...row.map(one => one.height))
    flow.need(height)
    for (const [column, one] of row.entries())
      drawCell(flow, one, pictures, { x: column === 0 ? page.left : right, y: flow.y })
    flow.y += height
  }
}

/** @returns the y below */
function drawWords(
  flow: Flow,
  finding: StudyFinding,
  chosen: readonly Pictured[],
  { x, y, width }: { x: number; y: number; width: number },
): number {
  let at = y
  const sentences = named(flow.speech, findingSentences(flow.speech, finding), mostSentences)
  for (const [i, sentence] of sentences.entries())
    at = flow.pen.paragraph(sentence, x, at, width, { bold: i === 0, most: 4 }) + 2
  return facts(flow, modelRows(flow, finding, chosen), { x, y: at + 2, width })
}

function modelRows({ speech }: Flow, { model, rule }: StudyFinding, chosen: readonly Pictured[]) {
  const said = chosen.find(one => one.said)?.said?.prediction
  return [
    [speech.say('model'), model],
    [speech.say('weights'), said?.model.digest ?? null],
    [speech.say('analysed'), said ? speech.time(said.predictedAt) : null],
    [speech.say('rule'), ruleWords(speech, rule) ?? rule],
  ] as const
}
