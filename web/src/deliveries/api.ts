/** Deliveries of reports over HTTP. The shapes are the gateway's own; what is checked here is that the answer is one. */
import type { ReportDeliveryView, ReportQueueView } from '../../../gateway/api/deliveries.ts'
import { get, postJson } from '../api/client.ts'
import { isObject, listOf, pageOf, ShapeError } from '../api/shape.ts'
import type { Page } from '../api/types.ts'

export type { ReportDeliveryView, ReportQueueView }

function has<T>(...fields: (keyof T & string)[]) {
  return (value: unknown): T => {
    if (!isObject(value)) throw new ShapeError('expected an object')
    for (const field of fields) if (!(field in value)) throw new ShapeError(`${field} is missing`)
    return value as T
  }
}

const toDelivery = has<ReportDeliveryView>(
  'id',
  'report',
  'study',
  'site',
  'patient',
  'format',
  'destination',
  'state',
  'attempts',
  'queuedAt',
  'earlier',
)
const toQueue = has<ReportQueueView>('destination', 'kind', 'waiting', 'refused', 'breaker', 'failingSince')

export interface DeliveryQuery {
  study?: string
  destination?: string
  state?: string
}

export function getDeliveries(asked: DeliveryQuery, signal: AbortSignal): Promise<Page<ReportDeliveryView>> {
  return get(`/deliveries?${new URLSearchParams({ ...asked, limit: '100' })}`, pageOf(toDelivery), signal)
}

export const getQueues = (signal: AbortSignal): Promise<ReportQueueView[]> =>
  get('/deliveries/queues', value => listOf(toQueue)(isObject(value) ? value.items : value), signal)

/** Which reports are to be sent again, and where. */
export interface ResendBody {
  ids?: string[]
  studies?: string[]
  /** Made from then on; ms since the epoch. */
  from?: number
  /** Not included. */
  to?: number
  destination?: string[]
  state?: string
  /** Also what never went to the destinations that are named. */
  unsent?: boolean
}

export interface Resent {
  queued: number
  byDestination: Record<string, number>
  unsent: number
}

const toResent = has<Resent>('queued', 'byDestination', 'unsent')

export const resend = (body: ResendBody): Promise<Resent> => postJson('/reports/resend', body, toResent)
/** What `resend` would do now. */
export const countResend = (body: ResendBody, signal: AbortSignal): Promise<Resent> =>
  postJson('/reports/resend', { ...body, dryRun: true }, toResent, signal)
