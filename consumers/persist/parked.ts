import type { ParkedDoc } from '../../schemas/documents.ts'
import type { EventOf, topics } from '../../schemas/topics.ts'

/** A parked event as people see it, not decided on yet. */
export function parkedDoc(event: EventOf<typeof topics.parked>): ParkedDoc {
  return { ...event, value: event.value.toString('base64'), state: 'parked' }
}
