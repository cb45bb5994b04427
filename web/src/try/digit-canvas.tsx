import { useEffect, useRef, useState } from 'react'
import type { Problem } from '../api/client.ts'
import type { ModelInfo } from '../api/types.ts'
import { duration, score } from '../format.ts'
import { ProblemNotice } from '../ui/basics.tsx'
import { createClassifier, type Seen } from './classifier.ts'
import { Ink } from './ink.ts'

const model = 'digits'
const side = 280
const labels = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']

interface Props {
  models: readonly ModelInfo[] | null
  problem: Problem | null
}

/** Classifies while one draws: the last state of the drawing wins. */
export function DigitCanvas({ models, problem }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const ink = useRef<Ink>(null)
  const [seen, setSeen] = useState<Seen | null>(null)
  const [failed, setFailed] = useState<Problem | null>(null)
  const [classifier] = useState(() => createClassifier(model, setSeen, setFailed))
  useEffect(() => {
    const element = canvas.current
    if (!element) return
    const drawn = new Ink(element, () => classifier.show(element))
    ink.current = drawn
    return () => {
      drawn.close()
      classifier.close()
    }
  }, [classifier])
  const missing = models !== null && !models.some(({ ref, state }) => ref.name === model && state === 'ready')
  function clear() {
    ink.current?.clear()
    classifier.forget()
    setSeen(null)
    setFailed(null)
  }
  return (
    <div className="draw">
      <div className="paper">
        <canvas ref={canvas} width={side} height={side} aria-label="Draw one digit here" />
        <div className="paper-foot">
          <button type="button" className="button" onClick={clear}>
            Clear
          </button>
          <span className="muted small" aria-live="polite">
            {seen
              ? `${duration(seen.roundTripMs)} there and back, of it ${duration(seen.prediction.timings.inferMs)} in the model`
              : 'Draw with mouse, pen or finger'}
          </span>
        </div>
      </div>
      <Answer seen={seen} />
      {missing && (
        <p className="notice">The model “{model}” is not loaded, so there is nobody to read what you draw.</p>
      )}
      {(failed ?? problem) && <ProblemNotice problem={failed ?? (problem as Problem)} />}
      <p className="muted small wide">
        Each look is sent as an image like any other: it is stored, classified, reported, and stands in the live list.
      </p>
    </div>
  )
}

function Answer({ seen }: { seen: Seen | null }) {
  const said = seen?.prediction
  return (
    <div className="answer">
      <output className="answer-label" aria-label="The digit">
        {said?.label ?? '–'}
      </output>
      <ul className="digits">
        {labels.map(label => {
          const probability = said?.probabilities[label] ?? 0
          return (
            <li key={label} className={said?.label === label ? 'given' : ''}>
              <span>{label}</span>
              <span className="track">
                <span style={{ width: `${probability * 100}%` }} />
              </span>
              <span className="figure small">{said ? score(probability) : ''}</span>
            </li>
          )
        })}
      </ul>
    </div>
  )
}
