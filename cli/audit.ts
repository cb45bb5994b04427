/** The process itself in the audit: that it began, and that it is about to stop in order. One that was killed says nothing. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Plan } from '../kafka/compile.ts'
import type { Ports } from '../kafka/ports.ts'
import type { Clock } from '../monitoring/clock.ts'
import { auditEntry } from '../schemas/audit.ts'
import { topics } from '../schemas/topics.ts'

/** Durable when it resolves. @throws RaylogError log-unavailable, store-full */
export async function tellOfProcess(
  action: 'application-start' | 'application-stop',
  { stages }: Plan,
  { log, codec }: Pick<Ports, 'log' | 'codec'>,
  clock: Clock,
): Promise<void> {
  const actor = `${hostname()}/${process.pid}`
  const names = stages.map(({ stage }) => stage.name).join(' ')
  const said = { action, actor, object: 'raylog', outcome: 'success', address: '', detail: { stages: names } } as const
  const entry = auditEntry(said, clock.now(), randomUUID())
  await log.append([{ topic: topics.audit.name, key: actor, value: await codec.encode(topics.audit, entry) }])
}
