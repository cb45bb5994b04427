/** Filters of the feed, as they stand in the address. */
import type { Prediction } from '../api/types.ts'
import { type Item, statusOf } from './feed.ts'
import { leading, levelOf } from './finding.ts'

export const keys = ['model', 'label', 'modality', 'site', 'patient'] as const
export type Key = (typeof keys)[number]

export const shows = ['attention', 'uncertain', 'unanalysed', 'parked'] as const
export type Show = (typeof shows)[number]

export interface Filter {
  readonly values: Readonly<Partial<Record<Key, string>>>
  readonly show: Show | null
  /** Free text, matched anywhere. */
  readonly text: string
}

export function readFilter(query: URLSearchParams): Filter {
  const values: Partial<Record<Key, string>> = {}
  for (const key of keys) {
    const value = query.get(key)
    if (value) values[key] = value
  }
  return { values, show: shows.find(show => show === query.get('show')) ?? null, text: query.get('q')?.trim() ?? '' }
}

/** `query` with one filter set, or taken away by null. */
export function withFilter(query: URLSearchParams, key: Key | 'show' | 'q', value: string | null): URLSearchParams {
  const next = new URLSearchParams(query)
  if (value === null || value === '') next.delete(key)
  else next.set(key, value)
  return next
}

/** "model:digits" typed into the box sets a filter; anything else is free text. */
export function readTyped(text: string): { key: Key; value: string } | null {
  const [, name, value] = /^(\w+):(\S.*)$/.exec(text.trim()) ?? []
  const key = keys.find(known => known === name)
  return key && value ? { key, value } : null
}

export const isEmpty = (filter: Filter) =>
  filter.show === null && filter.text === '' && Object.keys(filter.values).length === 0

export interface Row {
  readonly item: Item
  /** The prediction that the row shows, of those that pass. */
  readonly shown: Prediction | undefined
}

/** The row of an item under the filter; null where it does not pass. */
export function rowOf(item: Item, filter: Filter): Row | null {
  const { modality, site, patient, model, label } = filter.values
  const facts = item.instance ?? item.predictions[0]
  if (modality !== undefined && facts?.modality !== modality) return null
  if (site !== undefined && facts?.site !== site) return null
  if (patient !== undefined && facts?.patient !== patient) return null
  const passing = item.predictions.filter(
    said => (model === undefined || said.model.name === model) && (label === undefined || said.label === label),
  )
  if ((model !== undefined || label !== undefined) && passing.length === 0) return null
  const shown = leading(passing)
  if (!passesShow(item, shown, filter.show)) return null
  if (filter.text !== '' && !textOf(item).includes(filter.text.toLowerCase())) return null
  return { item, shown }
}

function passesShow(item: Item, shown: Prediction | undefined, show: Show | null): boolean {
  switch (show) {
    case null:
      return true
    case 'attention':
      return shown !== undefined && levelOf(shown) === 'attention'
    case 'uncertain':
      return shown !== undefined && shown.quality.length > 0
    case 'unanalysed':
      return item.predictions.length === 0 && item.parked.length === 0 && statusOf(item) !== 'waiting'
    case 'parked':
      return item.parked.length > 0
  }
}

const texts = new WeakMap<Item, string>()

function textOf(item: Item): string {
  const known = texts.get(item)
  if (known !== undefined) return known
  const { instance, predictions, parked } = item
  const words = [
    item.id,
    instance && [instance.modality, instance.bodyPart, instance.view, instance.site, instance.patient, instance.study],
    instance && [
      instance.source.kind,
      instance.source.peer,
      instance.equipment?.manufacturer,
      instance.dicom?.sopInstance,
    ],
    predictions.map(said => [`${said.model.name}@${said.model.version}`, said.label, said.modality, said.patient]),
    parked.map(({ code }) => code),
  ]
  const text = words.flat(3).filter(Boolean).join('\n').toLowerCase()
  texts.set(item, text)
  return text
}
