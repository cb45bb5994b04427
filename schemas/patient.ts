/** Who the image is of. Never leaves the process unsealed but to a page that may show it. */
export interface PatientIdentity {
  name: string | null
  patientId: string | null
  issuer: string | null
  birthDate: string | null
  sex: string | null
  accession: string | null
}
