/** The line of figures above every view, against what the API says; and parked events, which a person settles. */
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { digitPng } from '../../producers/simulator/phantoms.ts'
import { listAll } from '../harness/census.ts'
import type { Raylog } from '../harness/raylog.ts'
import { until } from '../harness/until.ts'
import { type OpenPage, out } from './browser.ts'
import { send } from './ways.ts'

interface Opened {
  raylog: Raylog
  page: Page
  complaints: OpenPage['complaints']
  /** Its webhook is answered no sooner. */
  hold(until: Promise<void>): void
}

const timeout = 30_000

export function stripTests(opened: () => Opened): void {
  /** What it says of each. */
  const figure = async (name: string) =>
    Number(await opened().page.locator('.strip .metric', { hasText: name }).locator('b').textContent())

  it('says what waits, as the API has it, and what came in a second', async () => {
    const { raylog, page, hold } = opened()
    const pulses = pulsesOf(page)
    await page.goto(raylog.url)
    await expect.poll(() => figure('received/s'), { timeout }).toBe(0)
    await expect.poll(() => figure('waiting'), { timeout }).toBe(0)

    const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
    hold(answered)
    // At once: a rate is that of five seconds.
    const three = await Promise.all([1, 2, 3].map(n => digitPng(500 + n)))
    await Promise.all(three.map((png, n) => send(raylog, `${n}.png`, png, { model: 'digits' })))
    for (const [name, of] of [
      ['received/s', 'received'],
      ['predictions/s', 'predictions'],
    ] as const) {
      const shown = await until('it says that some came', () => figure(name))
      expect(pulses.map(({ rates }) => rates[of])).toContain(shown)
      await until(`a rate is that of the three of the last seconds: ${name}`, () => pulses.some(isRateOf(3, of)))
    }
    await until('its receiver keeps them waiting', async () => (await lagOf(raylog)).get('notify') === 3)
    await expect.poll(() => figure('waiting'), { timeout }).toBe(3)
    await page.locator('.strip .line').click()
    await page.locator('.strip .unfolded').getByText('notify 3').waitFor()
    await page.locator('.strip .line').click()
    answer()
    await expect.poll(() => figure('waiting'), { timeout }).toBe(0)
    await until('the API says so too', async () => [...(await lagOf(raylog)).values()].every(lag => lag === 0))
  })

  it('says that all is well, and otherwise which part is not, as the API has it', async () => {
    const { raylog, page, complaints } = opened()
    complaints.pause()
    const parts = async () => {
      const { parts } = z.object({ parts: z.array(part) }).parse(await (await raylog.get(health)).json())
      return parts
    }
    const listed = page.locator('.strip .parts li')
    const line = page.locator('.strip .line')
    await line.getByText('All parts well').waitFor()
    await line.click()
    await listed.first().waitFor()
    expect(await listed.locator('b').allTextContents()).toEqual((await parts()).map(({ part }) => part))
    expect(await listed.getByText('well', { exact: true }).count()).toBe((await parts()).length)

    const aside = join(raylog.data, 'inbox-aside')
    await rename(raylog.inbox, aside)
    const failing = await until('the API says so', async () =>
      (await parts()).find(({ part, ok }) => part === 'watch' && !ok),
    )
    await line.getByText(`watch: ${failing.reason}`).waitFor()
    await listed
      .filter({ hasText: failing.remedy ?? 'no remedy' })
      .getByText('watch')
      .waitFor()
    await rename(aside, raylog.inbox)
    await line.getByText('All parts well').waitFor()
    await line.click()
    complaints.resume()
  })

  it('counts what is parked, which a person retries and drops', async () => {
    const { raylog, page, complaints } = opened()
    // What is damaged has no preview either.
    complaints.pause()
    const parked = (state: string) => listAll<{ id: string }>(raylog, `parked?state=${state}`)
    expect([await figure('parked'), await parked('parked')]).toEqual([0, []])
    const whole = await digitPng(600, 4)
    await send(raylog, 'cut.png', whole.subarray(0, whole.length / 2), { model: 'digits' })
    const [first] = await until('it is parked', async () => {
      const found = await parked('parked')
      return found.length === 1 ? found : undefined
    })
    await expect.poll(() => figure('parked'), { timeout }).toBe(1)
    await page.getByRole('navigation', { name: 'Views' }).getByText('Parked').click()
    await page.screenshot({ path: join(out, 'parked-one.png') })
    await page.getByRole('button', { name: 'Retry' }).click()
    await until('it was retried', async () => (await parked('retried')).some(({ id }) => id === first?.id))
    // It is as damaged as before, so it is parked once more: another event, in a row of its own.
    const [second] = await until('it is parked again', async () => {
      const found = await parked('parked')
      return found.length === 1 ? found : undefined
    })
    await expect.poll(() => figure('parked'), { timeout }).toBe(1)
    const row = page.locator('tbody tr')
    await row.getByRole('button', { name: 'Drop…' }).click()
    await row.getByRole('button', { name: 'Keep' }).click()
    await row.getByRole('button', { name: 'Drop…' }).click()
    expect(await parked('dropped')).toEqual([])
    await row.getByRole('button', { name: 'Drop for good' }).click()
    await page.getByText('Nothing is parked.').waitFor()
    expect((await parked('dropped')).map(({ id }) => id)).toEqual([second?.id])
    await expect.poll(() => figure('parked'), { timeout }).toBe(0)
    complaints.resume()
  })
}

const health = '/api/v1/monitoring/health'
const part = z.object({ part: z.string(), ok: z.boolean(), reason: z.string().nullish(), remedy: z.string().nullish() })

/** By stage. */
async function lagOf(raylog: Raylog): Promise<Map<string, number>> {
  const { items } = await raylog.json<{ items: { stage: string; lag: number }[] }>('/api/v1/monitoring/lag')
  const byStage = Map.groupBy(items, ({ stage }) => stage)
  return new Map([...byStage].map(([stage, of]) => [stage, of.reduce((sum, { lag }) => sum + lag, 0)]))
}

interface Pulse {
  at: number
  rates: { received: number; predictions: number }
}

/** What the server tells the page each second, from the next socket on. */
function pulsesOf(page: Page): Pulse[] {
  const pulses: Pulse[] = []
  const begin = '42["pulse",'
  page.on('websocket', socket =>
    socket.on('framereceived', ({ payload }) => {
      const text = String(payload)
      if (text.startsWith(begin)) pulses.push(JSON.parse(text.slice(begin.length, -1)))
    }),
  )
  return pulses
}

/** The rate is of so many images since the fifth pulse before it, to the tenth to which rates are told. */
const isRateOf = (images: number, of: keyof Pulse['rates']) => (now: Pulse, index: number, all: Pulse[]) => {
  const from = all[index - 5]
  if (!from) return false
  const seconds = (now.at - from.at) / 1_000
  return now.rates[of] > 0 && Math.abs(now.rates[of] - images / seconds) <= 0.05 + 1e-9
}
