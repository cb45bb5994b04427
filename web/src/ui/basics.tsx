/** Small parts that every view uses. */
import { useEffect, useRef, useState } from 'react'
import type { Problem } from '../api/client.ts'
import { time } from '../format.ts'
import { useAge } from '../hooks.ts'
import { CopyIcon, DoneIcon, FaultIcon } from './icons.tsx'

/** Copies a text, and says so. Without a clipboard (plain http) the text is selected for the person to copy. */
export function CopyButton({ text, what }: { text: string; what: string }) {
  const [state, setState] = useState<'idle' | 'done' | 'refused'>('idle')
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)
  useEffect(() => () => clearTimeout(timer.current), [])
  async function copy() {
    try {
      await navigator.clipboard.writeText(text)
      setState('done')
    } catch {
      setState('refused') // said on the button: the browser allows no clipboard here
    }
    clearTimeout(timer.current)
    timer.current = setTimeout(() => setState('idle'), 2_000)
  }
  const words = { idle: `Copy ${what}`, done: 'Copied', refused: 'Not allowed here: select and copy by hand' }[state]
  return (
    <button type="button" className="button icon" onClick={copy} aria-label={words} title={words}>
      {state === 'done' ? <DoneIcon /> : state === 'refused' ? <FaultIcon /> : <CopyIcon />}
    </button>
  )
}

/** @param says the age alone unless told: since when something was, or for how long it has been so */
export function Age({ at, says = age => age }: { at: number; says?: (age: string) => string }) {
  const age = useAge(at)
  return (
    <time dateTime={new Date(at).toISOString()} title={time(at)}>
      {says(age)}
    </time>
  )
}

/** What went wrong, what to do, and a way to try again. */
export function ProblemNotice({ problem, retry }: { problem: Problem; retry?: () => void }) {
  const { title, detail, remedy, code } = problem.details
  return (
    <div className="notice" role="alert">
      <h2>{title}</h2>
      {detail !== '' && <p>{detail}</p>}
      {remedy !== '' && <p className="muted">{remedy}</p>}
      <div className="actions">
        {retry && (
          <button type="button" className="button" onClick={retry}>
            Try again
          </button>
        )}
        <CodeLink code={code} />
      </div>
    </div>
  )
}

/** Codes of the error table have a page; the browser's own (no-connection, page) and bare HTTP statuses have not. */
export function CodeLink({ code }: { code: string }) {
  const ours = /^[a-z][a-z-]+$/.test(code) && code !== 'no-connection' && code !== 'page'
  if (!ours) return <code className="muted">{code}</code>
  return (
    <a className="mono" href={`/docs/errors#${code}`}>
      {code}
    </a>
  )
}

export function Skeleton({ width, height }: { width?: number | string; height: number }) {
  return <div className="skeleton" style={{ width: width ?? '100%', height }} aria-hidden="true" />
}

/** Rows that stand for what is being loaded. */
export function SkeletonRows({ count = 6, height = 48 }: { count?: number; height?: number }) {
  return (
    <output className="skeleton-rows">
      <span className="hidden">Loading</span>
      {Array.from({ length: count }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the rows are all alike and never move
        <Skeleton key={row} height={height} />
      ))}
    </output>
  )
}
