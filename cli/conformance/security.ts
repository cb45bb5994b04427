/** Section 7 of the conformance statement. */
import { tlsProfile } from '../../dicom/tls.ts'
import { table } from './table.ts'

export const securitySection = (): string => `## 7. Security

Secure transport by the BCP 195 RFC 8996, 9325 TLS profile (PS3.15 B.12), as acceptor and as requestor, with mutual authentication: ${tlsProfile.minVersion} to ${tlsProfile.maxVersion}.

${table(
  ['version', 'cipher suites'],
  Object.entries(tlsProfile.suites).map(([version, suites]) => [version, suites.join(', ')]),
)}

Peers are told apart by AE title, address and certificate. Associations, rejections, queries, transfers and what is looked at over DICOMweb are audited (PS3.15 A.5); docs/peers.md has the settings.`
