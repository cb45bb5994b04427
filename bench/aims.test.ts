import { expect, it } from 'vitest'
import { verdict } from './aims.ts'

it('says of each row whether it reached its aim, and nothing of rows that have none', () => {
  const aims = [
    { rows: 'ResNet-50', figure: 'ratio', least: 0.9 },
    { rows: 'SqueezeNet', figure: 'ratio', least: 0.75 },
    { figure: 'p99 ms', most: 100 },
  ]
  const rows = [
    { what: 'ResNet-50, a CT', figures: { ratio: 0.9 } },
    { what: 'SqueezeNet, a CT', figures: { ratio: 0.749 } },
    { what: 'digits', figures: { ratio: 0.1, 'p99 ms': 100.1 } },
  ]
  expect(verdict(aims, rows)).toBe(
    'The aim, ratio at least 0.9, is met by ResNet-50, a CT: 0.9. ' +
      'The aim, ratio at least 0.75, is **not met** by SqueezeNet, a CT: 0.749. ' +
      'The aim, p99 ms at most 100, is **not met** by digits: 100.1.',
  )
  expect(verdict(aims, [{ what: 'ResNet-50', figures: { ratio: 'none' } }])).toBe('')
})
