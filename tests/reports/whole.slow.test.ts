/** A study from its first image to its reports, as those who run Raylog get them: over REST and on the page. */
import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { studyReport } from '../../consumers/report/formats/json/schema.ts'
import { type Raylog, startRaylog } from '../harness/raylog.ts'
import { uploadChests } from '../harness/senders.ts'
import { until } from '../harness/until.ts'
import { browserPath, openPage, out, overflow, unnamed } from '../pages/browser.ts'

const run = promisify(execFile)
const formats = ['pdf-study', 'fhir', 'hl7', 'json', 'csv']

interface Listed {
  id: string
  format: string
  revision: number | null
  outcome: string
  prediction: string | null
  href: string
}

describe('a study', () => {
  let raylog: Raylog
  let study: string
  const listed = async (revision: number) => {
    const { items } = await raylog.json<{ items: Listed[] }>(`/api/v1/studies/${study}/reports`)
    return items.filter(one => one.prediction === null && one.revision === revision)
  }
  const bytesOf = async (format: string, revision: number): Promise<Buffer> => {
    const one = (await listed(revision)).find(item => item.format === format)
    const answer = await fetch(`${raylog.url}${one?.href}`, { headers: { authorization: `Bearer ${raylog.token}` } })
    return Buffer.from(await answer.arrayBuffer())
  }
  const reported = (revision: number) =>
    until(`revision ${revision} is reported`, async () => {
      const all = await listed(revision)
      return all.length === formats.length ? all : undefined
    })

  beforeAll(async () => {
    mkdirSync(out, { recursive: true })
    raylog = await startRaylog({
      set: [
        'logLevel=warn',
        'assess-study.idleMs={DX: 1500}',
        'assess-study.lateMs=300',
        'report.language=fr',
        `report.formats=[${formats.join(', ')}]`,
      ],
    })
    await uploadChests(raylog, [11, 12], { study: 1 })
    study = await until('the study is there', async () => {
      const { items } = await raylog.json<{ items: { id: string }[] }>('/api/v1/studies')
      return items[0]?.id
    })
  })
  afterAll(() => raylog?.[Symbol.asyncDispose]())

  it('is reported in every format, in the language of the settings', async () => {
    await reported(1)
    const json = studyReport.parse(JSON.parse((await bytesOf('json', 1)).toString()))
    expect(json).toMatchObject({ status: 'preliminary', revision: 1, study: { id: study, images: 2 } })
    expect(json.findings[0]?.model.name).toBe('pneumonia')
    expect((await bytesOf('hl7', 1)).toString()).toContain('|ORU^R01^ORU_R01|')
    expect(JSON.parse((await bytesOf('fhir', 1)).toString())).toMatchObject({ type: 'transaction' })
    expect((await bytesOf('csv', 1)).toString().split('\r\n')).toHaveLength(json.findings.length + 2)
    const pdf = join(out, 'study.pdf')
    await writeFile(pdf, await bytesOf('pdf-study', 1))
    const text = await run('pdftotext', ['-layout', pdf, '-']).then(
      ({ stdout }) => stdout,
      () => null,
    )
    if (text !== null) expect(text).toMatch(/RECHERCHE UNIQUEMENT[\s\S]*pneumonia@1/)
  })

  it('is reported anew when a person corrects a model: each format says what it replaces', async () => {
    const { predictions } = await raylog.json<{ predictions: { id: string; label: string }[] }>(
      `/api/v1/studies/${study}`,
    )
    const [one] = predictions
    const label = one?.label === 'Pneumonia' ? 'Normal' : 'Pneumonia'
    const said = await raylog.post(
      `/api/v1/predictions/${one?.id}/feedback`,
      JSON.stringify({ verdict: 'corrected', label }),
      { 'content-type': 'application/json' },
    )
    expect(said.status).toBeLessThan(300)
    await reported(2)
    const json = studyReport.parse(JSON.parse((await bytesOf('json', 2)).toString()))
    expect(json).toMatchObject({ status: 'corrected', revision: 2, replaces: 1 })
    expect((await bytesOf('hl7', 2)).toString()).toMatch(/\|RAD\|C\r/)
    expect((await bytesOf('fhir', 2)).toString()).toContain('"status":"corrected"')
    await until('the first are superseded', async () =>
      (await listed(1)).every(({ outcome }) => outcome === 'superseded') ? true : undefined,
    )
  })

  it.skipIf(!browserPath)(`has them on its page${browserPath ? '' : ' (no chromium is installed)'}`, async () => {
    await using opened = await openPage()
    const { page, complaints } = opened
    await page.goto(`${raylog.url}/worklist/${study}?token=${raylog.token}`)
    const block = page.locator('section', { has: page.getByRole('heading', { name: 'Reports', exact: true }) })
    await block.getByRole('link', { name: 'PDF report' }).first().waitFor()
    await block.getByText('Revision 1, replaced').click()
    expect(await block.getByRole('link', { name: 'FHIR' }).count()).toBe(2)
    await block.scrollIntoViewIfNeeded()
    await page.screenshot({ path: join(out, 'study-reports.png'), fullPage: true })
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      block.getByRole('link', { name: 'CSV' }).first().click(),
    ])
    expect(download.suggestedFilename()).toMatch(/^st_[0-9a-f]+-r2-csv-[0-9a-f]{6}\.csv$/)
    expect(await unnamed(page)).toEqual([])
    await page.setViewportSize({ width: 390, height: 844 })
    expect(await overflow(page)).toBe(0)
    await page.screenshot({ path: join(out, 'study-reports-phone.png'), fullPage: true })
    expect(complaints.list).toEqual([])
  })
})
