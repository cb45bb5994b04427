import { lazy, Suspense, useMemo, useState } from 'react'
import { get } from '../api/client.ts'
import { isObject, listOf, toPart } from '../api/shape.ts'
import type { PartHealth, Pulse } from '../api/types.ts'
import { integer, rate } from '../format.ts'
import { useLoaded } from '../hooks.ts'
import { useLive } from '../live/context.ts'
import { CodeLink, ProblemNotice, Skeleton, SkeletonRows } from '../ui/basics.tsx'
import { ChevronIcon, DoneIcon, FaultIcon } from '../ui/icons.tsx'
import { Spark } from '../ui/spark.tsx'

const Chart = lazy(() => import('../ui/chart.tsx').then(({ Chart }) => ({ default: Chart })))

export const lagOf = (pulse: Pulse) => Object.values(pulse.lag).reduce((sum, lag) => sum + lag, 0)

/** Health and throughput in one line, which unfolds to each part with its reason and remedy. */
export function Strip() {
  const pulses = useLive(snapshot => snapshot.pulses)
  const [open, setOpen] = useState(false)
  // What was last heard is no news of now.
  const lost = useLive(({ connection }) => connection !== 'live')
  const last = lost ? undefined : pulses.at(-1)
  return (
    <section className={lost ? 'strip lost' : 'strip'} aria-label="Health and throughput">
      <button type="button" className="line" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Metric name="received/s" values={pulses.map(({ rates }) => rates.received)} show={rate} />
        <Metric name="predictions/s" values={pulses.map(({ rates }) => rates.predictions)} show={rate} secondary />
        <Metric name="waiting" values={pulses.map(lagOf)} show={integer.format} secondary />
        <Metric name="parked" values={pulses.map(({ parked }) => parked)} show={integer.format} secondary />
        <span className="spring" />
        <Well health={last?.health ?? null} lost={lost} />
        <span className="chevron">
          <ChevronIcon />
        </span>
      </button>
      {open && <Unfolded pulses={pulses} />}
    </section>
  )
}

interface MetricProps {
  name: string
  values: readonly number[]
  show(value: number): string
  secondary?: boolean
}

function Metric({ name, values, show, secondary = false }: MetricProps) {
  const last = values.at(-1)
  return (
    <span className={secondary ? 'metric secondary' : 'metric'}>
      <Spark values={values} />
      <b>{last === undefined ? '–' : show(last)}</b>
      <span className="muted">{name}</span>
    </span>
  )
}

function Well({ health, lost }: { health: Pulse['health'] | null; lost: boolean }) {
  if (!health)
    return (
      <span className="well muted">
        <span>Health not known {lost ? 'while disconnected' : 'yet'}</span>
      </span>
    )
  if (health.ok) {
    return (
      <span className="well muted">
        <DoneIcon />
        <span>All parts well</span>
      </span>
    )
  }
  const [first, ...more] = health.failing
  return (
    <span className="well">
      <FaultIcon />
      <span>
        <b>{first?.part ?? 'A part'}</b>: {first?.reason ?? 'not well'}
        {more.length > 0 && `, and ${more.length} more`}
      </span>
    </span>
  )
}

const toHealth = (value: unknown): PartHealth[] => listOf(toPart)(isObject(value) ? value.parts : undefined)

/** 503 is the answer of an unwell system, with the same body. */
async function loadHealth(signal: AbortSignal): Promise<PartHealth[]> {
  const response = await fetch('/api/v1/monitoring/health', { signal, credentials: 'same-origin' })
  if (response.status === 200 || response.status === 503) return toHealth(await response.json())
  return get('/monitoring/health', toHealth, signal)
}

function Unfolded({ pulses }: { pulses: readonly Pulse[] }) {
  const failing = pulses
    .at(-1)
    ?.health.failing.map(({ part }) => part)
    .join()
  const parts = useLoaded(`health ${failing}`, loadHealth)
  const data = useMemo(
    () => ({
      at: pulses.map(({ at }) => at / 1_000),
      received: pulses.map(({ rates }) => rates.received),
      predictions: pulses.map(({ rates }) => rates.predictions),
    }),
    [pulses],
  )
  const lag = Object.entries(pulses.at(-1)?.lag ?? {})
  return (
    <div className="unfolded">
      <div>
        <h2>Throughput since this page was opened, five minutes at most</h2>
        <Suspense fallback={<Skeleton height={160} />}>
          <Chart {...data} />
        </Suspense>
        {lag.length > 0 && (
          <p className="muted small">
            Waiting by stage: {lag.map(([stage, count]) => `${stage} ${integer.format(count)}`).join(' · ')}
          </p>
        )}
      </div>
      <div>
        <h2>Parts</h2>
        {parts.problem && <ProblemNotice problem={parts.problem} retry={parts.reload} />}
        {!parts.value && parts.loading && <SkeletonRows count={4} height={16} />}
        <ul className="parts">
          {parts.value?.map(part => (
            <PartLine key={part.part} part={part} />
          ))}
        </ul>
      </div>
    </div>
  )
}

function PartLine({ part }: { part: PartHealth }) {
  return (
    <li>
      {part.ok ? <DoneIcon /> : <FaultIcon />}
      <b>{part.part}</b>
      {part.ok ? (
        <span className="muted">well</span>
      ) : (
        <span>
          {part.reason} <span className="muted">{part.remedy}</span> {part.code && <CodeLink code={part.code} />}
        </span>
      )}
    </li>
  )
}
