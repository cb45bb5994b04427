/** Light checks at the edge: enough that nothing below meets `undefined` where the types promise a value. */
import type {
  Classified,
  Detail,
  Endpoints,
  Explanation,
  Instance,
  Joined,
  ModelInfo,
  Page,
  Parked,
  PartHealth,
  Prediction,
  ProblemDetails,
  Pulse,
  Report,
  Route,
  Step,
  Uploaded,
} from './types.ts'

type Kind = 'string' | 'number' | 'boolean' | 'object' | 'array'

export class ShapeError extends Error {
  override readonly name = 'ShapeError'
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isKind(value: unknown, kind: Kind): boolean {
  if (kind === 'array') return Array.isArray(value)
  if (kind === 'object') return isObject(value)
  return typeof value === kind
}

/** A check that the named fields are there and of their kind. The other fields are trusted: the server is ours. */
function shape<T>(name: string, fields: { [K in keyof T & string]?: Kind }) {
  const wanted = Object.entries(fields)
  return (value: unknown): T => {
    if (!isObject(value)) throw new ShapeError(`${name} is not an object`)
    for (const [field, kind] of wanted) {
      if (!isKind(value[field], kind as Kind)) throw new ShapeError(`${name}.${field} is not a ${kind}`)
    }
    return value as T
  }
}

export const toInstance = shape<Instance>('instance', {
  id: 'string',
  site: 'string',
  study: 'string',
  source: 'object',
  object: 'object',
  frames: 'number',
  requested: 'array',
  receivedAt: 'number',
})

export const toPrediction = shape<Prediction>('prediction', {
  id: 'string',
  instance: 'string',
  model: 'object',
  label: 'string',
  score: 'number',
  confidence: 'number',
  probabilities: 'object',
  quality: 'array',
  timings: 'object',
  receivedAt: 'number',
  predictedAt: 'number',
})

export const toReport = shape<Report>('report', { id: 'string', format: 'string', outcome: 'string', at: 'number' })

export const toParked = shape<Parked>('parked', {
  id: 'string',
  stage: 'string',
  code: 'string',
  message: 'string',
  attempts: 'number',
  at: 'number',
})

export const toRoute = shape<Route>('route', { model: 'object', accepted: 'boolean', reason: 'string' })

export const toModel = shape<ModelInfo>('model', { manifest: 'object', ref: 'object', state: 'string' })

export const toPart = shape<PartHealth>('part', { part: 'string', ok: 'boolean' })

export function listOf<T>(one: (value: unknown) => T) {
  return (value: unknown): T[] => {
    if (!Array.isArray(value)) throw new ShapeError('expected a list')
    return value.map(one)
  }
}

export function pageOf<T>(one: (value: unknown) => T) {
  return (value: unknown): Page<T> => {
    if (!isObject(value)) throw new ShapeError('expected a page')
    return { items: listOf(one)(value.items), next: typeof value.next === 'string' ? value.next : null }
  }
}

const anything = shape<Detail>('detail', { instance: 'object', predictions: 'array' })

export function toDetail(value: unknown): Detail {
  const detail = anything(value)
  return {
    ...detail,
    instance: toInstance(detail.instance),
    predictions: detail.predictions.map(toPrediction),
    reports: (detail.reports ?? []).map(toReport),
    deliveries: detail.deliveries ?? [],
    routes: (detail.routes ?? []).map(toRoute),
    patient: detail.patient ?? null,
    sameUid: (detail.sameUid ?? []).map(toInstance),
  }
}

export function toEndpoints(value: unknown): Endpoints {
  if (!isObject(value)) throw new ShapeError('endpoints is not an object')
  return value as Endpoints
}

const step = shape<Step>('step', { at: 'number', stage: 'string', what: 'string', text: 'string' })

export function toExplanation(value: unknown): Explanation {
  if (!isObject(value)) throw new ShapeError('explanation is not an object')
  return { routes: listOf(toRoute)(value.routes), steps: listOf(step)(value.steps) }
}

export const toPulse = shape<Pulse>('pulse', {
  at: 'number',
  rates: 'object',
  lag: 'object',
  parked: 'number',
  health: 'object',
})

export const toJoined = shape<Joined>('join', { at: 'object', replayed: 'number', truncated: 'boolean' })

const problem = shape<ProblemDetails>('error', { code: 'string' })

function uploaded(value: unknown): Uploaded {
  if (!isObject(value)) throw new ShapeError('upload is not an object')
  return {
    file: typeof value.file === 'string' ? value.file : '',
    id: typeof value.id === 'string' ? value.id : null,
    error: value.error === undefined || value.error === null ? null : problem(value.error),
  }
}

export function toUploads(value: unknown): Uploaded[] {
  if (!isObject(value)) throw new ShapeError('expected a list of uploads')
  return listOf(uploaded)(value.items)
}

export function toClassified(value: unknown): Classified {
  if (!isObject(value)) throw new ShapeError('expected an instance and its predictions')
  return { instance: toInstance(value.instance), predictions: listOf(toPrediction)(value.predictions) }
}

export function itemsOf<T>(one: (value: unknown) => T) {
  return (value: unknown): T[] => pageOf(one)(value).items
}
