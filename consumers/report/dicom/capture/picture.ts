/** The image as it is displayed, with what models said of it drawn in and written below. Never a name. */
import { fileURLToPath } from 'node:url'
import sharp, { type OverlayOptions } from 'sharp'
import { frameLookedAt } from '../../../../schemas/prediction.ts'
import type { ModelVersion } from '../../../../schemas/topics.ts'
import type { StudyContent, StudyImage } from '../../study/format.ts'
import { flagWords, item, scoreSentence, verdictWords } from '../../texts/phrases.ts'
import { type Language, speak } from '../../texts/texts.ts'

export interface Picture {
  width: number
  height: number
  /** Three bytes a pixel. */
  rgb: Buffer
}

const fonts = import.meta.resolve('@embedpdf/fonts-latin')
const font = fileURLToPath(new URL('../fonts/NotoSans-Medium.ttf', fonts))

/** Of the picture: text needs room, however small the image is. */
const leastWidth = 512
const margin = 12

const colour = { ink: '#ffffff', faint: '#c3ccd4', caution: '#ffc24b', ground: '#0d1216' } as const

export interface Shown {
  content: Pick<StudyContent, 'assessed' | 'researchUseOnly' | 'language'>
  image: StudyImage
  /** PNG of the image, of the frame that models looked at, or why there is none. */
  preview: { png: Uint8Array } | { missing: string }
  /** PNG of the image in colours where it speaks for a label to a model; null: there is none. */
  explained: { png: Uint8Array; model: ModelVersion; label: string } | null
}

export async function drawPicture({ content, image, preview, explained }: Shown): Promise<Picture> {
  // As many pictures are drawn at once as there are threads for them: none needs more of its own.
  sharp.concurrency(1)
  const shown = 'png' in preview ? await sized(preview.png) : undefined
  const beside = shown && explained && (await resized(explained.png, shown))
  const imagesWidth = (shown?.width ?? 0) + (beside ? margin + beside.width : 0)
  const width = Math.max(leastWidth, imagesWidth)
  const above = await textOf(headOf(content), width, 20, colour.caution)
  const legend = beside ? [legendOf(explained, content.language)] : []
  const words = [...saidIn(image, preview, content.language), ...legend]
  const below = await textOf(words, width, 18, colour.ink)
  const imageHeight = shown?.height ?? 120
  const top = above.height + 2 * margin
  const height = top + imageHeight + below.height + 2 * margin
  const left = Math.floor((width - imagesWidth) / 2)
  const layers: OverlayOptions[] = [
    { ...above.layer, left: margin, top: margin },
    { ...below.layer, left: margin, top: top + imageHeight + margin },
  ]
  if (shown) {
    layers.push({ input: shown.png, left, top })
    const outlines = outlinesOf(image, shown)
    if (outlines) layers.push({ input: outlines, left, top })
    if (beside) layers.push({ input: beside.png, left: left + shown.width + margin, top })
  }
  const rgb = await sharp({ create: { width, height, channels: 3, background: colour.ground } })
    .composite(layers)
    .removeAlpha()
    .toColourspace('srgb')
    .raw()
    .toBuffer()
  return { width, height, rgb }
}

async function sized(png: Uint8Array) {
  const { width, height } = await sharp(png).metadata()
  return { png: Buffer.from(png), width, height }
}

/** As large as the image beside it. Undefined where it is damaged: the picture is made without. */
async function resized(png: Uint8Array, { width, height }: { width: number; height: number }) {
  try {
    const large = await sharp(png).resize(width, height, { fit: 'fill', kernel: 'linear' }).png().toBuffer()
    return { png: large, width }
  } catch {
    return undefined
  }
}

const legendOf = ({ model, label }: NonNullable<Shown['explained']>, language: Language): string =>
  speak(language).say('explained', { model: `${model.name} ${model.version}`, label: label.slice(0, 60) })

function headOf({ researchUseOnly, assessed, language }: Shown['content']): string[] {
  const speech = speak(language)
  return [
    speech.say(researchUseOnly ? 'researchOnly' : 'title'),
    ...(assessed.revision > 1 ? [speech.say('revision', { revision: assessed.revision })] : []),
  ]
}

function saidIn({ said, number }: StudyImage, preview: Shown['preview'], language: Language): string[] {
  const speech = speak(language)
  const lines = said.map(({ prediction, verdict }) => {
    const { model, label, score, threshold, quality } = prediction
    const flags = quality.map(flag => ` ${item(speech, 'quality', flagWords(speech, flag))}.`).join('')
    const person = verdictWords(speech, verdict)
    const answer = `${model.name} ${model.version}: ${label}. ${scoreSentence(speech, score, threshold)}`
    return `${answer}${flags}${person === null ? '' : ` ${person}`}`
  })
  return [
    ...('missing' in preview ? [`${speech.say('noPicture')}: ${preview.missing}`] : []),
    ...(lines.length > 0 ? lines : [speech.say('noAnswer')]),
    ...(number === null ? [] : [speech.say('imageNumber', { number })]),
  ]
}

/** Characters of one line, at most. */
const mostCharacters = 300

async function textOf(lines: readonly string[], width: number, size: number, ink: string) {
  const escaped = lines.map(line =>
    [...line.replace(/\p{Cc}/gu, ' ')]
      .slice(0, mostCharacters)
      .join('')
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;'),
  )
  const { data, info } = await sharp({
    text: {
      text: `<span foreground="${ink}">${escaped.join('\n')}</span>`,
      font: `Noto Sans Medium ${size}`,
      fontfile: font,
      rgba: true,
      width: width - 2 * margin,
      wrap: 'word-char',
      dpi: 72,
    },
  })
    .raw()
    .toBuffer({ resolveWithObject: true })
  const { width: wide, height, channels } = info
  return { layer: { input: data, raw: { width: wide, height, channels } }, height }
}

/** Of the frame that is shown, which is the one that models looked at. */
function outlinesOf(
  { said, instance }: StudyImage,
  { width, height }: { width: number; height: number },
): Buffer | undefined {
  if (!instance?.rows || !instance.columns) return undefined
  const [toX, toY] = [width / instance.columns, height / instance.rows]
  const looked = frameLookedAt(instance.frames)
  const polygons = said.flatMap(({ prediction }) =>
    prediction.regions
      .filter(({ frame, points }) => frame === looked && points.length >= 6 && points.every(Number.isFinite))
      .map(({ points }) => points.map((value, i) => (value * (i % 2 === 0 ? toX : toY)).toFixed(2)).join(' ')),
  )
  if (polygons.length === 0) return undefined
  const drawn = polygons.map(
    points => `<polygon points="${points}" fill="none" stroke="${colour.caution}" stroke-width="2"/>`,
  )
  return Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${drawn.join('')}</svg>`,
  )
}
