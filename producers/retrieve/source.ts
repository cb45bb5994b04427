/** Source: where images are pulled from. Two implementations: DIMSE (dicom.ts) and DICOMweb (web.ts). */
import type { RetrievalRequest } from '../../schemas/retrieval.ts'

export interface FoundInstance {
  series: string
  sopInstance: string
  /** Empty where the peer does not say. */
  sopClass: string
}

/** An image as a Part 10 file. @throws RaylogError; it is not kept then */
export type Receive = (
  file: AsyncIterable<Uint8Array>,
  expect: { sopClass: string; sopInstance: string } | undefined,
) => Promise<void>

export interface Source {
  /** Study Instance UIDs of an accession number; empty where the peer knows none. */
  byAccession(accessionNumber: string, signal: AbortSignal): Promise<string[]>
  /** The newest first, as many as wanted. */
  priors(of: NonNullable<RetrievalRequest['priors']>, signal: AbortSignal): Promise<string[]>
  instances(study: string, signal: AbortSignal): Promise<FoundInstance[]>
  /**
   * Resolves when the peer has sent what it would; some may be missing, and are to be asked for again.
   * @throws RaylogError peer-unavailable, delivery-failed, peer-refused, and what `receive` threw
   */
  fetch(study: string, wanted: readonly FoundInstance[], receive: Receive, signal: AbortSignal): Promise<void>
}

/** Studies of one patient that may be priors, newest first. Those without a date come last. */
export function newestBefore(
  studies: readonly { uid: string; date: string; modalities: string }[],
  { before, modality, most }: NonNullable<RetrievalRequest['priors']>,
): string[] {
  const limit = before?.replaceAll('-', '') ?? null
  return studies
    .filter(({ date }) => limit === null || (date !== '' && date < limit))
    .filter(({ modalities }) => modality === null || modalities.split('\\').includes(modality))
    .toSorted((a, b) => (a.date < b.date ? 1 : a.date > b.date ? -1 : 0))
    .slice(0, most)
    .map(({ uid }) => uid)
}
