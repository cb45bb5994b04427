import { get } from '../api/client.ts'
import { toExplanation } from '../api/shape.ts'
import type { Route } from '../api/types.ts'
import { duration } from '../format.ts'
import { useLoaded } from '../hooks.ts'
import { CodeLink, ProblemNotice, Skeleton } from '../ui/basics.tsx'
import { CloseIcon, DoneIcon } from '../ui/icons.tsx'

/** Which models took it and which did not, each with its reason, and what happened to it step by step. */
export function Why({ id, routes, version }: { id: string; routes: readonly Route[]; version: string }) {
  const path = `/instances/${encodeURIComponent(id)}/explain`
  const { value, problem, reload } = useLoaded(`${path} ${version}`, signal => get(path, toExplanation, signal))
  const first = value?.steps[0]?.at ?? 0
  return (
    <section className="block">
      <h2>Why</h2>
      <ul className="routes small">
        {[...routes]
          .sort((a, b) => Number(b.accepted) - Number(a.accepted))
          .map(({ model, accepted, reason }) => (
            <li key={`${model.name}@${model.version}`}>
              {accepted ? <DoneIcon /> : <CloseIcon />}
              <span>
                <b>
                  {model.name}@{model.version}
                </b>{' '}
                {accepted ? 'took it' : 'did not'}
                <span className="muted">: {reason}</span>
              </span>
            </li>
          ))}
        {routes.length === 0 && <li className="muted">No model is loaded.</li>}
      </ul>
      {problem && <ProblemNotice problem={problem} retry={reload} />}
      {!value && !problem && <Skeleton height={64} />}
      {value && (
        <ol className="steps small">
          {value.steps.map(step => (
            <li key={`${step.at} ${step.what} ${step.id}`}>
              <span className="muted figure">+{duration(step.at - first)}</span>
              <span>
                {step.text} {step.code && <CodeLink code={step.code} />}
                {step.remedy && <span className="muted"> {step.remedy}</span>}
              </span>
            </li>
          ))}
        </ol>
      )}
    </section>
  )
}
