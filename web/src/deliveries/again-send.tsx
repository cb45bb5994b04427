/** How many reports would be sent again, the question whether they shall be, and what became of it. */
import { useEffect, useRef, useState } from 'react'
import { type Problem, toProblem } from '../api/client.ts'
import { integer } from '../format.ts'
import { useLoaded, useSettled } from '../hooks.ts'
import { ProblemNotice } from '../ui/basics.tsx'
import { countResend, type ReportQueueView, type ResendBody, type Resent, resend } from './api.ts'

/** It is counted this long after the last change, ms. */
const settleMs = 300

const reports = (count: number) => (count === 1 ? '1 report' : `${integer.format(count)} reports`)
const placesWords = ({ byDestination }: Resent) =>
  Object.entries(byDestination)
    .map(([name, count]) => `${integer.format(count)} to ${name}`)
    .join(', ')

const firstWords = ({ queued, unsent }: Resent) =>
  unsent === queued ? 'for the first time' : `${integer.format(unsent)} of them for the first time`

interface Props {
  /** Null: nothing is chosen yet. */
  asked: ResendBody | null
  queues: readonly ReportQueueView[]
  onSent(): void
}

export function AgainSend({ asked, queues, onSent }: Props) {
  const now = JSON.stringify(asked)
  const settled = useSettled(now, settleMs)
  const body: ResendBody | null = JSON.parse(settled)
  const counted = useLoaded(body && `again ${settled}`, signal => countResend(body ?? {}, signal))
  const count = now === settled ? counted.value : null
  const uncounted = now === settled ? counted.problem : null
  const [open, setOpen] = useState(false)
  const [said, setSaid] = useState<{ of: string; done: Resent } | null>(null)
  const [problem, setProblem] = useState<Problem | null>(null)
  const [busy, setBusy] = useState(false)
  async function send() {
    if (!asked) return
    setBusy(true)
    setProblem(null)
    try {
      setSaid({ of: now, done: await resend(asked) })
      onSent()
    } catch (thrown) {
      setProblem(toProblem(thrown))
    }
    setBusy(false)
    setOpen(false)
  }
  const done = said?.of === now ? said.done : null
  return (
    <>
      <div className="again-actions">
        <button
          type="button"
          className="button primary"
          disabled={busy || done !== null || !count || count.queued === 0}
          onClick={() => {
            counted.reload()
            setOpen(true)
          }}
        >
          {count && count.queued > 0 && !done ? `Send ${reports(count.queued)} again…` : 'Send again…'}
        </button>
        <output aria-label="How many">
          {done && <Done done={done} onAgain={() => setSaid(null)} />}
          {!done && !uncounted && <Count asked={asked} count={count} />}
        </output>
      </div>
      {uncounted && <ProblemNotice problem={uncounted} retry={counted.reload} />}
      {problem && <ProblemNotice problem={problem} />}
      {count && (
        <Confirm
          // It is counted once more as it opens: only what was counted then can be confirmed.
          open={open && !uncounted}
          busy={busy || counted.loading}
          count={count}
          queues={queues}
          onYes={send}
          onNo={() => setOpen(false)}
        />
      )}
    </>
  )
}

function Count({ asked, count }: Pick<Props, 'asked'> & { count: Resent | null }) {
  if (!asked) return <span className="muted">Choose a study or a time: how many that are is said here.</span>
  if (!count) return <span className="muted">Counting…</span>
  if (count.queued === 0) return <span>Nothing to send: no such report went anywhere.</span>
  return (
    <span>
      {placesWords(count)}
      {count.unsent > 0 && `, ${firstWords(count)}`}
    </span>
  )
}

function Done({ done, onAgain }: { done: Resent; onAgain(): void }) {
  return (
    <>
      <strong>
        {done.queued === 0
          ? 'Nothing was sent: all of them are on their way already.'
          : `${reports(done.queued)} will be sent again: ${placesWords(done)}.`}
      </strong>{' '}
      <button type="button" className="button" onClick={onAgain}>
        Once more
      </button>
    </>
  )
}

interface ConfirmProps {
  open: boolean
  busy: boolean
  count: Resent
  queues: readonly ReportQueueView[]
  onYes(): void
  onNo(): void
}

function Confirm({ open, busy, count, queues, onYes, onNo }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    if (open) dialog.current?.showModal()
    else dialog.current?.close()
  }, [open])
  const away = new Set(queues.flatMap(({ destination, failingSince }) => (failingSince === null ? [] : [destination])))
  return (
    <dialog ref={dialog} onClose={onNo} aria-labelledby="again-title">
      <div className="again-confirm">
        <h2 id="again-title">Send {reports(count.queued)} again?</h2>
        <ul>
          {Object.entries(count.byDestination).map(([name, many]) => (
            <li key={name}>
              {integer.format(many)} to {name}
              {away.has(name) && <span className="muted"> (does not answer now: they wait until it does)</span>}
            </li>
          ))}
        </ul>
        {count.unsent > 0 && <p>Of these, {integer.format(count.unsent)} never went there before.</p>}
        <p className="muted">
          A system that has them gets them once more, unless a newer revision took their place. It is noted in the
          audit.
        </p>
        <div className="again-actions">
          {/* First, so that it has the focus. */}
          <button type="button" className="button" onClick={onNo}>
            Cancel
          </button>
          <button type="button" className="button primary" disabled={busy || count.queued === 0} onClick={onYes}>
            Send {integer.format(count.queued)} again
          </button>
        </div>
      </div>
    </dialog>
  )
}
