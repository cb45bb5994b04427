/** Entry of the worker threads of pdf.ts. A fault of the page is told, so that a task that rejects is a worker that died. */
import type { ReportContent } from './format.ts'
import { renderPage } from './pdf-page.ts'

export type Rendered = { bytes: Uint8Array } | { fault: string }

export async function render(content: ReportContent): Promise<Rendered> {
  try {
    return { bytes: await renderPage(content) }
  } catch (thrown) {
    return { fault: thrown instanceof Error ? thrown.message : String(thrown) }
  }
}
