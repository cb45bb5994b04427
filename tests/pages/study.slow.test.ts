/** One study with all its parts on one page, and what a person presses there seen on the log. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { WorklistLine } from '../../gateway/api/worklist.ts'
import { createCodec } from '../../kafka/codec.ts'
import { openEmbeddedLog } from '../../kafka/embedded/log.ts'
import type { LogRecord } from '../../kafka/log.ts'
import { topics } from '../../schemas/topics.ts'
import { type Raylog, startRaylog } from '../harness/raylog.ts'
import { uploadChests } from '../harness/senders.ts'
import { until } from '../harness/until.ts'
import { browserPath, type OpenPage, openPage, out, overflow, unnamed } from './browser.ts'

describe.skipIf(!browserPath)(
  `one study with all its parts (${browserPath ? 'in a browser' : 'skipped: no chromium is installed'})`,
  () => {
    let folder: string
    let raylog: Raylog
    let opened: OpenPage
    let page: Page

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'raylog-study-'))
      const settings = {
        'deliver.destinations': [{ name: 'share', kind: 'folder', path: folder, rules: [{ formats: ['json'] }] }],
        'report.formats': ['json', 'pdf-study'],
        'notify.channels': [{ name: 'page', kind: 'live' }],
        'notify.people': [{ name: 'martin', reach: [{ channel: 'page' }] }],
        'notify.rules': [{ name: 'critical', findings: [{ present: null }], to: ['martin'], acknowledge: {} }],
        'assess-study.idleMs': { DX: 1_500 },
        'assess-study.lateMs': 300,
      }
      const set = Object.entries(settings).map(([name, value]) => `${name}=${JSON.stringify(value)}`)
      raylog = await startRaylog({ set: ['logLevel=warn', ...set] })
      opened = await openPage()
      page = opened.page
    })
    afterAll(async () => {
      await opened?.[Symbol.asyncDispose]()
      await raylog?.[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    })

    /** All that stands on a topic; Raylog is stopped. */
    async function eventsOf<E>(
      topic: string,
      decode: (codec: ReturnType<typeof createCodec>, record: LogRecord) => Promise<E>,
    ): Promise<E[]> {
      const log = await openEmbeddedLog({ folder: join(raylog.data, 'log'), trimEveryMs: null })
      try {
        const codec = createCodec(log)
        const { bounds = [] } = (await log.topics()).find(({ name }) => name === topic) ?? {}
        const records = await Promise.all(
          bounds.map(({ partition, low }) => log.read({ topic, partition, offset: low }, 5_000)),
        )
        return await Promise.all(records.flat().map(record => decode(codec, record)))
      } finally {
        await log.close()
      }
    }

    it('shows them; what is acknowledged, sent again and corrected there is on the log', async () => {
      await uploadChests(raylog, [42, 43], { study: 4 })
      const [line = expect.unreachable('no study')] = await until(
        'it is assessed, and its report delivered',
        async () => {
          const { items } = await raylog.json<{ items: WorklistLine[] }>('/api/v1/worklist?state=all')
          return items[0] && items[0].revision > 0 && items[0].deliveries.sent > 1 ? items : undefined
        },
      )
      await page.goto(`${raylog.url}/worklist/${line.id}?token=${raylog.token}`)

      // Images.
      await page.locator('.picture img.shown').waitFor()
      await page.locator('.image-strip img.shown').nth(1).waitFor()
      await page.getByText('Image 1 of 2').waitFor()
      // Findings, each with its answer on the image.
      const findings = page.getByRole('region', { name: 'Findings' })
      await findings.getByRole('heading', { name: 'Pneumonia' }).waitFor()
      await findings.getByText('On this image:').waitFor()
      // Reports, those of the study and the pages of its images; deliveries; what became of the study.
      await page
        .getByRole('link', { name: /PDF report/ })
        .first()
        .waitFor()
      await page.getByText('2 pages of single images').waitFor()
      const sent = page.getByRole('region', { name: 'Sent to' })
      await sent.getByText(/to share: sent/).waitFor()
      await page.getByText('Revision 1', { exact: true }).waitFor()
      // Alerts.
      const alerts = page.getByRole('region', { name: 'Alerts' })
      await alerts.getByText('Waits for an acknowledgement').waitFor()
      expect(await unnamed(page)).toEqual([])
      for (const scheme of ['light', 'dark'] as const) {
        await page.evaluate(`document.documentElement.dataset.theme = '${scheme}'`)
        for (const width of [390, 1280]) {
          await page.setViewportSize({ width, height: 844 })
          expect(await overflow(page)).toBe(0)
          await page.screenshot({ path: join(out, `study-whole-${scheme}-${width}.png`), fullPage: true })
        }
      }

      await page.evaluate(`localStorage.setItem('raylog.name', 'martin')`)
      await alerts.getByRole('button', { name: 'Acknowledge' }).click()
      await alerts.getByText('Acknowledged by martin').waitFor()
      expect(await alerts.getByRole('button').count()).toBe(0)

      const { items } = await raylog.json<{ items: { id: string; receipt: string }[] }>(
        `/api/v1/deliveries?study=${line.id}`,
      )
      const [delivery = expect.unreachable('none')] = items
      await rm(join(folder, delivery.receipt))
      await sent.getByRole('button', { name: /^Send again/ }).click()
      await until('the report is there again', () => existsSync(join(folder, delivery.receipt)))

      await findings.getByRole('button', { name: /^It is / }).click()
      await findings.getByText(/^Corrected to /).waitFor()
      await page.getByText('Revision 2', { exact: true }).waitFor()
      expect(opened.complaints.list).toEqual([])
      opened.complaints.pause()
      await until('the audit is kept', async () => {
        const audit = await raylog.json<{ items: unknown[] }>('/api/v1/audit?action=result-acknowledged')
        return audit.items.length > 0
      })
      expect(await raylog.stop()).toBe(0)

      const audit = await eventsOf(topics.audit.name, (codec, record) => codec.decode(topics.audit, record))
      expect(audit.filter(({ action }) => action === 'result-acknowledged')).toMatchObject([{ actor: 'martin' }])
      expect(audit).toContainEqual(
        expect.objectContaining({
          ...{ action: 'export', object: line.id },
          detail: { destination: 'share', count: '1', reason: 'reports sent again' },
        }),
      )
      const arrived = (
        await eventsOf(topics.reports.name, (codec, record) => codec.decode(topics.reports, record))
      ).filter(({ destination, outcome, revision }) => destination === 'share' && outcome === 'sent' && revision === 1)
      expect(arrived).toHaveLength(2)
      expect(
        await eventsOf(topics.feedback.name, (codec, record) => codec.decode(topics.feedback, record)),
      ).toMatchObject([{ study: line.id, verdict: 'corrected' }])
    })
  },
)
