/** What a replay would do, in words. */
import { duration, integer, rate as rateWords } from '../format.ts'
import type { Asked, Plan } from './api.ts'
import { GoneTable } from './gone.tsx'

export function PlanWords({ plan, asked }: { plan: Plan; asked: Asked }) {
  const about = plan.complete ? '' : 'about '
  const { checked, gone, first } = plan.objects
  const versions = Object.keys(plan.productionVersions)
  const refused = Object.entries(plan.refused)
  return (
    <output className="plan">
      <dl>
        <dt>In the range</dt>
        <dd>{integer.format(plan.events)} images</dd>
        <dt>Within the filters</dt>
        <dd>
          {about}
          {integer.format(plan.matched)}
        </dd>
        <dt>{asked.model} takes</dt>
        <dd>
          {about}
          {integer.format(plan.accepted)}
          {refused.map(([why, count]) => (
            <div key={why} className="small muted">
              not {integer.format(count)}: {why}
            </div>
          ))}
        </dd>
        <dt>Erased since</dt>
        <dd>
          {integer.format(gone)} of {integer.format(checked)} looked for
          {first.length > 0 && (
            <details>
              <summary className="small">
                {first.length < gone ? `The first ${integer.format(first.length)} of them` : 'Which they are'}
              </summary>
              <GoneTable of={first} />
            </details>
          )}
        </dd>
        <dt>Takes about</dt>
        <dd>
          {plan.durationMs === null ? 'not known yet' : duration(plan.durationMs)}
          {plan.perSecond !== null && <span className="muted"> at {rateWords(plan.perSecond)}/s</span>}
        </dd>
        <dt>Compared with</dt>
        <dd>
          {versions.length === 0
            ? 'nothing: production said nothing then'
            : versions.map(version => `${asked.model.replace(/@.*/, '')}@${version}`).join(', ')}
        </dd>
      </dl>
    </output>
  )
}
