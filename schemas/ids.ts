/** Ids are derived from what they name, so that a redelivery writes the same thing again. */
import { hash } from 'node:crypto'

/** `prefix` and 128 bits of SHA-256 over the parts, each preceded by its length so that no two lists collide. */
function derive(prefix: string, ...parts: Part[]): string {
  return `${prefix}_${digest(parts).toString('hex').slice(0, 32)}`
}

type Part = string | number | null

/** In one piece: to make an object for a few dozen bytes costs several times what is done with it. */
function digest(parts: readonly Part[]): Buffer {
  const texts = parts.map(part => {
    const text = part === null ? '' : String(part)
    return `${Buffer.byteLength(text)}:${text}`
  })
  return hash('sha256', texts.join(''), 'buffer')
}

/** 2.25 and 122 bits of a digest as the UUID that they make (PS3.5 B.2). */
export function uuidUid(from: Uint8Array): string {
  const uuid = Buffer.from(from.subarray(0, 16))
  uuid[6] = ((uuid[6] ?? 0) & 0x0f) | 0x80 // version 8: of one's own making (RFC 9562 5.8)
  uuid[8] = ((uuid[8] ?? 0) & 0x3f) | 0x80
  return `2.25.${BigInt(`0x${uuid.toString('hex')}`)}`
}

/** DICOM UIDs of what Raylog makes, derived as the ids are. */
export const uids = {
  /** A format has one series in a study, whatever the revision. */
  reportSeries: (study: string, format: string) => uuidUid(digest(['report series', study, format])),
  /** Of one thing that was found, the same in every revision. */
  tracking: (...parts: string[]) => uuidUid(digest(['tracking', ...parts])),
  /** The Raylog of a site as the one who observes. */
  device: (site: string) => uuidUid(digest(['device', site])),
  /** A model with these weights, and no other. */
  model: (name: string, version: string, weights: string | null) => uuidUid(digest(['model', name, version, weights])),
  /** @param part which, where a format gives several; otherwise null */
  report: (study: string, revision: number, format: string, part: string | null) =>
    uuidUid(digest(['report', study, revision, format, part === null ? '' : `of ${part}`])),
  /** Of a storage commitment that we ask for. */
  transaction: (delivery: string, attempt: number) => uuidUid(digest(['transaction', delivery, attempt])),
}

export const ids = {
  /** A re-sent image is the same instance; the same SOP Instance UID with other content is another. */
  instance: (site: string, sopInstance: string | null, sha256: string) => derive('in', site, sopInstance, sha256),
  study: (site: string, studyInstanceUid: string) => derive('st', site, studyInstanceUid),
  series: (study: string, seriesInstanceUid: string) => derive('se', study, seriesInstanceUid),
  /** One for all contents that came under the UID. */
  sopInstance: (site: string, sopInstanceUid: string) => derive('so', site, sopInstanceUid),
  prediction: (
    instance: string,
    model: { name: string; version: string; digest: string },
    role: string,
    replay: string | null,
  ) => derive('pr', instance, model.name, model.version, model.digest, role, replay),
  report: (subject: string, format: string, destination: string) => derive('rp', subject, format, destination),
  /** Of a whole study. @param part as in `uids.report` */
  studyReport: (revision: string, format: string, part: string | null) =>
    derive('rp', revision, part === null ? format : `${format} of ${part}`, 'store'),
  delivery: (subject: string, channel: string, destination: string) => derive('dl', subject, channel, destination),
  /** Once for each destination and revision: made again, it is the same report. */
  reportDelivery: (report: string, revision: number | null, destination: string) =>
    derive('rd', report, revision, destination),
  /** What a newer revision of a report to one destination follows. */
  reportLine: (subject: string, format: string, destination: string) => derive('rl', subject, format, destination),
  parked: (stage: string, topic: string, partition: number, offset: number) =>
    derive('pk', stage, topic, partition, offset),
  /** One verdict of a person on a prediction: the newest counts. */
  feedback: (prediction: string, actor: string) => derive('fb', prediction, actor),
  /** Asked for twice under one key it is one replay. */
  replay: (key: string) => derive('rr', key),
  replayGone: (replay: string, instance: string) => derive('rg', replay, instance),
  /** Asked for twice under one key it is one retrieval. */
  retrieval: (key: string) => derive('rt', key),
  audit: (key: string) => derive('au', key),
  /** A step of a modality's (PS3.4 F.7). */
  procedureStep: (peer: string, uid: string) => derive('ps', peer, uid),
  /** A transaction of a peer's (PS3.4 J): asked for twice it is one. */
  commitment: (peer: string, transactionUid: string) => derive('sc', peer, transactionUid),
  /** Asked for twice by one person of one revision it is one request. */
  request: (study: string, what: string, actor: string, of: number | string) => derive('rq', study, what, actor, of),
  /** All that one rule says of one thing (a study, or an event) is one notification. */
  notice: (rule: string, key: string) => derive('nt', rule, key),
  noticeStep: (notice: string, number: number) => derive('ns', notice, number),
  noticeAlert: (delivery: string) => derive('ns', delivery),
  /** A browser that is told by push; its address is not to be read from the id. */
  pushTarget: (endpoint: string) => derive('pu', endpoint),
  studyRevision: (study: string, revision: number) => derive('sr', study, revision),
}
