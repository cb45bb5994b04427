/** The replay view as a person uses it: a real Raylog with two versions of a model, a real browser. */
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startWithVersions } from '../pipeline/replay-kit.ts'
import { browserPath, type OpenPage, openPage, out, overflow, unnamed } from './browser.ts'

const sizes = { 390: 844, 1280: 800, 1920: 1080 } as const
const images = 80

describe.skipIf(!browserPath)(
  `the replay view (${browserPath ? 'in a browser' : 'skipped: no chromium is installed'})`,
  () => {
    let system: Awaited<ReturnType<typeof startWithVersions>>
    let opened: OpenPage
    let page: Page

    beforeAll(async () => {
      system = await startWithVersions()
      await system.send(Array.from({ length: images / 2 }, (_, n) => n + 1))
      await system.send(Array.from({ length: images / 2 }, (_, n) => n + 101))
      opened = await openPage()
      page = opened.page
      await page.goto(`${system.raylog.url}/replay?token=${system.raylog.token}`)
    })
    afterAll(async () => {
      await opened?.[Symbol.asyncDispose]()
      await system?.[Symbol.asyncDispose]()
    })

    it('plans what is chosen, with the dates in the address', async () => {
      await page.getByRole('heading', { name: 'Replay' }).waitFor()
      await page.getByRole('img', { name: `${images} images by arrival` }).waitFor()
      expect(await page.getByLabel('Model version').inputValue()).toBe('pneumonia@2')
      await page.getByRole('button', { name: 'Last day' }).click()
      await page.waitForURL(/from=\d{4}-\d\d-\d\dT.*&to=/)
      await page.getByRole('button', { name: 'Plan' }).click()
      await page.locator('.plan').getByText('pneumonia@1').waitFor()
      const plan = await page.locator('.plan').textContent()
      expect(plan).toContain(`In the range${images} images`)
      expect(plan).toContain(`Erased since0 of ${images}`)
      expect(await unnamed(page)).toEqual([])
      await page.screenshot({ path: join(out, 'replay-plan.png') })
    })

    it('chooses a range with a pointer and with the arrow keys', async () => {
      const box = await page.locator('.timeline-chart').boundingBox()
      if (!box) throw new Error('there is no time line')
      const before = page.url()
      await page.mouse.move(box.x + box.width * 0.25, box.y + 20)
      await page.mouse.down()
      await page.mouse.move(box.x + box.width * 0.75, box.y + 20, { steps: 5 })
      await page.mouse.up()
      await page.waitForURL(url => url.href !== before)
      const dragged = page.url()
      await page.getByRole('slider', { name: 'First arrival' }).focus()
      await page.keyboard.press('ArrowLeft')
      await page.waitForURL(url => url.href !== dragged)
      await page.getByRole('button', { name: 'All', exact: true }).click()
    })

    it('starts one, shows how far it is, and lets it rest and go on', async () => {
      await page.getByLabel('Images a second').fill('5')
      await page.getByRole('button', { name: 'Start' }).click()
      await page.getByText('Running').waitFor()
      await page.getByRole('button', { name: 'Pause' }).click()
      await page.getByText('Paused').waitFor()
      await page.screenshot({ path: join(out, 'replay-list.png') })
      await page.getByRole('button', { name: 'Resume' }).click()
      await page.getByText('Done').waitFor({ timeout: 240_000 })
    })

    it('ends in a comparison: agreement, shift, and the pictures that flipped', async () => {
      await page.getByRole('link', { name: 'pneumonia@2' }).click()
      await page.waitForURL(/\/replay\/rr_/)
      await page.getByRole('heading', { name: 'Agreement' }).waitFor()
      await page.locator('.flip-card img.shown').first().waitFor()
      const sumOf = async (cells: string) =>
        (await page.locator(cells).allTextContents()).reduce((sum, count) => sum + Number(count), 0)
      await expect.poll(() => sumOf('.matrix td.same, .matrix td.flip')).toBe(images)
      const all = await page.getByRole('button', { name: /^All / }).textContent()
      expect(all).toBe(`All ${await sumOf('.matrix td.flip')}`)
      const up = page.getByRole('button', { name: /^To Pneumonia / })
      await up.click()
      await page.locator('.flip-card', { hasText: '→ Normal' }).first().waitFor({ state: 'detached' })
      const counted = Number((await up.textContent())?.split(' ').at(-1))
      await expect.poll(() => page.locator('.flip-card').count()).toBe(counted)
      expect(await unnamed(page)).toEqual([])
    })

    it.each([390, 1280, 1920] as const)('fits %i pixels, light and dark', async width => {
      await page.setViewportSize({ width, height: sizes[width] })
      const comparison = page.url()
      for (const theme of ['dark', 'light']) {
        await page.evaluate(
          `localStorage.setItem('raylog.theme', '${theme}'); document.documentElement.dataset.theme = '${theme}'`,
        )
        await page.goto(comparison)
        await page.locator('.flip-card img.shown').first().waitFor()
        expect(await overflow(page)).toBe(0)
        await page.screenshot({ path: join(out, `replay-${theme}-${width}.png`) })
        await page.locator('.flips').scrollIntoViewIfNeeded()
        await page.screenshot({ path: join(out, `replay-flips-${theme}-${width}.png`) })
        await page.goto(`${system.raylog.url}/replay`)
        await page.getByText('Done').waitFor()
        expect(await overflow(page)).toBe(0)
        await page.screenshot({ path: join(out, `replay-form-${theme}-${width}.png`) })
      }
      await page.goto(comparison)
    })

    it('made the browser complain of nothing', () => {
      expect(opened.complaints.list).toEqual([])
    })
  },
)
