/** What the model said: the label, the score against its threshold, the probabilities, and what speaks for caution. */
import { scoredLabel } from '../../schemas/prediction.ts'
import type { Prediction } from '../../schemas/topics.ts'
import type { ReportContent } from './format.ts'
import { type Area, colour, type Doc, fitted, font, heading } from './pdf-style.ts'
import { flagWords, item, resultSentence } from './texts/phrases.ts'
import { type Speech, speak } from './texts/texts.ts'
import { printable } from './words.ts'

/**
 * More classes than these are counted, not listed; fewer where flags take their room, and where there is room never less than
 * so many lines.
 */
const mostProbabilities = 6
const fewestLines = 3
const rowHeight = 14
const headingHeight = 21
/** Of one flag: three lines. */
const flagHeight = 33

export function drawResult(doc: Doc, { prediction, language }: ReportContent, { x, y, width, height }: Area): void {
  const speech = speak(language)
  let at = heading(doc, printable(speech.say('result')), x, y, width)
  at = drawLabel(doc, printable(prediction.label), x, at, width)
  doc.font(font.regular).fontSize(10).fillColor(colour.ink)
  const sentence = printable(resultSentence(speech, prediction))
  doc.text(sentence, x, at, { width, height: 40, ellipsis: true, lineGap: 1.5 })
  at += Math.min(40, doc.heightOfString(sentence, { width, lineGap: 1.5 })) + 12
  at = drawScore(doc, speech, prediction, x, at, width)
  const lines = Math.min(fewestLines, Object.keys(prediction.probabilities).length)
  const rest = { x, y: at, width, height: y + height - at - headingHeight - lines * rowHeight }
  at = drawFlags(doc, speech, prediction.quality, rest)
  drawProbabilities(doc, speech, prediction, { x, y: at, width, height: y + height - at })
}

/** As large as fits on a line; a long one takes two. */
function drawLabel(doc: Doc, label: string, x: number, y: number, width: number): number {
  doc.font(font.bold).fillColor(colour.ink)
  const size = [26, 22, 18].find(points => doc.fontSize(points).widthOfString(label) <= width)
  if (size !== undefined) {
    doc.text(label, x, y, { lineBreak: false })
    return y + size + 8
  }
  doc.fontSize(15).text(label, x, y, { width, height: 36, ellipsis: true })
  return y + Math.min(36, doc.heightOfString(label, { width })) + 8
}

/** A share of a bar, 0..1, whatever a model said. */
const within = (share: number): number => (share > 0 ? Math.min(1, share) : 0)

function bar(doc: Doc, x: number, y: number, width: number, height: number, share: number, fill: string): void {
  const filled = width * within(share)
  doc.rect(x, y, width, height).fill(colour.track)
  if (filled > 0) doc.rect(x, y, filled, height).fill(fill)
}

function drawScore(doc: Doc, speech: Speech, prediction: Prediction, x: number, y: number, width: number): number {
  const { score, threshold } = prediction
  bar(doc, x, y, width, 12, score, colour.accent)
  doc.font(font.regular).fontSize(7.5).fillColor(colour.faint)
  if (threshold !== null) {
    const at = x + width * within(threshold)
    doc
      .moveTo(at, y - 4)
      .lineTo(at, y + 16)
      .lineWidth(1.5)
      .stroke(colour.ink)
    const words = printable(item(speech, 'threshold', speech.apart(score, threshold)[1]))
    const half = doc.widthOfString(words) / 2
    const left = Math.min(Math.max(at - half, x + 14), x + width - 14 - 2 * half)
    doc.fillColor(colour.ink).text(words, left, y + 19, { lineBreak: false })
  }
  doc.fillColor(colour.faint).text('0', x, y + 19, { lineBreak: false })
  doc.text('1', x + width - doc.widthOfString('1'), y + 19, { lineBreak: false })
  return y + 38
}

/** The first, and others that there is room for; the rest is counted. Gives the y below them. */
function drawFlags(doc: Doc, speech: Speech, quality: readonly string[], { x, y, width, height }: Area): number {
  if (quality.length === 0) return y
  const words = quality.map(flag => printable(item(speech, 'quality', flagWords(speech, flag))))
  const style = { width: width - 14 }
  doc.font(font.bold).fontSize(8.5)
  let at = y
  for (const [i, flag] of words.entries()) {
    const its = Math.min(flagHeight, doc.heightOfString(flag, style))
    const more = words.length - i
    const needed = its + 11 + (more > 1 ? rowHeight : 0)
    if (i > 0 && at + needed > y + height) {
      doc.fillColor(colour.caution).text(printable(speech.count('andMore', more)), x, at + 2, { lineBreak: false })
      return at + rowHeight + 8
    }
    doc.rect(x, at, 3, its + 7).fill(colour.caution)
    doc.rect(x + 3, at, width - 3, its + 7).fill(colour.cautionFill)
    doc.fillColor(colour.ink).text(flag, x + 10, at + 4, { ...style, height: flagHeight, ellipsis: true })
    at += its + 11
  }
  return at + 8
}

function drawProbabilities(doc: Doc, speech: Speech, prediction: Prediction, { x, y, width, height }: Area): void {
  const all = Object.entries(prediction.probabilities).sort(([a, p], [b, q]) => q - p || (a < b ? -1 : 1))
  if (all.length === 0) return
  let at = heading(doc, printable(speech.say('probabilities')), x, y, width)
  const room = Math.floor((y + height - at) / rowHeight)
  const shown = all.length <= room ? Math.min(all.length, mostProbabilities) : Math.min(room - 1, mostProbabilities)
  const scored = scoredLabel(prediction)
  for (const [label, share] of all.slice(0, shown)) {
    const given = label === prediction.label
    doc
      .font(given ? font.bold : font.regular)
      .fontSize(8.5)
      .fillColor(colour.ink)
    doc.text(fitted(doc, printable(label), 84), x, at, { lineBreak: false })
    bar(doc, x + 90, at + 1, width - 90 - 44, 6, share, label === scored ? colour.accent : colour.other)
    doc.fillColor(colour.ink).text(printable(speech.percent(share)), x, at, { width, align: 'right' })
    at += rowHeight
  }
  if (shown >= all.length) return
  doc.font(font.regular).fontSize(7.5).fillColor(colour.faint)
  doc.text(printable(speech.count('lessProbable', all.length - shown)), x, at, { lineBreak: false })
}
