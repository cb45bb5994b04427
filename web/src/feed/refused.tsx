import { useLoaded } from '../hooks.ts'
import { useStore } from '../live/context.ts'
import { reasons } from '../live/explain.ts'

/** Why no model took an image, in one line. */
export function Refused({ id }: { id: string }) {
  const { explain } = useStore()
  const { value, problem } = useLoaded(`explain ${id}`, () => explain(id))
  if (problem) return <>{problem.message}</>
  if (!value) return <>…</>
  const waiting = value.routes.filter(({ accepted }) => accepted).map(({ model }) => model.name)
  const words = waiting.length > 0 ? `Taken by ${waiting.join(', ')}, no result yet` : reasons(value.routes)
  return <span title={words}>{words}</span>
}
