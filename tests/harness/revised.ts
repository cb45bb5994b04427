/** A study in two revisions, both delivered to a FHIR server. */
import type { ReportDeliveryView } from '../../gateway/api/deliveries.ts'
import type { Raylog } from './raylog.ts'
import { type Receiver, startReceiver } from './receiver.ts'
import { uploadChests } from './senders.ts'
import { until } from './until.ts'

/** A FHIR server that takes every transaction. */
export const startEhr = (): Promise<Receiver> =>
  startReceiver(() => ({ status: 200, body: '{"resourceType":"Bundle","type":"transaction-response","entry":[]}' }))

/** Settings: a study is complete a moment after its images, and the bundle of each that is `stat` goes to the destination `ehr`. */
export const toEhr = ({ url }: Receiver, more: readonly object[] = []): string[] => {
  const ehr = { name: 'ehr', kind: 'fhir', url, rules: [{ formats: ['fhir'], priorities: ['stat'] }] }
  return [
    'report.formats=[fhir]',
    'assess-study.idleMs={DX: 1000}',
    `deliver.destinations=${JSON.stringify([ehr, ...more])}`,
  ]
}

/**
 * Uploads a study that is `stat`, and when its report is at the destination `ehr`, an image that comes late.
 * @returns what was sent there of its two revisions
 */
export async function sendRevised(
  raylog: Pick<Raylog, 'post' | 'json'>,
  study: number,
): Promise<[ReportDeliveryView, ReportDeliveryView]> {
  const sent = (revision: number) =>
    until(`revision ${revision} is sent`, async () => {
      const path = '/api/v1/deliveries?destination=ehr&state=sent'
      const { items } = await raylog.json<{ items: ReportDeliveryView[] }>(path)
      return items.find(one => one.revision === revision)
    })
  const upload = (seed: number) => uploadChests(raylog, [seed], { study, size: 64, priority: 'stat' })
  await upload(1)
  const older = await sent(1)
  await upload(2)
  return [older, await sent(2)]
}
