/** The one page of a prediction. */
import type { ReportFormat } from './format.ts'
import type { Threads } from './threads.ts'

export const pdfOf = (threads: Threads): ReportFormat => ({
  name: 'pdf',
  contentType: 'application/pdf',
  render: (content, signal) => threads.draw('predictionPage', content, signal),
})
