import { useEffect } from 'react'
import { useLoaded } from '../hooks.ts'
import { useStore } from '../live/context.ts'
import { reasons } from '../live/explain.ts'

/** Why no model took an image, in one line. */
export function Refused({ id }: { id: string }) {
  const { explain, push } = useStore()
  const { value, problem } = useLoaded(`explain ${id}`, () => explain(id))
  useEffect(() => {
    if (!value) return
    const accepted = value.routes.filter(route => route.accepted).map(({ model }) => model.name)
    push({ kind: 'routes', id, accepted })
  }, [id, value, push])
  if (problem) return <>{problem.message}</>
  if (!value) return <>…</>
  const waiting = value.routes.filter(({ accepted }) => accepted).map(({ model }) => model.name)
  const words = waiting.length > 0 ? `Taken by ${waiting.join(', ')}, no result yet` : reasons(value.routes)
  return <span title={words}>{words}</span>
}
