/** raylog reports: what became of their delivery, and sending them again. */
import { z } from 'zod'
import { connect } from '../running.ts'
import type { SettingSources } from '../settings.ts'
import { table } from '../table.ts'

const delivery = z.object({
  id: z.string(),
  study: z.string(),
  format: z.string(),
  revision: z.int().nullable(),
  destination: z.string(),
  state: z.string(),
  attempts: z.int(),
  redelivered: z.boolean(),
  code: z.string().nullable(),
  receipt: z.string().nullable(),
  commitment: z.object({ state: z.string() }).nullable(),
  earlier: z.array(z.object({ sentAt: z.int(), receipt: z.string().nullable() })),
})
const queue = z.object({
  destination: z.string(),
  waiting: z.int(),
  refused: z.int(),
  breaker: z.string(),
  failingSince: z.int().nullable(),
  code: z.string().nullable(),
})

export interface ListFlags {
  study?: string
  destination?: string
  state?: string
  limit?: string
  json?: boolean
}

export async function listDeliveries(sources: SettingSources, flags: ListFlags): Promise<void> {
  const api = connect(sources)
  const { json, limit = '50', ...where } = flags
  const query = new URLSearchParams({ limit, ...where })
  const { items } = await api.call('GET', `/api/v1/deliveries?${query}`, z.object({ items: z.array(delivery) }))
  if (json) return console.log(JSON.stringify(items, null, 2))
  const queues = await api.call('GET', '/api/v1/deliveries/queues', z.object({ items: z.array(queue) }))
  if (queues.items.length > 0)
    console.log(
      `${table(
        queues.items.map(one => [one.destination, String(one.waiting), String(one.refused), healthOf(one)]),
        ['DESTINATION', 'WAITING', 'REFUSED', ''],
      )}\n`,
    )
  if (items.length === 0)
    return console.log(
      Object.keys(where).length > 0
        ? 'There is no such delivery.'
        : 'No report was sent anywhere yet (docs/delivery.md).',
    )
  console.log(
    table(
      items.map(one => [
        one.id,
        one.study,
        `${one.format}${one.revision === null ? '' : ` r${one.revision}`}`,
        one.destination,
        stateOf(one),
      ]),
      ['ID', 'STUDY', 'REPORT', 'TO', 'STATE'],
    ),
  )
}

function stateOf(one: z.infer<typeof delivery>): string {
  const { state, attempts, redelivered, code, receipt, commitment, earlier } = one
  const before = earlier.at(-1)
  const parts = [
    state,
    ...(attempts > 1 ? [`${attempts} attempts`] : []),
    ...(redelivered ? ['sent again after a break'] : []),
    ...(code === null ? [] : [code]),
    ...(receipt === null ? [] : [receipt]),
    ...(commitment === null ? [] : [`commitment ${commitment.state}`]),
    ...(before ? [`sent before at ${new Date(before.sentAt).toISOString()}: ${before.receipt ?? 'no receipt'}`] : []),
  ]
  return parts.join(', ')
}

function healthOf({ breaker, failingSince, code }: z.infer<typeof queue>): string {
  if (failingSince === null) return ''
  const since = `does not answer since ${new Date(failingSince).toISOString()} (${code})`
  return breaker === 'closed' ? since : `${since}, left alone for a while`
}

export interface ResendFlags {
  study?: string[]
  from?: string
  to?: string
  destination?: string[]
  state?: string
  dryRun?: boolean
}

export async function resendReports(sources: SettingSources, ids: string[], flags: ResendFlags): Promise<void> {
  const { study: studies, ...rest } = flags
  const body = { ...rest, ...(ids.length > 0 ? { ids } : {}), ...(studies ? { studies } : {}) }
  const answer = z.object({ queued: z.int(), byDestination: z.record(z.string(), z.int()) })
  const done = flags.dryRun ? 'would be sent again' : 'to be sent again'
  const { queued, byDestination } = await connect(sources).call('POST', '/api/v1/reports/resend', answer, body)
  if (queued === 0) return console.log('Nothing to send again. "raylog reports list" shows what there is.')
  const where = Object.entries(byDestination).map(([name, count]) => `${count} to ${name}`)
  console.log(`${queued} ${done}: ${where.join(', ')}`)
}
