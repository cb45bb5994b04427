/** What a channel may tell a recipient of a notification: fields that it may not carry are not in the message at all. */
import type { Logger } from 'pino'
import { z } from 'zod'
import type { Ports } from '../../kafka/ports.ts'
import { toRaylogError } from '../../schemas/errors.ts'
import type { NoticeDoc, NoticeTarget } from '../../schemas/notice.ts'
import { noticeTokenPurpose, writeNoticeToken } from '../../schemas/notice-token.ts'
import { readableName } from '../../schemas/person-name.ts'
import type { Level, NoticeMessage } from './channel.ts'
import type { NotifyConfig } from './config.ts'
import type { ChannelConfig } from './config-channels.ts'
import { timeText } from './match.ts'
import { timeZoneOf } from './recipients.ts'

export interface MessageContext {
  deps: Pick<Ports, 'documents' | 'secrets' | 'images'>
  config: NotifyConfig
  /** Of the platform: without it no channel carries a name, whatever its own settings say. */
  showNames: boolean
  researchUseOnly: boolean
  logger: Logger
}

const sealedName = z.object({ name: z.string().nullable() })
/** Longest side of an image in a mail, pixels. */
const imageSize = 640

export async function messageOf(
  context: MessageContext,
  notice: NoticeDoc,
  target: NoticeTarget,
  channel: ChannelConfig,
): Promise<NoticeMessage> {
  const { config, researchUseOnly } = context
  const person = config.people.find(({ name }) => name === target.person)
  const address = person?.reach.find(one => one.channel === target.channel)?.address ?? null
  const [patient, image] = await Promise.all([patientOf(context, notice, channel), imageOf(context, notice, channel)])
  const zone = timeZoneOf(config, notice.site)
  const facts: [string, string | null][] = [
    ['Patient', patient && (readableName(patient.name) || null)],
    ['Priority', notice.priority === 'stat' ? 'STAT' : notice.priority],
    ['Modality', notice.modality],
    ['Site', notice.site],
    ['Time', `${timeText(notice.createdAt, zone)} (${zone})`],
  ]
  return {
    ...{ notice: notice.id, edition: notice.edition, rule: notice.rule, critical: notice.critical, researchUseOnly },
    level: levelOf(notice),
    title: channel.findings ? notice.title : notice.critical ? 'A critical result' : 'A result',
    facts: facts.flatMap(([what, text]) => (text === null ? [] : [[what, text] as const])),
    findings: channel.findings ? notice.findings.map(finding => findingOf(finding, channel.scores)) : [],
    changes: channel.findings ? notice.changes : notice.changes.length > 0 ? ['what was told has changed'] : [],
    links: linksOf(context, notice, target),
    patient,
    at: notice.createdAt,
    recipient: { person: target.person, address },
    image,
  }
}

export function levelOf({ critical, priority, findings }: NoticeDoc): Level {
  if (critical || priority === 'stat') return 'alert'
  return findings.some(({ present }) => present) ? 'red' : 'green'
}

function findingOf({ label, present, model, version, group, score }: NoticeDoc['findings'][number], scores: boolean) {
  return { label, present, model: `${model}@${version}`, group, ...(scores && { score }) }
}

/** Null where nobody outside could follow them. */
function linksOf(
  { deps, config }: MessageContext,
  notice: NoticeDoc,
  { person }: NoticeTarget,
): NoticeMessage['links'] {
  const base = config.linkBase?.replace(/\/$/, '')
  if (base === undefined) return { study: null, acknowledge: null }
  const study = `${base}/worklist/${notice.study}`
  if (!notice.critical) return { study, acknowledge: null }
  const key = deps.secrets.derive(noticeTokenPurpose)
  const token = writeNoticeToken(key, { notice: notice.id, edition: notice.edition, person })
  return { study, acknowledge: `${base}/acknowledge/${token}` }
}

/** A message is of use without the name, where its record is damaged or of another key. @throws where the store is away */
async function patientOf(
  { deps, showNames, logger }: MessageContext,
  { patient: pseudonym }: NoticeDoc,
  { names }: ChannelConfig,
): Promise<NoticeMessage['patient']> {
  if (!names || !showNames || pseudonym === null) return null
  const doc = await deps.documents.get('patients', pseudonym)
  if (!doc) return null
  try {
    const { name } = sealedName.parse(JSON.parse(deps.secrets.open(doc.sealed, doc.id)))
    return name === null ? null : { pseudonym, name }
  } catch (thrown) {
    const { code, entry } = toRaylogError(thrown)
    if (entry.verdict === 'wait') throw thrown
    // The error may quote the name: only the code is told.
    logger.warn({ code, patient: pseudonym }, 'a sealed patient cannot be opened')
    return null
  }
}

/** A message is of use without its image. */
async function imageOf({ deps }: MessageContext, notice: NoticeDoc, channel: ChannelConfig): Promise<Buffer | null> {
  if (channel.kind !== 'email' || !channel.image || notice.instance === null) return null
  const instance = await deps.documents.get('instances', notice.instance)
  if (!instance) return null
  const options = { box: { width: imageSize, height: imageSize }, format: 'jpeg' } as const
  return deps.images.preview(instance.object, options).catch(() => null)
}
