/** Section 7 of the conformance statement. */
import { tlsProfile } from '../../dicom/tls.ts'
import { methodCodes } from '../../models/imaging/deidentify/mark.ts'
import { table } from './table.ts'

export const securitySection = (): string => `## 7. Security

Secure transport by the BCP 195 RFC 8996, 9325 TLS profile (PS3.15 B.12), as acceptor and as requestor, with mutual authentication: ${tlsProfile.minVersion} to ${tlsProfile.maxVersion}.

${table(
  ['version', 'cipher suites'],
  Object.entries(tlsProfile.suites).map(([version, suites]) => [version, suites.join(', ')]),
)}

Peers are told apart by AE title, address and certificate. Audited (PS3.15 A.5) are the associations that others open or are refused, queries and transfers
of both directions (what is asked of Raylog and what it asks of others; what it receives, sends and exports), who has a retrieval made, and what is looked at over DICOMweb; docs/peers.md has the settings.
They are messages of PS3.15 A.5.1, sent to the server that \`syslog\` names by the Audit Trail Message Transmission Profile SYSLOG-TLS (PS3.15 A.6, RFC 5425), or by
SYSLOG-UDP (A.7, RFC 5426), or over TCP without TLS (RFC 6587).

### 7.1 De-identification

Where \`deidentify\` says so (docs/deidentification.md), objects are de-identified before they are stored, by PS3.15 Annex E, and say so: Patient Identity Removed (0012,0062), De-identification
Method (0012,0063) and its Code Sequence (0012,0064). Profile and options:

${table(
  ['code (DCM)', 'meaning', 'setting'],
  Object.entries(methodCodes).map(([option, [code, meaning]]) => [
    ...[code, meaning, option === 'basic' ? 'always' : `\`${option}\``],
  ]),
)}

Not offered: Clean Recognizable Visual Features (113102), Clean Graphics (113103).`
