/** When images came, and the range that is chosen of it: with a pointer, or with the arrow keys on either end. */
import { useRef } from 'react'
import { integer, time } from '../format.ts'
import { useSize } from '../hooks.ts'
import type { Arrivals } from './api.ts'

interface Props {
  arrivals: Arrivals
  from: number
  to: number
  onChange(range: { from: number; to: number }): void
}

const height = 88

export function Timeline({ arrivals, from, to, onChange }: Props) {
  const [measure, { width }] = useSize()
  const dragged = useRef<number | null>(null)
  const span = Math.max(1, arrivals.to - arrivals.from)
  const most = Math.max(1, ...arrivals.counts)
  const step = span / Math.max(1, arrivals.counts.length)
  const clamp = (at: number) => Math.min(arrivals.to, Math.max(arrivals.from, at))
  const x = (at: number) => ((clamp(at) - arrivals.from) / span) * width
  const bar = width / Math.max(1, arrivals.counts.length)

  function timeAt(event: React.PointerEvent<Element>): number {
    const box = event.currentTarget.getBoundingClientRect()
    return clamp(arrivals.from + ((event.clientX - box.left) / Math.max(1, box.width)) * span)
  }
  function drag(event: React.PointerEvent<Element>) {
    if (dragged.current === null) return
    const at = timeAt(event)
    const [low, high] = [Math.min(dragged.current, at), Math.max(dragged.current, at)]
    if (high - low > span / 1_000) onChange({ from: Math.round(low), to: Math.round(high) })
  }
  const end = (which: 'from' | 'to') => {
    const at = which === 'from' ? from : to
    const move = (by: number) => {
      const next = Math.round(clamp(at + by))
      onChange(which === 'from' ? { from: Math.min(next, to - 1), to } : { from, to: Math.max(next, from + 1) })
    }
    return (
      <span
        className="handle"
        style={{ left: x(at) }}
        role="slider"
        tabIndex={0}
        aria-label={which === 'from' ? 'First arrival' : 'Arrivals before'}
        aria-valuemin={arrivals.from}
        aria-valuemax={arrivals.to}
        aria-valuenow={clamp(at)}
        aria-valuetext={time(at)}
        onKeyDown={event => {
          const sign = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10 }[event.key]
          if (sign === undefined) return
          event.preventDefault()
          move(sign * step)
        }}
      />
    )
  }
  return (
    <figure className="timeline">
      <div
        ref={measure}
        className="timeline-chart"
        onPointerDown={event => {
          if (event.button !== 0 || (event.target instanceof Element && event.target.matches('.handle'))) return
          event.currentTarget.setPointerCapture(event.pointerId)
          dragged.current = timeAt(event)
        }}
        onPointerMove={drag}
        onPointerUp={event => {
          drag(event)
          dragged.current = null
        }}
        onPointerCancel={() => {
          dragged.current = null
        }}
      >
        <svg
          width={width}
          height={height}
          role="img"
          aria-label={`${integer.format(arrivals.total)} images by arrival`}
        >
          <rect className="chosen" x={x(from)} y={0} width={Math.max(1, x(to) - x(from))} height={height} />
          {arrivals.counts.map((count, at) => {
            const start = arrivals.from + at * step
            const tall = count === 0 ? 0 : Math.max(2, (count / most) * (height - 12))
            const inside = start + step > from && start < to
            return (
              <rect
                key={start}
                className={inside ? 'column inside' : 'column'}
                x={at * bar + 0.5}
                y={height - tall}
                width={Math.max(1, bar - 1)}
                height={tall}
              />
            )
          })}
        </svg>
        {width > 0 && end('from')}
        {width > 0 && end('to')}
      </div>
      <figcaption className="small muted">
        <span>{time(arrivals.from)}</span>
        <span>{integer.format(most)} at most in one bar</span>
        <span>{time(arrivals.to)}</span>
      </figcaption>
    </figure>
  )
}
