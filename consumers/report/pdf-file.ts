/** What every PDF file of ours has in common. */
import PDFDocument from 'pdfkit'
import type { Doc } from './pdf-style.ts'

export interface PdfFile {
  title: string
  /** Id of what it reports on. */
  subject: string
  /** When that was said: the bytes depend on the content alone. */
  made: Date
  /** BCP 47. */
  lang: string
}

/**
 * A page of A4 without margins.
 * @param more of pdfkit's options
 * @returns its bytes, once the caller has ended it
 */
export function openPdfFile(
  { title, subject, made, lang }: PdfFile,
  more: Omit<PDFKit.PDFDocumentOptions, 'info' | 'lang'> = {},
): { doc: Doc; bytes: Promise<Buffer> } {
  const doc = new PDFDocument({
    ...{ size: 'A4', margin: 0, lang, displayTitle: true },
    info: {
      ...{ Title: title, Author: 'Raylog', Creator: 'Raylog', Producer: 'Raylog', Subject: subject },
      ...{ CreationDate: made, ModDate: made },
    },
    ...more,
  })
  const chunks: Buffer[] = []
  const bytes = new Promise<Buffer>((resolve, reject) => {
    doc.on('data', chunk => chunks.push(chunk))
    doc.once('end', () => resolve(Buffer.concat(chunks)))
    doc.once('error', reject)
  })
  return { doc, bytes }
}
