/**
 * HL7 version 2: a small ORU^R01 (HL7 2.5.1, chapter 7) over MLLP that says what was found and to whom it is told. A full
 * report of the study is the report stage's; this one is for a system that pages people or shows alerts.
 */
import { readFileSync } from 'node:fs'
import { anonymousId, names, short } from '../../../hl7/fields.ts'
import { components, header, message, segment, timestamp } from '../../../hl7/message.ts'
import { NotAcknowledged, openMllp } from '../../../hl7/mllp.ts'
import { type Sender, type SendOptions, Undelivered } from '../channel.ts'
import type { ChannelOf } from '../config-channels.ts'
import { findingText, repeatWords, ruo, subjectOf } from '../template.ts'
import type { LiveMessage } from './live.ts'

export function hl7(config: ChannelOf<'hl7'>): Sender<LiveMessage> {
  const { host, port, tls, caFile, timeoutMs, idleMs } = config
  const client = openMllp({
    ...{ host, port, timeoutMs, idleMs },
    tls: tls ? (caFile === null ? {} : { ca: readFileSync(caFile) }) : null,
  })
  return {
    name: 'hl7',
    async send(told, options) {
      const bytes = Buffer.from(hl7Message(told, options, config))
      const { code, error } = await client.send(bytes, options.signal).catch((thrown: unknown) => {
        if (!(thrown instanceof NotAcknowledged)) throw thrown
        throw new Undelivered(thrown.message, { cause: thrown })
      })
      if (code === 'AA' || code === 'CA') return
      // An error of the receiver may pass; a rejection is of this message (HL7 2.5.1, 2.9.2.1).
      const text = error === '' ? code : `${code} ${error}`
      throw new Undelivered(`the receiver acknowledged with ${text}`, { final: code === 'AR' || code === 'CR' })
    },
    close: () => client.close(),
  }
}

/** Its control id is the delivery's, the same for each attempt, so that a receiver knows a second copy. */
export function hl7Message(
  told: LiveMessage,
  { idempotencyKey, redelivered }: Pick<SendOptions, 'idempotencyKey' | 'redelivered'>,
  { application, facility }: Pick<ChannelOf<'hl7'>, 'application' | 'facility'>,
): string {
  const { study, site, priority, edition, at, findings, changes, recipient, patient } = told
  const notes = [
    subjectOf(told),
    ...changes,
    ...(redelivered ? [repeatWords] : []),
    ...(told.researchUseOnly ? [ruo] : []),
  ]
  const status = edition > 1 ? 'C' : 'P'
  return message([
    header({
      ...{ 3: 'RAYLOG', 4: site, 5: application, 6: facility, 7: timestamp(at) },
      ...{ 9: components('ORU', 'R01', 'ORU_R01'), 10: short(idempotencyKey), 11: 'P', 12: '2.5.1' },
      18: 'UNICODE UTF-8',
    }),
    ...(patient === null ? [] : [segment('PID', { 1: 1, 3: anonymousId(patient.pseudonym), 5: names(patient.name) })]),
    segment('OBR', {
      ...{ 1: 1, 3: components(short(study), 'RAYLOG'), 4: components('18748-4', 'Diagnostic imaging study', 'LN') },
      ...{ 7: timestamp(at), 24: 'RAD', 25: status, 28: recipient.person },
    }),
    ...notes.map((note, n) => segment('NTE', { 1: n + 1, 2: 'L', 3: note })),
    segment('TQ1', { 1: 1, 9: { routine: 'R', urgent: 'A', stat: 'S' }[priority] }),
    ...findings.map((finding, n) =>
      segment('OBX', {
        ...{ 1: n + 1, 2: 'ST', 3: components(finding.label, finding.label, '99RAYLOG'), 4: finding.group },
        ...{ 5: findingText(finding), 8: finding.present ? 'A' : 'N', 11: status },
      }),
    ),
  ])
}
