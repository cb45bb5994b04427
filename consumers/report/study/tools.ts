/** What formats ask for, each thing fetched or rendered once for a study. */
import { inWords, settled } from '../settled.ts'
import { readHeader, type StudyPorts } from './content.ts'
import type { RenderedReport, StudyContent, StudyFormat, StudyImage, StudyTools } from './format.ts'

export function studyTools(
  { images, objects }: Pick<StudyPorts, 'images' | 'objects'>,
  formats: readonly StudyFormat[],
  content: StudyContent,
  signal: AbortSignal,
): StudyTools {
  const headers = new Map<string, ReturnType<StudyTools['header']>>()
  const renderings = new Map<string, Promise<readonly RenderedReport[]>>()

  /** Remembered unless it failed: the next who asks tries again. */
  function once<T>(known: Map<string, Promise<T>>, key: string, work: () => Promise<T>): Promise<T> {
    const before = known.get(key)
    if (before) return before
    const made = work()
    known.set(key, made)
    made.catch(() => known.delete(key))
    return made
  }

  async function headerOf({ instance, lost }: StudyImage) {
    if (!instance) return { missing: lost ?? '' }
    if (!instance.dicom) return { missing: 'It is not a DICOM image.' }
    const read = await settled(readHeader(images, instance))
    return 'lost' in read ? { missing: inWords(read.lost) } : { attributes: read.value }
  }

  const tools: StudyTools = {
    signal,
    async preview({ instance, lost }, options) {
      if (!instance) return { missing: lost ?? '' }
      const shown = await settled(images.preview(instance.object, options))
      signal.throwIfAborted()
      return 'lost' in shown ? { missing: inWords(shown.lost) } : { png: shown.value }
    },
    async explanation({ explanation: key }) {
      if (key === null) return { missing: 'The model gives none.' }
      const read = await settled(objects.get(key))
      signal.throwIfAborted()
      return 'lost' in read ? { missing: inWords(read.lost) } : { png: read.value }
    },
    header: image => once(headers, image.id, () => headerOf(image)),
    rendered(name) {
      const format = formats.find(one => one.name === name)
      if (!format) return Promise.resolve([])
      return once(renderings, name, async () => format.render(content, tools))
    },
  }
  return tools
}
