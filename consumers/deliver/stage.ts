/**
 * Takes each report to the destinations that its rules name. Reading the topic only puts deliveries into queues, which are
 * documents; each destination's queue is worked on by itself (queue.ts), so that none waits for another.
 */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { createAuditTrail } from '../../kafka/audit-trail.ts'
import type { Network } from '../../kafka/ports.ts'
import { defineStage } from '../../kafka/stage.ts'
import { allToTheirEnd, RaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import { newDelivery, type ReportDeliveryDoc } from '../../schemas/report-delivery.ts'
import { type Report, topics } from '../../schemas/topics.ts'
import { type DeliverConfig, deliverConfig } from './config.ts'
import { createDepartures } from './departures.ts'
import { factsOf, sendersOf } from './facts.ts'
import { madeBy, notMade } from './formats.ts'
import { openSender } from './kinds/all.ts'
import { dicomHeadBytes, isDicomFile } from './names.ts'
import { openQueue } from './queue.ts'
import { type Facts, fitsEvent, fitsFacts, needsFacts } from './rules.ts'

export const deliver = defineStage({
  name: 'deliver',
  role: 'consumer',
  summary: 'takes reports to PACS, FHIR and HL7 servers, buckets and folders by rule, each with a queue of its own',
  reads: [topics.reports],
  writes: [topics.reports, topics.audit],
  needs: ['documents', 'objects', 'metrics'],
  config: deliverConfig,
  conflicts: (config, sections) => notMade(config, madeBy(sections.report)),
  // A delivery does not depend on others here: their order is that of the queues.
  order: 'none',
  concurrency: config => config.concurrency,
  async open({ config, deps, publish, clock, logger, network, signal }) {
    const { documents, objects, metrics } = deps
    const { maxBytes, leaseMs, pollMs, stopMs } = config
    const owner = `${hostname()}/${randomUUID()}`
    const unknown = unknownPeer(config, network)
    if (unknown !== undefined)
      throw new RaylogError('config-invalid', `deliver: a rule names ${unknown}, which is no peer`)
    const trail = createAuditTrail({ publish, clock, logger, randomId: randomUUID })
    const destinations = await Promise.all(
      config.destinations.map(async destination => {
        const sender = await openSender(destination, { network, documents, clock })
        return { destination, sender }
      }),
    )
    const queues = destinations.map(({ destination, sender }) => {
      const { begins, over } = createDepartures(trail, documents, destination, network.peers)
      async function tell(delivery: ReportDeliveryDoc): Promise<void> {
        const tellAudit = await over(delivery)
        await publish(topics.reports, outcomeOf(delivery))
        tellAudit()
        metrics.deliveries.inc({ channel: delivery.destination, outcome: delivery.state })
      }
      const shared = { documents, objects, clock, logger, random: Math.random, begins, tell, maxBytes, owner }
      return openQueue({ ...shared, destination, sender, leaseMs, pollMs, stopMs })
    })
    async function closeQueues(): Promise<void> {
      await Promise.all(queues.map(queue => queue.close()))
      await trail.flush(signal)
    }

    /** Whether a destination wants the report, by its rules. */
    function wantedBy(report: Report): (one: (typeof destinations)[number]) => Promise<boolean> {
      const offered = { format: report.format, isDicom: once(() => isDicom(report)) }
      const facts = once(() => factsOf(documents, clock, report))
      const senders = once(() => sendersOf(documents, clock, report, network.peers))
      /** @throws RaylogError busy: what the report is about is not here yet; not-found: it will not come */
      return async ({ destination, sender }) => {
        const fitting = destination.rules.filter(rule => fitsEvent(rule, report))
        if (fitting.length === 0 || !(await sender.takes(offered))) return false
        if (fitting.some(rule => !needsFacts(rule))) return true
        const known: Facts = await facts()
        if (fitting.some(rule => rule.peers.length === 0 && fitsFacts(rule, known))) return true
        const bySender = fitting.filter(rule => rule.peers.length > 0 && fitsFacts({ ...rule, peers: [] }, known))
        if (bySender.length === 0) return false
        const { names, absent } = await senders()
        if (bySender.some(rule => fitsFacts(rule, { ...known, peers: names }))) return true
        // The image that is not there may have come from one of them.
        if (absent) throw absent
        return false
      }
    }

    async function isDicom({ object }: Report): Promise<boolean> {
      return object !== null && isDicomFile(await objects.range(object, { start: 0, end: dicomHeadBytes - 1 }))
    }

    return {
      async handle({ event: report }) {
        const { object } = report
        if (report.outcome !== 'made' || object === null || destinations.length === 0) return
        const isWanted = wantedBy(report)
        // One whose rules cannot be judged yet holds up no other: the event is read again for it alone.
        await allToTheirEnd(
          destinations.map(async (one, index) => {
            if (!(await isWanted(one))) return
            const delivery = newDelivery({ ...report, object }, one.destination.name, clock.now())
            await documents.insert('reportDeliveries', delivery)
            queues[index]?.poke()
          }),
        )
      },
      // While the log can still be told of what arrives.
      drain: closeQueues,
      async close() {
        await closeQueues()
        await Promise.all(destinations.map(({ sender }) => sender.close()))
      },
    }
  },
})

const unknownPeer = ({ destinations }: DeliverConfig, { peers }: Network): string | undefined =>
  destinations
    .flatMap(({ rules }) => rules.flatMap(rule => rule.peers))
    .find(name => !peers.some(peer => peer.name === name))

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined
  return () => {
    result ??= work()
    return result
  }
}

function outcomeOf(delivery: ReportDeliveryDoc): Report {
  const { id, study, site, instance, prediction, revision, format, object, bytes, destination, state, code, at } =
    delivery
  return {
    id: ids.report(id, format, destination),
    ...{ study, site, instance, prediction, revision, format, object, bytes, destination, code, at },
    outcome: state === 'sent' || state === 'superseded' ? state : 'refused',
  }
}
