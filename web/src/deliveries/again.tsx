/** Reports sent again, many at once: those of a study, or those made within a time. All that is chosen stands in the address. */
import { useState } from 'react'
import { time } from '../format.ts'
import { useLoaded } from '../hooks.ts'
import { hrefWith, navigate, usePlace } from '../router.ts'
import { getStudy, getWorklist } from '../studies/api.ts'
import { studyName } from '../studies/words.ts'
import { fromIso } from '../times.ts'
import { Choice, Field, TimeField } from '../ui/fields.tsx'
import { AgainSend } from './again-send.tsx'
import type { ReportQueueView } from './api.ts'
import { askedOf, studyIn } from './asked.ts'

const hour = 3_600_000
const presets = [
  { name: 'Last hour', ms: hour },
  { name: 'Last day', ms: 24 * hour },
  { name: 'Last 7 days', ms: 7 * 24 * hour },
] as const
const ways = [
  ['study', 'Those of a study'],
  ['time', 'Those made within a time'],
] as const
type Way = (typeof ways)[number][0]
const which = { '': 'All', refused: 'Refused', pending: 'Waiting', sent: 'Sent' } as const

function change(query: URLSearchParams, changes: Record<string, string | string[]>): void {
  const next = new URLSearchParams(query)
  for (const [name, value] of Object.entries(changes)) {
    next.delete(name)
    for (const one of [value].flat()) if (one !== '') next.append(name, one)
  }
  navigate(hrefWith('/deliveries', next), { replace: true })
}

export function Again({ queues, onSent }: { queues: readonly ReportQueueView[]; onSent(): void }) {
  const { query } = usePlace()
  const way: Way = query.get('again') === 'study' ? 'study' : 'time'
  const places = query.getAll('destination')
  const state = query.get('which') ?? ''
  const toggle = (name: string) =>
    change(query, { destination: places.includes(name) ? places.filter(one => one !== name) : [...places, name] })
  return (
    <section className="again" aria-label="Send again">
      <Choice name="Which reports" named among={ways} chosen={way} onChoose={again => change(query, { again })} />
      <div className="fields">
        {way === 'study' ? <WhichStudy query={query} /> : <WhichTime query={query} />}
        <Field name="Of them">
          <select className="field" value={state} onChange={event => change(query, { which: event.target.value })}>
            {Object.entries(which).map(([value, words]) => (
              <option key={value} value={value}>
                {words}
              </option>
            ))}
          </select>
        </Field>
      </div>
      <fieldset className="again-places">
        <legend className="small muted">To; with none ticked, to wherever each of them went</legend>
        {queues.map(({ destination }) => (
          <label key={destination}>
            <input type="checkbox" checked={places.includes(destination)} onChange={() => toggle(destination)} />
            {destination}
          </label>
        ))}
      </fieldset>
      {places.length > 0 && state === '' && (
        <label className="again-unsent">
          <input
            type="checkbox"
            checked={query.get('unsent') === '1'}
            onChange={event => change(query, { unsent: event.target.checked ? '1' : '' })}
          />
          Also those that never went there
        </label>
      )}
      <AgainSend asked={askedOf(query)} queues={queues} onSent={onSent} />
    </section>
  )
}

/** By its id or the address of its page; the newest are offered. */
function WhichStudy({ query }: { query: URLSearchParams }) {
  const id = studyIn(query.get('study') ?? '')
  const [typed, setTyped] = useState('')
  // As it was typed, as long as it means what the address says. The address has the id alone: what is typed may be a name.
  const text = studyIn(typed) === id ? typed : (id ?? '')
  const newest = useLoaded('studies to choose', signal =>
    getWorklist({ state: 'all', priority: '', modality: '' }, null, signal),
  )
  const chosen = useLoaded(id === null ? null : `chosen ${id}`, signal => getStudy(id ?? '', signal))
  const named = chosen.value && {
    ...{ site: chosen.value.study.site, modality: chosen.value.study.modality },
    patient: chosen.value.patient,
  }
  return (
    <div className="again-study">
      <Field name="Study: its id, or the address of its page">
        <input
          className="field"
          list="again-studies"
          value={text}
          placeholder="st_…"
          size={38}
          spellCheck={false}
          autoComplete="off"
          onChange={event => {
            setTyped(event.target.value)
            change(query, { study: studyIn(event.target.value) ?? '' })
          }}
        />
      </Field>
      <datalist id="again-studies">
        {newest.value?.items.map(line => (
          <option key={line.id} value={line.id}>
            {studyName(line)}, {time(line.firstAt)}
          </option>
        ))}
      </datalist>
      <p className="small" aria-live="polite">
        {named && `${studyName(named)}, first image ${time(chosen.value?.study.firstAt ?? 0)}`}
        {chosen.problem && <span className="delivery-refused">{chosen.problem.message}</span>}
        {text !== '' && id === null && <span className="delivery-refused">That is no study.</span>}
      </p>
    </div>
  )
}

function WhichTime({ query }: { query: URLSearchParams }) {
  const from = fromIso(query.get('from'))
  const to = fromIso(query.get('to'))
  const iso = (at: number) => (Number.isNaN(at) ? '' : new Date(at).toISOString())
  return (
    <>
      <TimeField name="Made from" at={from} onChange={at => change(query, { from: iso(at) })} />
      <TimeField name="To, not included" at={to} onChange={at => change(query, { to: iso(at) })} />
      <div className="presets">
        {presets.map(({ name, ms }) => (
          <button
            key={name}
            type="button"
            className="button"
            onClick={() => change(query, { from: iso(Date.now() - ms), to: '' })}
          >
            {name}
          </button>
        ))}
      </div>
    </>
  )
}
