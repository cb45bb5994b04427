/** What the candidate says beside what production said: in one line, by class, in pictures. */
import { useEffect } from 'react'
import { integer } from '../format.ts'
import { useLoaded } from '../hooks.ts'
import { ProblemNotice, SkeletonRows } from '../ui/basics.tsx'
import { type Compared, csvUrl, getComparison, jsonUrl, type Replay } from './api.ts'
import { Flips } from './flips.tsx'
import { Bars, Lines } from './histogram.tsx'
import { isUnderWay, nameOf } from './list.tsx'
import { areaWords, percent, shareWords, shiftWords } from './words.ts'

const everyMs = 2_500
/** A matrix of more labels cannot be read. */
const mostLabels = 12

export function ComparisonView({ replay }: { replay: Replay }) {
  const { id } = replay
  const loaded = useLoaded(`comparison ${id}`, signal => getComparison(id, signal))
  const { value, reload, problem } = loaded
  const again = isUnderWay(replay) || value?.complete === false
  useEffect(() => {
    if (!again) return
    const timer = setInterval(reload, everyMs)
    return () => clearInterval(timer)
  }, [again, reload])
  if (problem) return <ProblemNotice problem={problem} retry={reload} />
  if (!value) return <SkeletonRows count={4} height={96} />
  if (value.pairs === 0)
    return <p className="notice">There is nothing to compare yet: no image of which both said something.</p>
  return (
    <>
      <Headline of={value} />
      <div className="comparison-grid">
        {value.labels.length <= mostLabels && <Matrix of={value} candidate={nameOf(replay)} />}
        <section aria-label="Score shift">
          <h2>Score shift</h2>
          <p className="small muted">Candidate less production, on average {shiftWords(value.shift)}</p>
          <Bars of={value.shifts} what="Score shift, candidate less production" />
          <h2>Scores</h2>
          <Lines production={value.scores.production} candidate={value.scores.candidate} />
        </section>
      </div>
      <Groups what="By class" of={value.byClass} />
      <Groups what="By site" of={value.bySite} />
      <Groups what="By modality" of={value.byModality} />
      {value.truth && <Truth of={value.truth} />}
      <Flips id={id} total={value.flips} positive={value.positive} />
      <p className="small downloads">
        <a href={csvUrl(id)}>Image by image, as CSV</a>
        <a href={jsonUrl(id)}>These figures, as JSON</a>
      </p>
    </>
  )
}

function Headline({ of }: { of: Compared }) {
  const { flips, positive, agreement } = of
  const figures = [
    {
      name: 'Agreement',
      value: agreement ? percent(agreement.value) : '–',
      more: agreement ? `${percent(agreement.low)} to ${percent(agreement.high)}` : '',
    },
    ...(positive === null
      ? [{ name: 'Flips', value: integer.format(flips.other), more: 'another label' }]
      : [
          { name: `Flips to ${positive}`, value: integer.format(flips.toPositive), more: 'production said otherwise' },
          { name: `Flips from ${positive}`, value: integer.format(flips.toNegative), more: 'production said it' },
        ]),
    {
      name: 'Images',
      value: integer.format(of.pairs),
      more: of.unpaired > 0 ? `and ${integer.format(of.unpaired)} that production did not judge` : 'judged by both',
    },
  ]
  return (
    <section aria-label="In short">
      {!of.complete && <p className="small muted">So far: not all is in yet.</p>}
      <dl className="headline">
        {figures.map(({ name, value, more }) => (
          <div key={name}>
            <dt className="small muted">{name}</dt>
            <dd className="value">{value}</dd>
            <dd className="small muted">{more}</dd>
          </div>
        ))}
      </dl>
    </section>
  )
}

function Matrix({ of, candidate }: { of: Compared; candidate: string }) {
  const most = Math.max(1, ...of.matrix.flat())
  const versions = Object.keys(of.versions).join(', ')
  return (
    <section aria-label="Agreement">
      <h2>Agreement</h2>
      <p className="small muted">
        Rows: production ({of.model.name}@{versions}). Columns: {candidate}.
      </p>
      <div className="table-scroll">
        <table className="matrix" aria-label={`Images by what production and ${candidate} say`}>
          <thead>
            <tr>
              <td />
              {of.labels.map(label => (
                <th key={label} scope="col">
                  {label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {of.labels.map((label, row) => (
              <tr key={label}>
                <th scope="row">{label}</th>
                {of.labels.map((other, column) => {
                  const count = of.matrix[row]?.[column] ?? 0
                  const strength = count === 0 ? 0 : 6 + (count / most) * 34
                  return (
                    <td
                      key={other}
                      className={row === column ? 'same' : 'flip'}
                      style={{ background: `color-mix(in srgb, var(--mark) ${strength}%, transparent)` }}
                    >
                      {integer.format(count)}
                    </td>
                  )
                })}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}

/** One group alone says what the whole says. */
function Groups({ what, of }: { what: string; of: Compared['byClass'] }) {
  if (of.length < 2) return null
  return (
    <section aria-label={what}>
      <h2>{what}</h2>
      <div className="table-scroll">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col" className="figure">
                Images
              </th>
              <th scope="col">Agreement</th>
              <th scope="col" className="figure">
                Flips
              </th>
              <th scope="col">Score shift</th>
            </tr>
          </thead>
          <tbody>
            {of.map(group => (
              <tr key={group.name}>
                <td>{group.name || '(none)'}</td>
                <td className="figure" data-name="Images">
                  {integer.format(group.pairs)}
                </td>
                <td data-name="Agreement">{shareWords(group.agreement)}</td>
                <td className="figure" data-name="Flips">
                  {integer.format(group.toPositive + group.toNegative + group.other)}
                </td>
                <td data-name="Score shift">{shiftWords(group.shift)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}

function Truth({ of }: { of: NonNullable<Compared['truth']> }) {
  const { production, candidate } = of
  const rows = [
    ['AUC', areaWords(production.auc), areaWords(candidate.auc)],
    ['Sensitivity', shareWords(production.sensitivity), shareWords(candidate.sensitivity)],
    ['Specificity', shareWords(production.specificity), shareWords(candidate.specificity)],
    ['Accuracy', shareWords(production.accuracy), shareWords(candidate.accuracy)],
  ] as const
  return (
    <section aria-label="Against what people said">
      <h2>Against what people said</h2>
      <p className="small muted">
        {integer.format(of.labelled)} images with feedback
        {of.aucDifference && `; AUC of the candidate less that of production: ${shiftWords(of.aucDifference)}`}
      </p>
      <div className="table-scroll">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Measure</th>
              <th scope="col">Production</th>
              <th scope="col">Candidate</th>
            </tr>
          </thead>
          <tbody>
            {rows.map(([name, before, after]) => (
              <tr key={name}>
                <td>{name}</td>
                <td data-name="Production">{before}</td>
                <td data-name="Candidate">{after}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}
