import type { Histogram } from '../../../gateway/api/replays-statistics.ts'
import { integer } from '../format.ts'
import { useSize } from '../hooks.ts'

const height = 120
const room = 22

const binsOf = ({ from, to, counts }: Histogram) => {
  const width = (to - from) / counts.length
  return counts.map((count, at) => ({ count, from: from + at * width, to: from + (at + 1) * width }))
}

/** One distribution. Shares of many images differ by orders of magnitude, so heights are the square root of the counts. */
export function Bars({ of, what }: { of: Histogram; what: string }) {
  const [measure, { width }] = useSize()
  const most = Math.sqrt(Math.max(1, ...of.counts))
  const bin = width / of.counts.length
  const tall = (count: number) => (Math.sqrt(count) / most) * (height - room - 4)
  return (
    <div ref={measure} className="histogram">
      <svg width={width} height={height} role="img" aria-label={what}>
        {binsOf(of).map(({ count, from, to }, at) => (
          <rect
            key={from}
            className="column"
            x={at * bin + 0.5}
            y={height - room - tall(count)}
            width={Math.max(1, bin - 1)}
            height={tall(count)}
          >
            <title>{`${from.toFixed(2)} to ${to.toFixed(2)}: ${integer.format(count)}`}</title>
          </rect>
        ))}
        <Axis width={width} labels={[of.from, (of.from + of.to) / 2, of.to]} />
      </svg>
    </div>
  )
}

/** Two distributions over one axis: told apart by their line, as colour is kept for findings. */
export function Lines({ production, candidate }: { production: Histogram; candidate: Histogram }) {
  const [measure, { width }] = useSize()
  const most = Math.sqrt(Math.max(1, ...production.counts, ...candidate.counts))
  const pathOf = ({ counts }: Histogram) => {
    const bin = width / counts.length
    const tops = counts.map((count, at) => {
      const y = (height - room - (Math.sqrt(count) / most) * (height - room - 4)).toFixed(1)
      return `${at === 0 ? 'M' : 'L'}${(at * bin).toFixed(1)} ${y}H${((at + 1) * bin).toFixed(1)}`
    })
    return tops.join('')
  }
  return (
    <>
      <div ref={measure} className="histogram">
        <svg width={width} height={height} role="img" aria-label="Scores of production and of the candidate">
          <path className="line before" d={pathOf(production)} />
          <path className="line" d={pathOf(candidate)} />
          <Axis width={width} labels={[production.from, (production.from + production.to) / 2, production.to]} />
        </svg>
      </div>
      <p className="legend small muted">
        <svg width="20" height="8" aria-hidden="true">
          <path d="M0 4h20" stroke="var(--text)" strokeWidth="1.5" />
        </svg>
        candidate
        <svg width="20" height="8" aria-hidden="true">
          <path d="M0 4h20" stroke="var(--muted)" strokeWidth="1.5" strokeDasharray="4 3" />
        </svg>
        production
      </p>
    </>
  )
}

function Axis({ width, labels: [first, middle, last] }: { width: number; labels: [number, number, number] }) {
  const y = height - 4
  return (
    <>
      <path className="axis" d={`M0 ${height - room + 0.5}H${width}M${width / 2} ${height - room}v4`} />
      <text x={0} y={y}>
        {first}
      </text>
      <text x={width / 2} y={y} textAnchor="middle">
        {middle}
      </text>
      <text x={width} y={y} textAnchor="end">
        {last}
      </text>
    </>
  )
}
