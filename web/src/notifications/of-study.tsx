/** Who was told of one study, on its page, and what waits for an acknowledgement there. */
import { useLoaded } from '../hooks.ts'
import { useStudyNews } from '../live/context.ts'
import { ProblemNotice } from '../ui/basics.tsx'
import { getNotices } from './api.ts'
import { NoticeLine, useSeen } from './line.tsx'

/** Nothing where nobody was. @param opened the one by which a person came here */
export function StudyNotices({ study, opened }: { study: string; opened: string | null }) {
  const list = useLoaded(`notices of ${study}`, signal => getNotices({ study }, signal))
  useStudyNews(study, list.reload)
  const items = list.value?.items ?? []
  useSeen(items.some(({ id }) => id === opened) ? opened : null)
  if (list.problem) return <ProblemNotice problem={list.problem} retry={list.reload} />
  if (items.length === 0) return null
  return (
    <section className="block study-notices" aria-label="Alerts">
      <h2>Alerts</h2>
      <ol className="notices-list">
        {items.map(notice => (
          <NoticeLine key={notice.id} notice={notice} current={notice.id === opened} onChanged={list.reload} />
        ))}
      </ol>
    </section>
  )
}
