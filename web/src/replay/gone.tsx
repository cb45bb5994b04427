/** Which images are gone: their objects were erased since, so that no version can judge them again. */
import { useEffect, useState } from 'react'
import { type Problem, toProblem } from '../api/client.ts'
import { integer, time } from '../format.ts'
import { followLink, instanceHref } from '../router.ts'
import { studyHref } from '../studies/words.ts'
import { ProblemNotice } from '../ui/basics.tsx'
import { type Gone, getGone, type Replay } from './api.ts'

const pageSize = 20
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

/** Those that a replay met, page by page. */
export function GoneOf({ replay: { id, counts } }: { replay: Replay }) {
  const [shown, setShown] = useState<{ items: Gone[]; next: string | null }>({ items: [], next: null })
  const [problem, setProblem] = useState<Problem | null>(null)
  const { gone } = counts

  // Again when there are more.
  useEffect(() => {
    let left = false
    if (gone > 0)
      getGone(id, null, pageSize).then(
        page => !left && setShown(page),
        error => !left && setProblem(toProblem(error)),
      )
    return () => {
      left = true
    }
  }, [id, gone])

  async function more() {
    try {
      const { items, next } = await getGone(id, shown.next, pageSize)
      setShown(before => ({ items: [...before.items, ...items], next }))
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
      {shown.next !== null && (
        <button type="button" className="button" onClick={() => void more()}>
          More
        </button>
      )}
    </section>
  )
}
