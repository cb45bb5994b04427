/** A sparkline: shape only, its number stands beside it. Flat at the bottom when all is zero. */
export function Spark({
  values,
  width = 72,
  height = 18,
}: {
  values: readonly number[]
  width?: number
  height?: number
}) {
  const top = Math.max(1e-9, ...values)
  const slots = 60
  const shown = values.slice(-slots)
  const step = width / (slots - 1)
  const first = width - (shown.length - 1) * step
  const points = shown.map((value, i) => {
    const y = height - 1.5 - (value / top) * (height - 3)
    return `${(first + i * step).toFixed(1)},${y.toFixed(1)}`
  })
  return (
    <svg className="spark" width={width} height={height} aria-hidden="true">
      <path d={`M0 ${height - 0.5}H${width}`} stroke="var(--line)" />
      {points.length > 1 && <polyline points={points.join(' ')} fill="none" stroke="currentColor" strokeWidth="1.25" />}
    </svg>
  )
}
