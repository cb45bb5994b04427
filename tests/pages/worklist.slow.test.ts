/** The worklist and a study as a person uses them: a real Raylog, a real model, a real browser. */
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { WorklistLine } from '../../gateway/api/worklist.ts'
import { type Raylog, startRaylog } from '../harness/raylog.ts'
import { uploadChests } from '../harness/senders.ts'
import { until } from '../harness/until.ts'
import { browserPath, type OpenPage, openPage, out, overflow, unnamed } from './browser.ts'

const sizes = { 390: 844, 1280: 800, 1920: 1080 } as const
const studies = 12

describe.skipIf(!browserPath)(
  `the worklist (${browserPath ? 'in a browser' : 'skipped: no chromium is installed'})`,
  () => {
    let raylog: Raylog
    let opened: OpenPage
    let page: Page

    const send = (study: number, images: readonly number[], priority?: string) =>
      uploadChests(raylog, images, { study, ...(priority && { priority }) })
    const lines = async () => (await raylog.json<{ items: WorklistLine[] }>('/api/v1/worklist?state=all')).items

    beforeAll(async () => {
      raylog = await startRaylog({
        set: [
          ...['logLevel=warn', 'assess-study.idleMs={DX: 1500}', 'assess-study.lateMs=300'],
          // Priorities are those of the orders.
          'assess-study.findings=[{models: [], priority: routine}]',
        ],
      })
      opened = await openPage()
      page = opened.page
    })
    afterAll(async () => {
      await opened?.[Symbol.asyncDispose]()
      await raylog?.[Symbol.asyncDispose]()
    })

    it('says how to send the first image while there is none', async () => {
      await page.goto(`${raylog.url}/worklist?token=${raylog.token}`)
      await page.getByText('Nothing is to be read').waitFor()
      await page.screenshot({ path: join(out, 'worklist-empty.png') })
      await page.getByRole('link', { name: 'Show all studies' }).click()
      await page
        .getByText(/storescu|raylog -- send/)
        .first()
        .waitFor()
      await page.goto(`${raylog.url}/worklist`)
    })

    it('fills by itself, the most urgent first', async () => {
      for (let study = 1; study <= studies; study++)
        await send(
          study,
          [1, 2, 3].map(n => study * 10 + n).slice(0, 1 + (study % 3)),
          study === 5 || study === 9 ? 'stat' : study === 7 || study === 11 ? 'urgent' : 'routine',
        )
      const done = await until('all are assessed', async () => {
        const all = await lines()
        return all.length === studies && all.every(({ revision }) => revision > 0) ? all : undefined
      })
      const ranks = { stat: 0, urgent: 1, routine: 2 }
      for (const priority of ['stat', 'urgent', 'routine'] as const)
        expect(done.filter(one => one.priority === priority).length).toBeGreaterThan(1)
      const inOrder = done.toSorted((a, b) => ranks[a.priority] - ranks[b.priority] || a.firstAt - b.firstAt)
      expect(done.map(({ id }) => id)).toEqual(inOrder.map(({ id }) => id))
      await page.locator('.study-line .mark-under-way').first().waitFor({ state: 'detached' })
      await page
        .locator('.study-line')
        .nth(studies - 1)
        .waitFor()
      const shown = () => page.locator('.study-line').evaluateAll(all => all.map(line => line.id.slice('line-'.length)))
      await expect.poll(shown).toEqual(done.map(({ id }) => id))
      expect(await unnamed(page)).toEqual([])
    })

    it('is walked with j and k, opened with Enter, and has its place in the address', async () => {
      for (const key of ['j', 'j', 'j', 'k']) await page.keyboard.press(key)
      const [, second] = await lines()
      await page.waitForURL(url => url.searchParams.get('at') === second?.id)
      await page.keyboard.press('Enter')
      await page.waitForURL(new RegExp(`/worklist/${second?.id}`))
      await page.getByRole('heading', { name: /DX CHEST/ }).waitFor()
      await page.keyboard.press('Escape')
      await page.waitForURL(url => url.pathname === '/worklist' && url.searchParams.get('at') === second?.id)
      await page.locator('.study-line.current').waitFor()
    })

    it('shows a finding beside its image; one key accepts it, one corrects it, and a revision follows', async () => {
      const one = (await lines()).find(({ findings, images }) => findings.length > 0 && images > 1)
      if (!one) throw new Error('nothing was found in any study')
      await page.goto(`${raylog.url}/worklist/${one.id}`)
      await page.locator('.finding-block h2', { hasText: 'Pneumonia' }).waitFor()
      await page.locator('.picture img').waitFor()
      await page.screenshot({ path: join(out, 'study.png') })
      await page.keyboard.press('a')
      await page.getByText('Accepted').waitFor()
      await page.keyboard.press('n')
      await page.waitForURL(/image=/)
      await page.keyboard.press('p')
      await page.keyboard.press('c')
      await page.getByText('Corrected to Normal').waitFor()
      const next = one.revision + 1
      await page.getByText(`Revision ${next}`, { exact: true }).waitFor()
      const detail = await raylog.json<{ revisions: { revision: number; findings: { corrected: number }[] }[] }>(
        `/api/v1/studies/${one.id}`,
      )
      expect(detail.revisions[0]).toMatchObject({ revision: next, findings: [{ corrected: 1 }] })
      expect(await unnamed(page)).toEqual([])
    })

    it('lets go of a study that was reviewed', async () => {
      const [first] = await lines()
      await page.goto(`${raylog.url}/worklist/${first?.id}`)
      await page.getByRole('button', { name: /Reviewed/ }).waitFor()
      await page.keyboard.press('r')
      await page.waitForURL(url => url.pathname === '/worklist')
      await page.locator(`#line-${first?.id}`).waitFor({ state: 'detached' })
      await page.getByRole('button', { name: 'Reviewed', exact: true }).click()
      const age = page.locator(`#line-${first?.id} .study-age`)
      await age.getByText('Read', { exact: true }).waitFor()
      expect(await age.locator('time').count()).toBe(0)
    })

    it('says how long each waits, as time goes by', async () => {
      await using other = await openPage()
      await other.page.goto(`${raylog.url}/worklist?token=${raylog.token}`)
      const open = (await lines()).filter(({ state }) => state !== 'reviewed')
      const said = async () => {
        const all = await other.page.locator('.study-line').evaluateAll(list =>
          list.map(line => {
            const shown = line.querySelector('.study-age time')
            return [line.id.slice('line-'.length), shown?.getAttribute('datetime'), shown?.textContent]
          }),
        )
        return all.map(([id, since, age]) => ({ id, since, age }))
      }
      await other.page
        .locator('.study-line')
        .nth(open.length - 1)
        .waitFor()
      const since = open.map(({ id, firstAt }) => ({ id, since: new Date(firstAt).toISOString() }))
      expect((await said()).map(({ id, since }) => ({ id, since }))).toEqual(since)
      for (const [later, words] of [
        [0, /^(now|\d+ s|\d min)$/],
        [3_600_000 * 3 + 60_000, /^3 h$/],
        [86_400_000 * 2 + 60_000, /^2 d$/],
      ] as const) {
        await other.page.clock.setFixedTime(Date.now() + later)
        await until('it is said', async () => (await said()).every(({ age }) => words.test(age ?? '')))
      }
    })

    it('lets a person say that no more images come', async () => {
      // Without the person this study would gather images for an hour.
      await using patient = await startRaylog({ set: ['logLevel=warn', 'assess-study.idleMs={DX: 3600000}'] })
      await using other = await openPage()
      await uploadChests(patient, [991], { study: 99, priority: 'urgent' })
      const gathering = await until('it is on the list', async () => {
        const { items } = await patient.json<{ items: WorklistLine[] }>('/api/v1/worklist?state=all')
        return items.find(({ state }) => state === 'gathering')
      })
      await other.page.goto(`${patient.url}/worklist/${gathering.id}?token=${patient.token}`)
      await other.page.getByRole('button', { name: 'No more images come' }).click()
      await other.page.getByText('Revision 1', { exact: true }).waitFor()
      const { revisions } = await patient.json<{ revisions: { completedBy: string; instances: number }[] }>(
        `/api/v1/studies/${gathering.id}`,
      )
      expect(revisions).toMatchObject([{ completedBy: 'forced', instances: 1 }])
      expect(other.complaints.list).toEqual([])
    })

    it.each([390, 1280, 1920] as const)('fits %i pixels, light and dark', async width => {
      await page.setViewportSize({ width, height: sizes[width] })
      const one =
        (await lines()).find(({ findings, images }) => findings.length > 0 && images > 1) ?? (await lines())[0]
      for (const theme of ['dark', 'light']) {
        await page.goto(`${raylog.url}/worklist?state=all`)
        await page.evaluate(
          `localStorage.setItem('raylog.theme', '${theme}'); document.documentElement.dataset.theme = '${theme}'`,
        )
        await page.locator('.study-line').first().waitFor()
        expect(await overflow(page)).toBe(0)
        await page.screenshot({ path: join(out, `worklist-${theme}-${width}.png`) })
        await page.goto(`${raylog.url}/worklist/${one?.id}`)
        await page.locator('.picture img').waitFor()
        await page.locator('.image-strip img.shown').first().waitFor()
        expect(await overflow(page)).toBe(0)
        await page.screenshot({ path: join(out, `study-${theme}-${width}.png`), fullPage: true })
      }
    })

    it('keeps the place of a picture that loads, seen, and still where motion is not wanted', async () => {
      const one = (await lines()).find(({ images }) => images > 1)
      const held = Promise.withResolvers<void>()
      await page.route(/preview/, async route => {
        await held.promise
        await route.continue()
      })
      await page.emulateMedia({ reducedMotion: 'reduce' })
      // What is held back holds back the page's load event too.
      await page.goto(`${raylog.url}/worklist/${one?.id}`, { waitUntil: 'commit' })
      const places = () =>
        page.evaluate<string>(
          `JSON.stringify([...document.querySelectorAll('.picture, .thumb, .viewer-tools, .strip-note')].map(one => one.getBoundingClientRect()))`,
        )
      await page.locator('.picture.loading').waitFor()
      await page.locator('.thumb.loading').first().waitFor()
      const before = await places()
      const painted = await page.evaluate<Record<string, string>>(`(() => {
        const { backgroundColor, animationName } = getComputedStyle(document.querySelector('.picture'), '::after')
        return { backgroundColor, animationName }
      })()`)
      expect(painted).toEqual({ backgroundColor: 'rgb(54, 60, 66)', animationName: 'none' })
      await page.keyboard.press('f')
      await page.locator('dialog .whole.loading').waitFor()
      held.resolve()
      await page.locator('dialog .whole img.shown').waitFor()
      expect(await page.locator('.whole.loading').count()).toBe(0)
      expect(await overflow(page)).toBe(0)
      await page.keyboard.press('f')
      await page.locator('.picture img.shown').waitFor()
      await page.locator('.thumb.loading').first().waitFor({ state: 'detached' })
      expect(await page.locator('.picture.loading').count()).toBe(0)
      expect(await places()).toBe(before)
      await page.unrouteAll({ behavior: 'ignoreErrors' })
      await page.emulateMedia({ reducedMotion: null })
    })

    it('shows a label of any length whole on a phone, beside its score', async () => {
      const label = `Bronchopneumonia_${'bilateral_'.repeat(8)}unconfirmed or something else altogether`
      await page.setViewportSize({ width: 390, height: sizes[390] })
      await page.route(/api\/v1\/(studies|worklist|instances)(\/[^/]*)?(\?|$)/, async route => {
        const response = await route.fetch()
        const body = (await response.text()).replaceAll('Pneumonia', label)
        await route.fulfill({ response, body })
      })
      const one = (await lines()).find(({ findings }) => findings.length > 0)
      const { instances } = await raylog.json<{ instances: { id: string }[] }>(`/api/v1/studies/${one?.id}`)
      for (const path of ['/worklist?state=all', `/worklist/${one?.id}`, `/instances/${instances[0]?.id}`]) {
        await page.goto(`${raylog.url}${path}`)
        const said = page.locator('.study-what, .finding-block h2').filter({ hasText: label }).first()
        await said.waitFor()
        expect(await overflow(page)).toBe(0)
        expect(
          await said.evaluate(
            (element: { scrollWidth: number; clientWidth: number }) => element.scrollWidth - element.clientWidth,
          ),
        ).toBe(0)
      }
      expect((await page.locator('.finding-block .number').first().boundingBox())?.height).toBeLessThan(40)
      await page.unrouteAll({ behavior: 'ignoreErrors' })
      // In a row of the feed it has two lines, and what stands below has its place.
      for (const width of [390, 1280] as const) {
        await page.setViewportSize({ width, height: sizes[width] })
        await page.goto(`${raylog.url}/`)
        await page.locator('.row:not(.unsaid) .label').first().waitFor()
        // Written by hand, and measured before anything that comes live writes it anew.
        const [row, said, by, facts] = await page.evaluate<{ top: number; bottom: number; height: number }[]>(`(() => {
          const row = document.querySelector('.row:not(.unsaid)')
          row.querySelector('.label').textContent = ${JSON.stringify(label)}
          const parts = ['.label', '.said', '.facts'].map(one => row.querySelector(one))
          return [row, ...parts].map(one => one.getBoundingClientRect().toJSON())
        })()`)
        if (!row || !said || !by || !facts) throw new Error('no row')
        expect(said.height).toBeGreaterThanOrEqual(36)
        expect(by.top).toBeGreaterThanOrEqual(said.bottom - 1)
        for (const part of [said, by, facts]) {
          expect(part.top).toBeGreaterThanOrEqual(row.top)
          expect(part.bottom).toBeLessThanOrEqual(row.bottom)
        }
        await page.screenshot({ path: join(out, `long-label-${width}.png`) })
      }
    })

    it('says what is wrong when the study is not there', async () => {
      opened.complaints.pause()
      await page.goto(`${raylog.url}/worklist/st_none`)
      await page.getByRole('alert').waitFor()
      opened.complaints.resume()
    })

    it('made the browser complain of nothing', () => {
      expect(opened.complaints.list).toEqual([])
    })
  },
)
