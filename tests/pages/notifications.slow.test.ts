/** Notifications as a person uses them: a real Raylog, a real rule, a real browser. */
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Raylog, startRaylog } from '../harness/raylog.ts'
import { uploadChests } from '../harness/senders.ts'
import { until } from '../harness/until.ts'
import { browserPath, type OpenPage, openPage, out, overflow, unnamed } from './browser.ts'

const sizes = { 390: 844, 1280: 800 } as const

describe.skipIf(!browserPath)(
  `notifications (${browserPath ? 'in a browser' : 'skipped: no chromium is installed'})`,
  () => {
    let raylog: Raylog
    let opened: OpenPage
    let page: Page

    beforeAll(async () => {
      const notify = {
        channels: [{ name: 'page', kind: 'live' }],
        people: ['martin', 'chief'].map(name => ({ name, reach: [{ channel: 'page' }] })),
        rules: [
          {
            ...{ name: 'critical', on: 'prediction', findings: [{ present: null }], to: ['martin'] },
            acknowledge: { chain: ['chief'] },
          },
        ],
      }
      const set = Object.entries(notify).map(([name, value]) => `notify.${name}=${JSON.stringify(value)}`)
      raylog = await startRaylog({ set: ['logLevel=warn', ...set] })
      opened = await openPage()
      page = opened.page
    })
    afterAll(async () => {
      await opened?.[Symbol.asyncDispose]()
      await raylog?.[Symbol.asyncDispose]()
    })

    it('say that there are none, and fill by themselves', async () => {
      await page.goto(`${raylog.url}/notifications?token=${raylog.token}`)
      await page.getByText('Nobody was told of anything yet').waitFor()
      for (const study of [1, 2, 3]) await uploadChests(raylog, [study], { study, size: 128 })
      await page.locator('.notice-line').nth(2).waitFor()
      expect(await unnamed(page)).toEqual([])
    })

    it('are opened, seen and acknowledged in the name that was given', async () => {
      const notices = () =>
        raylog.json<{ items: { outcome: string | null; trail: { what: string }[] }[] }>('/api/v1/notifications')
      await page.getByLabel('Your name in the settings').fill('martin')
      await page.locator('.notice-what a').first().click()
      await page.locator('.notice-trail').getByText('Sent: martin by page').waitFor()
      await page.screenshot({ path: join(out, 'notification.png') })
      await until('it is noted that it was seen', async () => {
        const { items } = await notices()
        return items.some(({ trail }) => trail.some(({ what }) => what === 'seen'))
      })
      await page.locator('.notice-one').getByRole('button', { name: 'Acknowledge' }).click()
      await page.locator('.notice-one').getByText('Acknowledged by martin').waitFor()
      const { items } = await notices()
      const mine = items.find(({ outcome }) => outcome === 'acknowledged')
      expect(mine?.trail.map(({ what }) => what)).toEqual(['sent', 'seen', 'acknowledged'])
      await until('the trail is in the audit', async () => {
        const audit = await raylog.json<{ items: { action: string }[] }>('/api/v1/audit?action=result-acknowledged')
        return audit.items.length === 1
      })
    })

    it.each([390, 1280] as const)('fit %i pixels, light and dark', async width => {
      await page.setViewportSize({ width, height: sizes[width] })
      for (const scheme of ['light', 'dark'] as const) {
        await page.evaluate(`localStorage.setItem('raylog.theme', '${scheme}')`)
        await page.reload()
        await page.locator('.notice-line').first().waitFor()
        expect(await overflow(page)).toBe(0)
        await page.screenshot({ path: join(out, `notifications-${width}-${scheme}.png`) })
      }
      expect(opened.complaints.list).toEqual([])
    })
  },
)
