/** Secrets: what keeps names apart from the log. Keys are made at first start, one file with mode 0600 in the data folder. */
import type { PatientIdentity } from '../schemas/patient.ts'

export interface Secrets {
  /** Keyed pseudonym of a patient, the same for site, issuer and id together; null where there is no id. */
  pseudonym(site: string, patient: Pick<PatientIdentity, 'patientId' | 'issuer'>): string | null
  /** Keyed digest by which a text can be found that is kept sealed; the kind keeps equal texts of two kinds apart. */
  digest(kind: string, text: string): string
  /** AES-256-GCM with a fresh nonce, base64; `context` (the document's id) is authenticated. */
  seal(plain: string, context: string): string
  /** @throws RaylogError object-damaged when the text, the key or the context is not the one that sealed it */
  open(sealed: string, context: string): string
  /** A key of 32 bytes for a purpose of its own; the same for every process and start. */
  derive(purpose: string): Uint8Array
  /** The token that the page and the API ask for. */
  readonly token: string
}
