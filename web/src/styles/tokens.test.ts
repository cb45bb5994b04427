import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const css = readFileSync(new URL('./tokens.css', import.meta.url), 'utf8')

/** Relative luminance and contrast, WCAG 2.2. */
function luminance(hex: string): number {
  const full = hex.length === 4 ? hex.replaceAll(/[0-9a-f]/g, '$&$&') : hex
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map(at => {
    const value = Number.parseInt(full.slice(at, at + 2), 16) / 255
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}

function contrast(a: string, b: string): number {
  const [low = 0, high = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y)
  return (high + 0.05) / (low + 0.05)
}

function tokensOf(block: string): Map<string, string> {
  return new Map(
    [...block.matchAll(/--([\w-]+):\s*(#[0-9a-f]{3,6});/g)].map(([, name = '', value = '']) => [name, value]),
  )
}

const [darkBlock = '', lightBlock = ''] = css.split(':root[data-theme="light"]')
const dark = tokensOf(darkBlock)
const themes = { dark, light: new Map([...dark, ...tokensOf(lightBlock)]) }

const grounds = ['bg', 'surface', 'raised']
const texts = ['text', 'muted', 'accent', 'red', 'amber', 'green']
const pairs = [
  ...texts.flatMap(text => grounds.map(ground => [text, ground, 4.5] as const)),
  ['on-accent', 'accent', 4.5] as const,
  ['on-mark', 'mark', 4.5] as const,
  // Borders of controls, and nothing finer, need 3 : 1.
  ...grounds.map(ground => ['edge', ground, 3] as const),
]

describe.each(Object.entries(themes))('the %s theme', (_, tokens) => {
  it.each(pairs)('%s on %s has a contrast of at least %d', (front, back, least) => {
    expect(contrast(tokens.get(front) ?? '#000', tokens.get(back) ?? '#000')).toBeGreaterThanOrEqual(least)
  })
})
