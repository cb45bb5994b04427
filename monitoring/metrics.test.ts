import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { createMetrics } from './metrics.ts'

const page = readFileSync(new URL('../docs/metrics.md', import.meta.url), 'utf8')

interface Described {
  name: string
  type: string
  help: string
  labels: readonly string[]
}

/** What the registry has, without what prom-client brings of Node and the process. */
function own(): Described[] {
  const { registry, ...all } = createMetrics()
  const named = Object.values(all).map(metric => {
    // What a metric was made with is its own, and in no type of prom-client's.
    const { name, help, labelNames } = metric as unknown as { name: string; help: string; labelNames: string[] }
    return { name, help, type: metric.constructor.name.toLowerCase(), labels: labelNames }
  })
  const known = new Set(named.map(({ name }) => name))
  for (const name of registry.getMetricsAsArray().map(metric => metric.name))
    expect(known.has(name) || /^raylog_(process|nodejs)_/.test(name), name).toBe(true)
  return named
}

/** What is measured has a base unit; what is counted is called what it is. */
const units = /_(seconds|bytes|events|images|clients)$/
const counted = /(^|_)(events|images|bytes|connections|restarts|deliveries|messages)(_|$)/
const notBase = /_(ms|milliseconds?|micros?|minutes?|hours?|kb|mb|kib|mib|kilobytes|megabytes|percent)(_|$)/
const labels = new Set(['stage', 'topic', 'code', 'producer', 'outcome', 'model', 'pool', 'channel', 'room'])

describe('each metric', () => {
  it.each(own().map(metric => [metric.name, metric] as const))(
    '%s has a name, a unit, a text and labels by the rule',
    (name, metric) => {
      expect(name).toMatch(/^raylog(_[a-z]+)+$/)
      expect(name).not.toMatch(notBase)
      expect(name.endsWith('_total')).toBe(metric.type === 'counter')
      if (metric.type === 'counter') expect(name).toMatch(counted)
      else expect(name).toMatch(units)
      expect(metric.help).toMatch(/^[a-z].{10,}[^.]$/)
      expect(metric.labels.filter(label => !labels.has(label))).toEqual([])
    },
  )

  it('is in docs/metrics.md as it is, and no other', () => {
    const rows = page.split('\n').filter(line => line.startsWith('| `raylog_'))
    const row = ({ name, type, labels: by, help }: Described) =>
      `| \`${name}\` | ${type} | ${by.map(label => `\`${label}\``).join(', ')} | ${help} |`
    expect(rows).toEqual(own().map(row))
  })
})

it('the delay of the event loop is seen where something holds it up', async () => {
  const { registry } = createMetrics()
  const slowest = async () => {
    const [value] = (await registry.getSingleMetric('raylog_nodejs_eventloop_lag_max_seconds')?.get())?.values ?? []
    return value?.value ?? 0
  }
  const turn = () => new Promise(resolve => setTimeout(resolve, 30))
  await turn()
  const until = performance.now() + 300
  while (performance.now() < until);
  await turn()
  // Scraping the first of its metrics sets them all.
  await registry.metrics()
  expect(await slowest()).toBeGreaterThan(0.25)
})
