/** The images behind the flips, as pictures: what a person looks at before trusting a figure. */
import { useEffect, useState } from 'react'
import { type Problem, toProblem } from '../api/client.ts'
import { integer, score } from '../format.ts'
import { followLink, instanceHref } from '../router.ts'
import { ProblemNotice } from '../ui/basics.tsx'
import { Thumb } from '../ui/thumb.tsx'
import { type Compared, type Flip, getFlips } from './api.ts'

const pageSize = 24
const noQuery = new URLSearchParams()

interface Props {
  id: string
  total: Compared['flips']
  positive: string | null
}

export function Flips({ id, total, positive }: Props) {
  const [direction, choose] = useState('')
  const [shown, setShown] = useState<{ of: string; items: Flip[]; next: string | null }>({
    of: '',
    items: [],
    next: null,
  })
  const [problem, setProblem] = useState<Problem | null>(null)
  const all = total.toPositive + total.toNegative + total.other
  const of = `${id} ${direction} ${all}`

  useEffect(() => {
    let left = false
    getFlips(id, direction, null, pageSize).then(
      ({ items, next }) => {
        if (!left) setShown({ of, items, next })
      },
      error => {
        if (!left) setProblem(toProblem(error))
      },
    )
    return () => {
      left = true
    }
  }, [id, direction, of])

  async function more() {
    try {
      const { items, next } = await getFlips(id, direction, shown.next, pageSize)
      setShown(before => (before.of === of ? { of, items: [...before.items, ...items], next } : before))
    } catch (error) {
      setProblem(toProblem(error))
    }
  }
  const choices = [
    { value: '', name: `All ${integer.format(all)}` },
    ...(positive === null
      ? []
      : [
          { value: 'to-positive', name: `To ${positive} ${integer.format(total.toPositive)}` },
          { value: 'to-negative', name: `From ${positive} ${integer.format(total.toNegative)}` },
        ]),
  ]
  return (
    <section aria-label="Flips">
      <header className="flips-head">
        <h2>Flips</h2>
        {choices.length > 1 &&
          choices.map(({ value, name }) => (
            <button
              key={value}
              type="button"
              className="button"
              aria-pressed={direction === value}
              onClick={() => choose(value)}
            >
              {name}
            </button>
          ))}
      </header>
      {problem && <ProblemNotice problem={problem} />}
      {all === 0 && <p className="muted">Both say the same of every image.</p>}
      <ul className="flips">
        {shown.items.map(flip => (
          <li key={flip.instance}>
            <FlipCard flip={flip} />
          </li>
        ))}
      </ul>
      {shown.next !== null && (
        <button type="button" className="button" onClick={() => void more()}>
          More
        </button>
      )}
      {all > total.kept && <p className="small muted">The first {integer.format(total.kept)} are kept to be shown.</p>}
    </section>
  )
}

function FlipCard({ flip: { instance, production, candidate, truth } }: { flip: Flip }) {
  return (
    <a className="flip-card" href={instanceHref(instance, noQuery)} onClick={followLink}>
      <Thumb id={instance} size={132} />
      <span className="small">
        <span className="muted">
          {production.label} {score(production.score)}
        </span>
        <b>
          <span className="hidden"> became </span>
          <span aria-hidden="true">→ </span>
          {candidate.label} {score(candidate.score)}
        </b>
        {truth !== null && <span>A person says {truth}</span>}
      </span>
    </a>
  )
}
