/** Which images are gone: their objects were erased since, so that no version can judge them again. */
import { useEffect, useState } from 'react'
import { type Problem, toProblem } from '../api/client.ts'
import { integer, time } from '../format.ts'
import { followLink, instanceHref } from '../router.ts'
import { studyHref } from '../studies/words.ts'
import { ProblemNotice } from '../ui/basics.tsx'
import { type Gone, getGone, type Replay } from './api.ts'

const pageSize = 20
const largestPage = 500
const noQuery = new URLSearchParams()

export function GoneTable({ of }: { of: readonly Gone[] }) {
  return (
    <div className="table-scroll">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Received</th>
            <th scope="col">Modality</th>
            <th scope="col">Site</th>
            <th scope="col">Image</th>
            <th scope="col">Study</th>
          </tr>
        </thead>
        <tbody>
          {of.map(({ instance, study, site, modality, receivedAt }) => (
            <tr key={instance}>
              <td>{time(receivedAt)}</td>
              <td>{modality ?? '–'}</td>
              <td>{site}</td>
              <td>
                <a href={instanceHref(instance, noQuery)} onClick={followLink}>
                  {instance}
                </a>
              </td>
              <td>
                <a href={studyHref(study, noQuery)} onClick={followLink}>
                  {study}
                </a>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** `of`: how many there were when the last of these were asked for. */
interface Shown {
  items: readonly Gone[]
  next: string | null
  of: number
}

/** Those that a replay met, page by page. */
export function GoneOf({ replay: { id, counts } }: { replay: Replay }) {
  const [shown, setShown] = useState<Shown>({ items: [], next: null, of: 0 })
  const [problem, setProblem] = useState<Problem | null>(null)
  const { gone } = counts
  const some = gone > 0

  // Once there are any: what it meets later is behind "More", and takes back nothing that is shown.
  useEffect(() => {
    let left = false
    if (some)
      getGone(id, null, pageSize).then(
        page => {
          if (left) return
          setShown({ ...page, of: page.items.length })
          setProblem(null)
        },
        error => !left && setProblem(toProblem(error)),
      )
    return () => {
      left = true
    }
  }, [id, some])

  async function more() {
    try {
      const { items, next } = shown
      // The last page has no place to go on from: it is asked for again, with what has come since.
      const page =
        next === null
          ? await getGone(id, null, Math.min(items.length + pageSize, largestPage))
          : await getGone(id, next, pageSize)
      setShown({
        items: next === null ? page.items : [...items, ...page.items],
        next: page.next,
        of: page.next === null && next !== null ? items.length + page.items.length : gone,
      })
      setProblem(null)
    } catch (error) {
      setProblem(toProblem(error))
    }
  }
  if (gone === 0) return null
  return (
    <section aria-label="Erased since">
      <h2>Erased since</h2>
      <p className="small muted">
        {gone === 1 ? 'The object of one image is' : `The objects of ${integer.format(gone)} images are`} not there any
        more, so this version could not judge {gone === 1 ? 'it' : 'them'}.
      </p>
      {problem && <ProblemNotice problem={problem} />}
      <GoneTable of={shown.items} />
      {(shown.next !== null || shown.of < gone) && (
        <button type="button" className="button" onClick={() => void more()}>
          More
        </button>
      )}
    </section>
  )
}
