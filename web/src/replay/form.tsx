/** What to replay: chosen, planned, started. All that is chosen stands in the address. */
import { useState } from 'react'
import { get, type Problem, toProblem } from '../api/client.ts'
import { itemsOf, toModel } from '../api/shape.ts'
import { useLoaded } from '../hooks.ts'
import { hrefWith, navigate, usePlace } from '../router.ts'
import { fromIso, sinceEpoch } from '../times.ts'
import { ProblemNotice, Skeleton } from '../ui/basics.tsx'
import { Field, TimeField } from '../ui/fields.tsx'
import { type Asked, getArrivals, type Plan, planOf, start } from './api.ts'
import { PlanWords } from './plan.tsx'
import { Timeline } from './timeline.tsx'
import { words } from './words.ts'

const buckets = 72
const hour = 3_600_000
const presets = [
  { name: 'Last hour', ms: hour },
  { name: 'Last day', ms: 24 * hour },
  { name: 'Last 7 days', ms: 7 * 24 * hour },
  { name: 'All', ms: Number.POSITIVE_INFINITY },
] as const

/** Several of each, with spaces or commas between. */
const filters = [
  { name: 'Sites', key: 'site' },
  { name: 'Study ids', key: 'study' },
  { name: 'Modalities', key: 'modality' },
] as const

function change(query: URLSearchParams, changes: Record<string, string>): void {
  const next = new URLSearchParams(query)
  for (const [name, value] of Object.entries(changes)) {
    if (value === '') next.delete(name)
    else next.set(name, value)
  }
  navigate(hrefWith('/replay', next), { replace: true })
}

export function ReplayForm({ onStarted }: { onStarted(): void }) {
  const { query } = usePlace()
  const text = (name: string) => query.get(name) ?? ''
  const models = useLoaded('models', signal => get('/models', itemsOf(toModel), signal))
  const narrowed = {
    sites: words(text('site')),
    studies: words(text('study')),
    modalities: words(text('modality')),
  }
  const arrivals = useLoaded(`arrivals ${JSON.stringify(narrowed)}`, signal => getArrivals(narrowed, buckets, signal))
  const names = (models.value ?? [])
    .toSorted((a, b) => Number(b.standby ?? false) - Number(a.standby ?? false))
    .map(({ ref, standby }) => ({ name: `${ref.name}@${ref.version}`, standby: standby === true }))
  const from = fromIso(query.get('from')) ?? arrivals.value?.from ?? 0
  const to = fromIso(query.get('to')) ?? (arrivals.value ? arrivals.value.to + 1 : 1)
  const model = text('model') || (names[0]?.name ?? '')
  const ratePerSecond = Number(text('rate')) > 0 ? Number(text('rate')) : null
  const asked: Asked = {
    model,
    from: sinceEpoch(from),
    to: sinceEpoch(to),
    ...narrowed,
    ratePerSecond,
  }
  const choose = (range: { from: number; to: number }) =>
    change(query, { from: new Date(range.from).toISOString(), to: new Date(range.to).toISOString() })

  return (
    <section className="replay-form" aria-label="New replay">
      {arrivals.problem && <ProblemNotice problem={arrivals.problem} retry={arrivals.reload} />}
      {arrivals.value ? (
        <Timeline arrivals={arrivals.value} from={from} to={to} onChange={choose} />
      ) : (
        <Skeleton height={112} />
      )}
      <div className="fields">
        <TimeField name="From" at={from} onChange={at => choose({ from: valid(at, from), to })} />
        <TimeField name="To, not included" at={to} onChange={at => choose({ from, to: valid(at, to) })} />
        <div className="presets">
          {presets.map(({ name, ms }) => (
            <button
              key={name}
              type="button"
              className="button"
              disabled={!arrivals.value}
              onClick={() => {
                const end = (arrivals.value?.to ?? 0) + 1
                choose({ from: Math.max(arrivals.value?.from ?? 0, end - ms), to: end })
              }}
            >
              {name}
            </button>
          ))}
        </div>
      </div>
      <div className="fields">
        <Field name="Model version">
          <select className="field" value={model} onChange={event => change(query, { model: event.target.value })}>
            {!names.some(({ name }) => name === model) && model !== '' && <option value={model}>{model}</option>}
            {names.map(({ name, standby }) => (
              <option key={name} value={name}>
                {standby ? `${name} (on standby)` : name}
              </option>
            ))}
          </select>
        </Field>
        {filters.map(({ name, key }) => (
          <TextField
            key={key}
            name={name}
            value={text(key)}
            hint="any"
            onChange={value => change(query, { [key]: value })}
          />
        ))}
        <TextField
          name="Images a second"
          value={text('rate')}
          hint="what live work leaves"
          numeric
          onChange={rate => change(query, { rate })}
        />
      </div>
      <PlanAndStart asked={asked} onStarted={onStarted} />
    </section>
  )
}

const valid = (at: number, otherwise: number) => (Number.isNaN(at) ? otherwise : at)

interface TextProps {
  name: string
  value: string
  hint: string
  numeric?: boolean
  onChange(value: string): void
}

function TextField({ name, value, hint, numeric = false, onChange }: TextProps) {
  return (
    <Field name={name}>
      <input
        className="field"
        value={value}
        placeholder={hint}
        inputMode={numeric ? 'decimal' : 'text'}
        size={numeric ? 18 : 12}
        onChange={event => onChange(event.target.value)}
      />
    </Field>
  )
}

/** A plan is of what was chosen when it was made; another choice puts it away. */
function PlanAndStart({ asked, onStarted }: { asked: Asked; onStarted(): void }) {
  const key = JSON.stringify(asked)
  const [busy, setBusy] = useState(false)
  const [made, setMade] = useState<{ key: string; plan: Plan } | null>(null)
  const [problem, setProblem] = useState<Problem | null>(null)
  const plan = made?.key === key ? made.plan : null

  async function act(work: () => Promise<void>) {
    setBusy(true)
    setProblem(null)
    try {
      await work()
    } catch (error) {
      setProblem(toProblem(error))
    }
    setBusy(false)
  }
  const look = () => act(async () => setMade({ key, plan: await planOf(asked) }))
  const go = () =>
    act(async () => {
      await start(asked)
      setMade(null)
      onStarted()
    })
  return (
    <>
      <div className="replay-actions">
        <button type="button" className="button" disabled={busy || asked.model === ''} onClick={() => void look()}>
          Plan
        </button>
        <button
          type="button"
          className="button primary"
          disabled={busy || asked.model === '' || plan?.accepted === 0}
          onClick={() => void go()}
        >
          Start
        </button>
        <span className="small muted">
          Nothing is reported or notified, and no result changes. Live images always go first.
        </span>
      </div>
      {problem && <ProblemNotice problem={problem} />}
      {plan && <PlanWords plan={plan} asked={asked} />}
    </>
  )
}
