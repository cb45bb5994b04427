/** Deliveries, each with what became of it and a way to send it again. */
import { useState } from 'react'
import { reportWords } from '../../../schemas/report-types.ts'
import { type Problem, toProblem } from '../api/client.ts'
import { time } from '../format.ts'
import { useLoaded } from '../hooks.ts'
import { useStudyNews } from '../live/context.ts'
import { followLink } from '../router.ts'
import { studyHref, studyName } from '../studies/words.ts'
import { CodeLink, ProblemNotice } from '../ui/basics.tsx'
import { getDeliveries, type ReportDeliveryView, resend } from './api.ts'
import { againHref } from './asked.ts'
import './deliveries.css'

const stateWords: Readonly<Record<ReportDeliveryView['state'], string>> = {
  pending: 'waits',
  sending: 'on its way',
  sent: 'sent',
  refused: 'refused',
  superseded: 'a newer one took its place',
}

const commitmentWords = { asked: 'commitment asked for', kept: 'commitment given', failed: 'commitment refused' }

/** Of one study, on its page; nothing where nothing was sent. @param titles of the study's reports, by id */
export function StudyDeliveries({ study, titles }: { study: string; titles: ReadonlyMap<string, string> }) {
  const loaded = useLoaded(`deliveries ${study}`, signal => getDeliveries({ study }, signal))
  useStudyNews(study, loaded.reload)
  if (loaded.problem) return <ProblemNotice problem={loaded.problem} retry={loaded.reload} />
  const items = loaded.value?.items ?? []
  if (items.length === 0) return null
  return (
    <section className="block" aria-label="Sent to">
      <h2>Sent to</h2>
      <DeliveryList items={items} titles={titles} onChanged={loaded.reload} />
      {items.length > 1 && (
        <p className="small">
          <a href={againHref(study)} onClick={followLink}>
            Send all of it again
          </a>
        </p>
      )}
    </section>
  )
}

interface Props {
  items: readonly ReportDeliveryView[]
  /** Of many studies: each row names its own. */
  named?: boolean
  /** Of reports, by id, where they are called by more than their format. */
  titles?: ReadonlyMap<string, string>
  onChanged(): void
}

export function DeliveryList({ items, named = false, titles, onChanged }: Props) {
  const titleOf = ({ report, format }: ReportDeliveryView) => titles?.get(report) ?? reportWords(format)
  const [busy, setBusy] = useState<string | null>(null)
  const [problem, setProblem] = useState<Problem | null>(null)
  async function again(id: string) {
    setBusy(id)
    setProblem(null)
    try {
      await resend({ ids: [id] })
      onChanged()
    } catch (thrown) {
      setProblem(toProblem(thrown))
    }
    setBusy(null)
  }
  return (
    <>
      {problem && <ProblemNotice problem={problem} />}
      <ul className="lines delivery-lines">
        {items.map(one => (
          <li key={one.id}>
            <Delivery delivery={one} title={titleOf(one)} named={named} />
            {one.state !== 'sending' && (
              <button
                type="button"
                className="button"
                disabled={busy !== null}
                onClick={() => void again(one.id)}
                aria-label={`${sendWords(one)}: ${titleOf(one)} to ${one.destination}${named ? `, ${studyName(one)}` : ''}`}
              >
                {sendWords(one)}
              </button>
            )}
          </li>
        ))}
      </ul>
    </>
  )
}

const sendWords = ({ state }: ReportDeliveryView) => (state === 'pending' ? 'Send now' : 'Send again')

/** Messages begin with the destination's name, which stands beside them already. */
export const withoutName = (message: string, destination: string): string =>
  message.startsWith(`${destination}: `) ? message.slice(destination.length + 2) : message

function Delivery({ delivery, title, named }: { delivery: ReportDeliveryView; title: string; named: boolean }) {
  const { study, revision, destination, state, attempts, redelivered, code, message, sentAt, commitment } = delivery
  const before = delivery.earlier.at(-1)
  const more = [
    state === 'sent' && sentAt !== null && time(sentAt),
    attempts > 1 && `after ${attempts} attempts`,
    redelivered && 'may have come twice',
    commitment && commitmentWords[commitment.state],
    message !== null && withoutName(message, destination),
    before !== undefined && `sent before, ${time(before.sentAt)}`,
  ].filter(text => typeof text === 'string')
  return (
    <>
      <span className="delivery-words">
        {named && (
          <a className="delivery-study" href={studyHref(study, new URLSearchParams())} onClick={followLink}>
            {studyName(delivery)}
          </a>
        )}
        {title}
        {revision !== null && revision > 1 && ` of revision ${revision}`} to {destination}:{' '}
        <strong className={`delivery-${commitment?.state === 'failed' ? 'refused' : state}`}>
          {stateWords[state]}
        </strong>
      </span>
      {(more.length > 0 || code) && (
        <span className="delivery-more muted small">
          {more.join(' · ')} {code && <CodeLink code={code} />}
        </span>
      )}
    </>
  )
}
