/** A study's findings, and what a person says of them: a accepts, c corrects, on the image that is shown. */
import { useState } from 'react'
import { type Problem, toProblem } from '../api/client.ts'
import type { Prediction } from '../api/types.ts'
import { flag, score } from '../format.ts'
import { useKeys } from '../hooks.ts'
import { ProblemNotice } from '../ui/basics.tsx'
import { LevelIcon } from '../ui/icons.tsx'
import { ScoreBar } from '../ui/score-bar.tsx'
import { type Feedback, type StudyDetail, type StudyFinding, say } from './api.ts'
import { groupWords, levelOfFinding, nameOfModel } from './words.ts'

interface Props {
  detail: StudyDetail
  /** The one that is shown. */
  image: string | undefined
  /** Of that image. */
  said: readonly Prediction[]
  onShow(image: string): void
  onChanged(): void
}

export function Findings({ detail, image, said, onShow, onChanged }: Props) {
  const [newest] = detail.revisions
  const findings = newest?.findings ?? []
  const [at, setAt] = useState(0)
  const current = findings[Math.min(at, findings.length - 1)]
  const point = (next: number) => {
    const index = Math.max(0, Math.min(findings.length - 1, next))
    setAt(index)
    const [first] = findings[index]?.instances ?? []
    if (first !== undefined) onShow(first)
  }
  useKeys({ j: () => point(at + 1), k: () => point(at - 1) })
  if (!newest) return <Unassessed detail={detail} />
  const answer = current && said.find(({ model }) => model.name === nameOfModel(current.model))
  return (
    <>
      {findings.length === 0 && (
        <div className="block">
          <h2>No model looked at this study</h2>
          <p className="muted">Each image says why, under “everything about it”.</p>
        </div>
      )}
      {findings.map((finding, index) => (
        <Finding
          key={`${finding.model} ${finding.label} ${finding.group}`}
          finding={finding}
          current={finding === current}
          image={image}
          onPoint={() => point(index)}
        >
          {finding === current && answer && (
            <Verdict key={answer.id} answer={answer} feedback={detail.feedback} onChanged={onChanged} />
          )}
        </Finding>
      ))}
    </>
  )
}

function Unassessed({ detail: { line, predictions } }: { detail: StudyDetail }) {
  const gathering = line === null || line.state === 'gathering'
  return (
    <div className="block">
      <h2>{gathering ? 'Images are still coming' : 'Waiting for the models'}</h2>
      <p className="muted">
        {predictions.length === 0 ? 'No answer yet. ' : `${predictions.length} answers so far. `}
        The findings appear here by themselves when the study is complete.
      </p>
    </div>
  )
}

interface FindingProps {
  finding: StudyFinding
  current: boolean
  image: string | undefined
  onPoint(): void
  children: React.ReactNode
}

function Finding({ finding, current, image, onPoint, children }: FindingProps) {
  const { label, group, present, threshold, positive, analysed, corrected, quality, instances, model } = finding
  const level = levelOfFinding(finding)
  return (
    <article
      className={`block finding-block${current ? ' current' : ''}`}
      {...(current ? { 'aria-current': 'true' as const } : {})}
    >
      <header>
        <LevelIcon level={level} size={18} />
        <h2>
          <button type="button" className="value" onClick={onPoint}>
            {present ? label : `No ${label}`}
          </button>
          {group !== null && <span className="muted small"> {groupWords(group)}</span>}
        </h2>
        <span className="spring" />
        <span className="number">{score(finding.score)}</span>
      </header>
      <ScoreBar
        score={finding.score}
        threshold={threshold}
        level={level}
        uncertain={quality.length > 0}
        label={label}
      />
      <p className="small muted">
        {positive} of {analysed} {analysed === 1 ? 'image' : 'images'}
        {corrected > 0 && `, ${corrected} corrected by a person`} · {model}
        {image !== undefined && present && !instances.includes(image) && ' · not on the image shown'}
      </p>
      {quality.length > 0 && (
        <ul className="flags">
          {quality.map(name => (
            <li key={name} className="tag">
              {flag(name)}
            </li>
          ))}
        </ul>
      )}
      {children}
    </article>
  )
}

/** What the model said of the image that is shown, with the two keys that settle it. */
function Verdict({
  answer,
  feedback,
  onChanged,
}: {
  answer: Prediction
  feedback: readonly Feedback[]
  onChanged(): void
}) {
  const [busy, setBusy] = useState(false)
  const [said, setSaid] = useState<Feedback | null>(null)
  const [choosing, setChoosing] = useState(false)
  const [problem, setProblem] = useState<Problem | null>(null)
  const known = feedback.find(({ prediction }) => prediction === answer.id)
  const verdict = said && (!known || said.at >= known.at) ? said : known
  const others = Object.keys(answer.probabilities)
    .filter(label => label !== answer.label)
    .sort()
  async function tell(label: string | null) {
    setBusy(true)
    setProblem(null)
    setChoosing(false)
    try {
      setSaid(await say(answer.id, label))
      onChanged()
    } catch (thrown) {
      setProblem(toProblem(thrown))
    }
    setBusy(false)
  }
  const [only] = others
  const correct = () => (others.length === 1 && only !== undefined ? void tell(only) : setChoosing(true))
  useKeys({ a: () => void (busy || tell(null)), c: () => void (busy || correct()) })
  return (
    <div className="verdict">
      <p className="small">
        On this image: <b>{answer.label}</b> {score(answer.score)}
        {verdict && (
          <span className="tag">
            {verdict.verdict === 'corrected'
              ? `Corrected to ${verdict.label}`
              : verdict.verdict === 'agreed'
                ? 'Accepted'
                : 'Unsure'}
          </span>
        )}
      </p>
      <div className="actions">
        <button type="button" className="button" disabled={busy} onClick={() => void tell(null)}>
          Accept <kbd>a</kbd>
        </button>
        {others.length > 0 && (
          <button type="button" className="button" disabled={busy} onClick={correct}>
            {others.length === 1 ? `It is ${only}` : 'Correct…'} <kbd>c</kbd>
          </button>
        )}
      </div>
      {choosing && (
        <fieldset className="choice labels">
          <legend className="small muted">What it is</legend>
          {others.map(label => (
            <button key={label} type="button" className="button" onClick={() => void tell(label)}>
              {label}
            </button>
          ))}
        </fieldset>
      )}
      {problem && <ProblemNotice problem={problem} />}
    </div>
  )
}
