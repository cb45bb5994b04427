/** The replay view as a person uses it: a real Raylog with two versions of a model, a real browser. */
import { join } from 'node:path'
import type { Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { census } from '../harness/census.ts'
import { type Replay, startWithVersions } from '../pipeline/replay-kit.ts'
import { browserPath, type OpenPage, openPage, out, overflow, unnamed } from './browser.ts'

const sizes = { 390: 844, 1280: 800, 1920: 1080 } as const
const images = 80
const nameBefore = "getComputedStyle(document.querySelector('.table td.figure'), '::before').content"

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

    it('narrows the time line and the plan to studies, and to several sites', async () => {
      const { items } = await system.raylog.json<{ items: { id: string }[] }>('/api/v1/studies?limit=3')
      const studies = items.map(({ id }) => id)
      await page.getByLabel('Study ids').fill(studies.join(', '))
      await page.getByRole('img', { name: '3 images by arrival' }).waitFor()
      await page.getByLabel('Sites').fill('elsewhere')
      await page.getByRole('img', { name: '0 images by arrival' }).waitFor()
      await page.getByLabel('Sites').fill('elsewhere main')
      await page.getByRole('img', { name: '3 images by arrival' }).waitFor()
      await page.getByRole('button', { name: 'Plan' }).click()
      await page.locator('.plan').getByText('Within the filters').waitFor()
      expect(await page.locator('.plan').textContent()).toContain(`In the range${images} imagesWithin the filters3`)
      await page.getByLabel('Sites').fill('')
      await page.getByLabel('Study ids').fill('')
      await page.getByRole('img', { name: `${images} images by arrival` }).waitFor()
    })

    it('ends one that is cancelled where it is', async () => {
      await page.getByLabel('Images a second').fill('5')
      await page.getByRole('button', { name: 'Start' }).click()
      await page.getByText('Running').waitFor()
      await page.getByRole('button', { name: 'Cancel' }).click()
      await page.getByText('Cancelled').waitFor()
      expect(await page.getByRole('button', { name: /^(Pause|Resume|Cancel)$/ }).count()).toBe(0)
      const { items } = await system.raylog.json<{ items: Replay[] }>('/api/v1/replays')
      expect(items.map(({ state }) => state)).toEqual(['cancelled'])
      expect(items[0]?.counts.predicted).toBeLessThan(images)
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
      await page.getByRole('link', { name: 'pneumonia@2' }).first().click()
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
        // Where the heads of the columns are not shown each figure says what it is.
        const named = /Images/.test(await page.evaluate<string>(nameBefore))
        expect(named).toBe(width < 620)
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

    it('names the images that are gone, before and after', async () => {
      const { instances } = await census(system.raylog)
      const erased = instances.slice(0, 21)
      for (const { object } of erased) await system.erase(object.key)
      await page.setViewportSize({ width: 1280, height: 800 })
      await page.goto(`${system.raylog.url}/replay`)
      await page.getByRole('button', { name: 'Plan' }).click()
      const plan = page.locator('.plan')
      await plan.getByText(`${erased.length} of ${images} looked for`).waitFor()
      await plan.getByText('Which they are').click()
      const named = async (where: Locator) =>
        (await where.getByRole('link', { name: /^in_/ }).allTextContents()).toSorted()
      const ids = erased.map(({ id }) => id).toSorted()
      expect(await named(plan)).toEqual(ids)
      await page.screenshot({ path: join(out, 'replay-plan-gone.png'), fullPage: true })
      await page.getByRole('button', { name: 'Start' }).click()
      const newest = page.locator('.replays > li').first()
      await newest.getByText(`${erased.length} erased since`).waitFor()
      await newest.getByText('Done').waitFor()
      await newest.getByRole('link', { name: 'pneumonia@2' }).click()
      const gone = page.getByRole('region', { name: 'Erased since' })
      await gone.getByRole('link', { name: /^in_/ }).first().waitFor()
      expect(await named(gone)).toHaveLength(20)
      await gone.getByRole('button', { name: 'More' }).click()
      await expect.poll(() => named(gone)).toEqual(ids)
      expect(await unnamed(page)).toEqual([])
      expect(await overflow(page)).toBe(0)
      await gone.scrollIntoViewIfNeeded()
      await page.screenshot({ path: join(out, 'replay-gone.png') })
    })

    it('made the browser complain of nothing', () => {
      expect(opened.complaints.list).toEqual([])
    })
  },
)
