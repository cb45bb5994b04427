/** A row of a benchmark: what was measured, and the figures by name. */
export interface Row {
  what: string
  figures: Record<string, number | string>
}

/** Rows as a Markdown table; figures that a row lacks are left empty. */
export function markdown(rows: readonly Row[]): string {
  const names = [...new Set(rows.flatMap(({ figures }) => Object.keys(figures)))]
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [
    line(['', ...names]),
    line(['---', ...names.map(() => '---:')]),
    ...rows.map(({ what, figures }) => line([what, ...names.map(name => String(figures[name] ?? ''))])),
  ].join('\n')
}

export const median = (values: readonly number[]): number => quantile(values, 0.5)

export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
}

export const round = (value: number, digits = 0): number => Number(value.toFixed(digits))
