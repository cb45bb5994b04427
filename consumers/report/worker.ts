/**
 * What the threads of threads.ts do, by the name of the export. A fault is told, so that a task that rejects is a thread
 * that died.
 */
import type { ReportContent } from './format.ts'
import { renderPage } from './pdf-page.ts'

export type Drawn = { bytes: Uint8Array } | { fault: string }

/** The page of one prediction. */
export const predictionPage = (content: ReportContent): Promise<Drawn> => told(() => renderPage(content))

async function told(draw: () => Promise<Uint8Array>): Promise<Drawn> {
  try {
    return { bytes: await draw() }
  } catch (thrown) {
    return { fault: thrown instanceof Error ? thrown.message : String(thrown) }
  }
}
