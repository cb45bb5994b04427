/** The queue of each destination: how many reports wait, and whether it answers. */
import { useEffect } from 'react'
import { ago, lasting } from '../format.ts'
import { useLoaded } from '../hooks.ts'
import { hrefWith, navigate, usePlace } from '../router.ts'
import { Age, CodeLink, ProblemNotice, SkeletonRows } from '../ui/basics.tsx'
import { Choice } from '../ui/fields.tsx'
import { Again } from './again.tsx'
import { getDeliveries, getQueues, type ReportQueueView } from './api.ts'
import { DeliveryList, withoutName } from './list.tsx'
import './deliveries.css'

const everyMs = 2_000
/** Without a sign of life for so long nobody works on it, ms. */
const silentMs = 60_000
const states = [
  ['', 'All'],
  ['pending', 'Waiting'],
  ['refused', 'Refused'],
  ['sent', 'Sent'],
] as const

export function DeliveriesView() {
  const { query } = usePlace()
  const [state] = states.find(([one]) => one === query.get('state')) ?? states[0]
  const queues = useLoaded('queues', getQueues)
  const asked = state === '' ? {} : { state }
  const listed = useLoaded(`deliveries ${state}`, signal => getDeliveries(asked, signal))
  const { reload } = queues
  const reloadList = listed.reload
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.hidden) return
      reload()
      reloadList()
    }, everyMs)
    return () => clearInterval(timer)
  }, [reload, reloadList])
  const put = (name: string, value: string) => {
    const next = new URLSearchParams(query)
    if (value === '') next.delete(name)
    else next.set(name, value)
    navigate(hrefWith('/deliveries', next))
  }
  const again = query.has('again')
  const sent = () => {
    reload()
    reloadList()
  }
  return (
    <div className="page">
      <div className="inner deliveries">
        <header className="deliveries-head">
          <h1>Deliveries</h1>
          {(queues.value?.length ?? 0) > 0 && (
            <button
              type="button"
              className="button"
              aria-expanded={again}
              onClick={() => put('again', again ? '' : 'time')}
            >
              {again ? 'Close' : 'Send many again'}
            </button>
          )}
        </header>
        {again && queues.value && queues.value.length > 0 && <Again queues={queues.value} onSent={sent} />}
        {queues.problem && <ProblemNotice problem={queues.problem} retry={queues.reload} />}
        {!queues.value && queues.loading && <SkeletonRows count={2} />}
        {queues.value?.length === 0 && (
          <p className="notice">Reports are kept here alone: no destinations are set up. See docs/delivery.md.</p>
        )}
        <ul className="queues">
          {queues.value?.map(queue => (
            <Queue key={queue.destination} queue={queue} />
          ))}
        </ul>
        <Choice name="Which" among={states} chosen={state} onChoose={one => put('state', one)} />
        {listed.problem && <ProblemNotice problem={listed.problem} retry={listed.reload} />}
        {!listed.value && listed.loading && <SkeletonRows count={4} />}
        {listed.value &&
          (listed.value.items.length === 0 ? (
            <p className="muted">None.</p>
          ) : (
            <DeliveryList items={listed.value.items} named onChanged={listed.reload} />
          ))}
      </div>
    </div>
  )
}

function Queue({ queue }: { queue: ReportQueueView }) {
  const { destination, kind, waiting, refused, breaker, failingSince, code, message, seenAt } = queue
  const silent = Date.now() - seenAt > silentMs
  return (
    <li className={failingSince !== null ? 'queue failing' : 'queue'}>
      <h2>
        {destination} <span className="muted small">{kind}</span>
      </h2>
      <p>
        {waiting} waiting{refused > 0 && `, ${refused} refused`}
      </p>
      {failingSince !== null && (
        <p className="small">
          <strong className="delivery-refused">Does not answer</strong> <Age at={failingSince} says={lasting} />
          {breaker === 'open' && ', left alone for a while'}
          {breaker === 'trying' && ', being tried'}: {message !== null && withoutName(message, destination)}{' '}
          {code && <CodeLink code={code} />}
        </p>
      )}
      {silent && (
        <p className="small muted">
          No process works on it, the last did <Age at={seenAt} says={ago} />.
        </p>
      )}
    </li>
  )
}
