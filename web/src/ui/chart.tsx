/** Rates over time. Loaded when the health line is unfolded. */
import { useEffect, useRef } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'

interface Props {
  /** Seconds since the epoch, ascending. */
  at: number[]
  /** A second. */
  received: number[]
  predictions: number[]
}

const height = 148
/** A chart that has just begun is not drawn wider than this, seconds. */
const leastSeconds = 60

export function Chart({ at, received, predictions }: Props) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(null)
  useEffect(() => {
    const element = place.current
    if (!element) return
    const chart = new uPlot(options(element), [[], [], []], element)
    plot.current = chart
    const observer = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height }))
    observer.observe(element)
    return () => {
      observer.disconnect()
      chart.destroy()
      plot.current = null
    }
  }, [])
  useEffect(() => plot.current?.setData([at, received, predictions]), [at, received, predictions])
  return (
    <>
      <div ref={place} className="chart" role="img" aria-label="Images received and predictions made a second" />
      <p className="legend small muted">
        <svg width="20" height="8" aria-hidden="true">
          <path d="M0 4h20" stroke="var(--text)" strokeWidth="1.5" />
        </svg>
        received/s
        <svg width="20" height="8" aria-hidden="true">
          <path d="M0 4h20" stroke="var(--muted)" strokeWidth="1.5" strokeDasharray="4 3" />
        </svg>
        predictions/s
      </p>
    </>
  )
}

/** Two greys, told apart by their line: colour is kept for findings. */
function options(element: HTMLElement): uPlot.Options {
  const token = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
  const axis = {
    stroke: () => token('--muted'),
    grid: { stroke: () => token('--line'), width: 1 },
    ticks: { show: false },
  }
  return {
    width: element.clientWidth,
    height,
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { range: (_, first, last) => [Math.min(first, last - leastSeconds), last] },
      y: { range: (_, __, high) => [0, Math.max(1, high * 1.1)] },
    },
    axes: [
      { ...axis, space: 80, size: 28, incrs: [5, 10, 15, 30, 60, 120], values: (_, at) => at.map(clock) },
      { ...axis, size: 40 },
    ],
    series: [
      {},
      { label: 'received/s', stroke: () => token('--text'), width: 1.5, points: { show: false } },
      { label: 'predictions/s', stroke: () => token('--muted'), width: 1.5, dash: [4, 3], points: { show: false } },
    ],
  }
}

const clock = (seconds: number) => new Date(seconds * 1_000).toLocaleTimeString(undefined, { hourCycle: 'h23' })
