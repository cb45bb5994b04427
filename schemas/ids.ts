/** Ids are derived from what they name, so that a redelivery writes the same thing again. */
import { createHash } from 'node:crypto'

/** `prefix` and 128 bits of SHA-256 over the parts, each preceded by its length so that no two lists collide. */
function derive(prefix: string, ...parts: (string | number | null)[]): string {
  const hash = createHash('sha256')
  for (const part of parts) {
    const text = part === null ? '' : String(part)
    hash.update(`${Buffer.byteLength(text)}:${text}`)
  }
  return `${prefix}_${hash.digest('hex').slice(0, 32)}`
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
  delivery: (subject: string, channel: string, destination: string) => derive('dl', subject, channel, destination),
  parked: (stage: string, topic: string, partition: number, offset: number) =>
    derive('pk', stage, topic, partition, offset),
  /** One verdict of a person on a prediction: the newest counts. */
  feedback: (prediction: string, actor: string) => derive('fb', prediction, actor),
  /** Asked for twice under one key it is one replay. */
  replay: (key: string) => derive('rr', key),
  /** Asked for twice under one key it is one retrieval. */
  retrieval: (key: string) => derive('rt', key),
  audit: (key: string) => derive('au', key),
  /** A transaction of a peer's (PS3.4 J): asked for twice it is one. */
  commitment: (peer: string, transactionUid: string) => derive('sc', peer, transactionUid),
  /** Asked for twice by one person of one revision it is one request. */
  request: (study: string, what: string, actor: string, of: number) => derive('rq', study, what, actor, of),
  studyRevision: (study: string, revision: number) => derive('sr', study, revision),
}
