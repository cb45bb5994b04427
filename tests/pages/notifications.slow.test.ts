/** Notifications as a person uses them: a real Raylog, a real rule, a real browser. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chestDicom } from '../../producers/simulator/phantoms.ts'
import { type Raylog, startRaylog } from '../harness/raylog.ts'
import { until } from '../harness/until.ts'
import { browserPath, launch, listenForComplaints, overflow, unnamed } from './browser.ts'

const out = join(import.meta.dirname, 'out')
const sizes = { 390: 844, 1280: 800 } as const

describe.skipIf(!browserPath)(
  `notifications (${browserPath ? 'in a browser' : 'skipped: no chromium is installed'})`,
  () => {
    let raylog: Raylog
    let browser: Browser
    let page: Page
    let complaints: ReturnType<typeof listenForComplaints>

    beforeAll(async () => {
      mkdirSync(out, { recursive: true })
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
      browser = await launch()
      page = await (await browser.newContext({ viewport: { width: 1280, height: 800 } })).newPage()
      page.setDefaultTimeout(20_000)
      complaints = listenForComplaints(page)
    })
    afterAll(async () => {
      await browser?.close()
      await raylog?.[Symbol.asyncDispose]()
    })

    it('say that there are none, and fill by themselves', async () => {
      await page.goto(`${raylog.url}/notifications?token=${raylog.token}`)
      await page.getByText('Nobody was told of anything yet').waitFor()
      const form = new FormData()
      for (const study of [1, 2, 3]) {
        const bytes = new Uint8Array(chestDicom(study, { size: 128, study }))
        form.append('file', new Blob([bytes], { type: 'application/dicom' }), `${study}.dcm`)
      }
      expect((await raylog.post('/api/v1/instances', form)).status).toBe(201)
      await page.locator('.notice-line').nth(2).waitFor()
      expect(await unnamed(page)).toEqual([])
    })

    it('are opened, seen and acknowledged in the name that was given', async () => {
      await page.getByLabel('Your name in the settings').fill('martin')
      await page.locator('.notice-what a').first().click()
      await page.locator('.notice-trail').getByText('Sent: martin by page').waitFor()
      await page.screenshot({ path: join(out, 'notification.png') })
      await page.locator('.notice-one').getByRole('button', { name: 'Acknowledge' }).click()
      await page.locator('.notice-one').getByText('Acknowledged by martin').waitFor()
      const { items } = await raylog.json<{ items: { outcome: string | null; trail: { what: string }[] }[] }>(
        '/api/v1/notifications',
      )
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
      expect(complaints.list).toEqual([])
    })
  },
)
