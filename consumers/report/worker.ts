/**
 * What the threads of threads.ts do, by the name of the export. A fault is told, so that a task that rejects is a thread
 * that died.
 */

import { secondaryCapture } from './dicom/capture/capture.ts'
import { encapsulatedPdf } from './dicom/encapsulated.ts'
import { segmentation } from './dicom/segmentation/segmentation.ts'
import { structuredReport } from './dicom/sr/report.ts'
import type { ReportContent } from './format.ts'
import { renderStudy, type StudyPages } from './formats/pdf-study/document.ts'
import { giveWay } from './give-way.ts'
import { renderPage } from './pdf-page.ts'

// An image is answered, and a study analysed, while its pages are still drawn.
giveWay()

export type Drawn = { bytes: Uint8Array } | { fault: string }

/** The page of one prediction. */
export const predictionPage = (content: ReportContent): Promise<Drawn> => told(() => renderPage(content))

/** A structured report of a study. */
export const dicomSr = (of: Parameters<typeof structuredReport>[0]): Promise<Drawn> => told(() => structuredReport(of))

/** A picture of an image, for the PACS. */
export const dicomSc = (of: Parameters<typeof secondaryCapture>[0]): Promise<Drawn> => told(() => secondaryCapture(of))

/** A PDF, for the PACS. */
export const dicomPdf = (of: Parameters<typeof encapsulatedPdf>[0]): Promise<Drawn> => told(() => encapsulatedPdf(of))

/** Masks of one series. */
export const dicomSeg = (of: Parameters<typeof segmentation>[0]): Promise<Drawn> => told(() => segmentation(of))

/** The report of a study for people. */
export const studyPages = (pages: StudyPages): Promise<Drawn> => told(() => renderStudy(pages))

async function told(draw: () => Uint8Array | Promise<Uint8Array>): Promise<Drawn> {
  try {
    return { bytes: await draw() }
  } catch (thrown) {
    return { fault: thrown instanceof Error ? thrown.message : String(thrown) }
  }
}
