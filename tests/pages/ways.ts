/** The ways in which images come in: from a modality, by HTTP, out of a folder, drawn and dropped on the page. */
import { execFile } from 'node:child_process'
import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import { expect, it } from 'vitest'
import { digitPng, tissuePng } from '../../producers/simulator/phantoms.ts'
import { census } from '../harness/census.ts'
import type { Raylog } from '../harness/raylog.ts'
import type { Receiver } from '../harness/receiver.ts'
import { titleOf } from '../harness/tools.ts'
import { until } from '../harness/until.ts'
import { sharedPath } from '../shared.ts'

/** Uploads it. @returns its id */
export async function send(
  raylog: Raylog,
  name: string,
  bytes: Buffer,
  fields: Record<string, string> = {},
): Promise<string> {
  const form = new FormData()
  for (const [key, value] of Object.entries(fields)) form.set(key, value)
  form.set('file', new Blob([new Uint8Array(bytes)]), name)
  const answer = await raylog.post('/api/v1/instances', form)
  const text = await answer.text()
  const [, id] = /"id":"([^"]+)"/.exec(text) ?? []
  if (!id) throw new Error(`not stored: ${answer.status} ${text}`)
  return id
}

/** A pen that is down on the canvas. @returns what draws a line to a place, 0..1 of width and height */
export async function penAt(page: Page, x: number, y: number): Promise<(x: number, y: number) => Promise<void>> {
  const canvas = page.locator('canvas')
  await canvas.scrollIntoViewIfNeeded()
  const box = await canvas.boundingBox()
  if (!box) throw new Error('there is no canvas')
  const to = (x: number, y: number) => page.mouse.move(box.x + x * box.width, box.y + y * box.height, { steps: 12 })
  await to(x, y)
  await page.mouse.down()
  return to
}

/** Drags files over the place and lets go: the browser's own events, which fall through where nobody says that they may be dropped. */
export async function drop(page: Page, { x, y }: { x: number; y: number }, files: string[]) {
  const devtools = await page.context().newCDPSession(page)
  const drag = (type: 'dragEnter' | 'dragOver' | 'drop') =>
    devtools.send('Input.dispatchDragEvent', { type, x, y, data: { items: [], files, dragOperationsMask: 1 } })
  await drag('dragEnter')
  await drag('dragOver')
  return {
    letGo: async () => {
      await drag('drop')
      await devtools.detach()
    },
  }
}

interface Way {
  name: string
  /** Of the model that takes it; null: none does. */
  model: string | null
  /** Why it cannot be done here. */
  missing: readonly string[]
  bring(raylog: Raylog, page: Page): Promise<unknown>
}

const { missing: tools } = titleOf('', ['storescu'])

/** @param option makes storescu propose the file's own transfer syntax */
function byStorescu(name: string, model: string | null, option: string, file: string): Way {
  const path = sharedPath('data/dicom', file)
  const args = (port: number) => ['-R', option, '-aec', 'RAYLOG', '127.0.0.1', String(port), path ?? '']
  return {
    ...{ name, model },
    missing: [...tools.map(tool => `${tool} is not installed`), ...(path ? [] : [`${file} is not here`])],
    bring: raylog => promisify(execFile)('storescu', args(raylog.dicomPort)),
  }
}

const ways: readonly Way[] = [
  byStorescu(
    'a chest radiograph from storescu',
    'pneumonia',
    '-xy',
    'cr-chest-ai__1.2.276.0.7230010.3.1.4.8323329.6904.1517875201.850819.dcm',
  ),
  byStorescu('a CT from storescu', null, '-xe', 'ct-ref-explicit__CT1_UNC.dcm'),
  {
    ...{ name: 'an uploaded PNG', model: 'digits', missing: [] },
    bring: async raylog => send(raylog, 'three.png', await digitPng(301, 3), { model: 'digits' }),
  },
  {
    ...{ name: 'a file in the folder', model: 'breast', missing: [] },
    async bring(raylog) {
      const folder = join(raylog.inbox, 'breast')
      await mkdir(folder, { recursive: true })
      await writeFile(join(raylog.data, 'tissue.png'), await tissuePng(302))
      await rename(join(raylog.data, 'tissue.png'), join(folder, 'tissue.png'))
    },
  },
  {
    ...{ name: 'a digit drawn on the page', model: 'digits', missing: [] },
    async bring(_, page) {
      await page.getByRole('link', { name: 'Try it' }).click()
      const to = await penAt(page, 0.5, 0.2)
      await to(0.5, 0.8)
      await page.mouse.up()
      await page.locator('output[aria-label="The digit"]', { hasText: /\d/ }).waitFor()
      await page.getByRole('link', { name: 'Live', exact: true }).click()
    },
  },
]

interface Opened {
  raylog: Raylog
  page: Page
  /** Of its webhooks. */
  receiver: Receiver
}

interface Whole {
  predictions: { id: string; label: string; model: { name: string } }[]
  reports: { id: string; format: string; prediction: string | null }[]
  routes: { accepted: boolean; reason: string; model: { name: string } }[]
}

/** What comes in each way is on the page without a reload, and wherever else a result is told. */
export function eachWayTests(opened: () => Opened): void {
  for (const way of ways) {
    const end = way.model === null ? 'with the reason why no model took it' : 'in documents, a PDF and a webhook too'
    const why = way.missing.length > 0 ? ` (skipped: ${way.missing.join(', ')})` : ''
    it.skipIf(why !== '')(`shows ${way.name} live, ${end}${why}`, async () => {
      const { raylog, page } = opened()
      await page.goto(raylog.url)
      await page.locator('.connection.live').waitFor()
      await page.evaluate('window.notReloaded = true')
      const ids = async () => (await census(raylog)).instances.map(({ id }) => id)
      const before = new Set(await ids())
      await way.bring(raylog, page)
      const id = await until('it is in the list', async () => (await ids()).find(id => !before.has(id)))
      if (way.model === null) await isShownWithReasons(opened(), id)
      else await isToldEverywhere(opened(), id, way.model)
      expect(await page.evaluate('window.notReloaded')).toBe(true)
    })
  }
}

const rowOf = (page: Page, id: string) => page.locator(`article[aria-labelledby="row-${id}"]`)

async function isShownWithReasons({ raylog, page }: Opened, id: string): Promise<void> {
  const row = rowOf(page, id)
  await row.getByText('No model took it').waitFor()
  await row.locator('.thumb img.shown').waitFor()
  const { routes, predictions } = await raylog.json<Whole>(`/api/v1/instances/${id}`)
  expect(predictions).toEqual([])
  expect(routes.map(({ accepted }) => accepted)).toEqual([false, false, false])
  for (const { model, reason } of routes) await row.getByText(`${model.name}: ${reason}`).waitFor()
}

async function isToldEverywhere({ raylog, page, receiver }: Opened, id: string, model: string): Promise<void> {
  const { said, pdf } = await until('it is reported', async () => {
    const { predictions, reports } = await raylog.json<Whole>(`/api/v1/instances/${id}`)
    const [said] = predictions
    const pdf = reports.find(({ format, prediction }) => format === 'pdf' && prediction === said?.id)
    return said && pdf && { said, pdf }
  })
  expect(said.model.name).toBe(model)
  await rowOf(page, id).getByText(`${model}@`).waitFor()
  expect(await rowOf(page, id).locator('.label').textContent()).toBe(said.label)
  await rowOf(page, id).locator('.thumb img.shown').waitFor()
  const file = await raylog.get(`/api/v1/reports/${pdf.id}/object`)
  expect(Buffer.from(await file.arrayBuffer()).toString('latin1', 0, 5)).toBe('%PDF-')
  const hook = await until('the webhook came', () => receiver.received.find(({ body }) => body.includes(said.id)))
  expect(hook.body).toContain(id)
}
