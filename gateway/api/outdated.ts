/** Which deliveries a newer one has taken the place of, at destinations that keep the newest revision alone. */
import { RaylogError } from '../../schemas/errors.ts'
import { isOutdatedBy, keepsNewestAlone, type ReportDeliveryDoc } from '../../schemas/report-delivery.ts'
import { allOf, type DocumentStore } from '../../storage/documents.ts'

export interface Outdated {
  delivery: ReportDeliveryDoc
  /** The newest that is there, on its way, or asked for as well. */
  newer: ReportDeliveryDoc
}

/** Asks each destination's kind once: one for each question. */
export function newestAloneOf(documents: DocumentStore): (destination: string) => Promise<boolean> {
  const known = new Map<string, Promise<boolean>>()
  async function ask(destination: string): Promise<boolean> {
    const { items } = await documents.find('reportQueues', { where: { destination }, limit: 1 })
    return items.some(({ kind }) => keepsNewestAlone(kind))
  }
  return destination => {
    const is = known.get(destination) ?? ask(destination)
    known.set(destination, is)
    return is
  }
}

/** @param missing what is to go to the same places for the first time, and is in no document yet */
export async function outdatedOf(
  documents: DocumentStore,
  newestAlone: (destination: string) => Promise<boolean>,
  some: readonly ReportDeliveryDoc[],
  missing: readonly ReportDeliveryDoc[],
): Promise<Outdated[]> {
  const lines = new Set<string>()
  for (const { destination, line, revision } of some)
    if (revision !== null && (await newestAlone(destination))) lines.add(line)
  if (lines.size === 0) return []
  const there = await allOf(documents, 'reportDeliveries', { line: { in: [...lines] } })
  const byLine = Map.groupBy([...there, ...missing], ({ line }) => line)
  return some.flatMap(delivery => {
    if (!lines.has(delivery.line)) return []
    const [newer] = (byLine.get(delivery.line) ?? [])
      .filter(other => isOutdatedBy(delivery, other))
      .sort((a, b) => (b.revision ?? 0) - (a.revision ?? 0))
    return newer ? [{ delivery, newer }] : []
  })
}

/** Named in the message; more are counted. */
const mostNamed = 3

/** Says which one to send instead. */
export function outdatedError(outdated: readonly Outdated[]): RaylogError {
  const named = outdated.slice(0, mostNamed).map(wordsOf)
  const more = outdated.length > mostNamed ? [`So it is with ${outdated.length - mostNamed} more.`] : []
  return new RaylogError('outdated', ['Nothing was sent.', ...named, ...more].join(' '))
}

function wordsOf({ delivery, newer }: Outdated): string {
  const { destination, format, report, revision } = delivery
  const what = `Revision ${revision} of the ${format} report (${report})`
  const standing = newer.state === 'sent' ? 'is there' : 'took its place'
  return `${what} is outdated at ${destination}: revision ${newer.revision} ${standing}. Send ${newer.report} to ${destination} instead.`
}
