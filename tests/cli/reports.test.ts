/** Reports sent again from the command line: the real commands, a real Raylog, a real folder that they go to. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { command } from '../harness/command.ts'
import { type Raylog, startRaylog } from '../harness/raylog.ts'
import type { Receiver } from '../harness/receiver.ts'
import { sendRevised, startEhr, toEhr } from '../harness/revised.ts'
import { uploadChests } from '../harness/senders.ts'
import { until } from '../harness/until.ts'

interface Delivered {
  id: string
  study: string
  report: string
  state: string
  receipt: string
  resends: number
}

describe('raylog reports resend, beside a running Raylog', { timeout: 120_000 }, () => {
  const share = mkdtempSync(join(tmpdir(), 'raylog-cli-share-'))
  let raylog: Raylog
  const on = (...args: string[]) => command(['--data', raylog.data, ...args])

  beforeAll(async () => {
    const destination = `{name: share, kind: folder, path: '${share}', rules: [{formats: [pdf]}]}`
    raylog = await startRaylog({
      set: ['logLevel=warn', 'report.formats=[]', `deliver.destinations=[${destination}]`],
    })
    await uploadChests(raylog, [1], { study: 1, size: 64 })
    await uploadChests(raylog, [2, 3], { study: 2, size: 64 })
  }, 120_000)
  afterAll(async () => {
    await raylog?.[Symbol.asyncDispose]()
    rmSync(share, { recursive: true, force: true })
  })

  it('sends reports again by study and by the time at which they were made, there and nowhere else', async () => {
    const deliveries = async () =>
      (await raylog.json<{ items: Delivered[] }>('/api/v1/deliveries?destination=share&limit=200')).items
    const delivered = () =>
      until('every page was delivered', async () => {
        const items = await deliveries()
        return items.length === 3 && items.every(({ state }) => state === 'sent') ? items : undefined
      })
    const sent = await delivered()
    const madeAt = async ({ report }: Delivered) => (await raylog.json<{ at: number }>(`/api/v1/reports/${report}`)).at
    const times = new Map(await Promise.all(sent.map(async one => [one.id, await madeAt(one)] as const)))
    const [first = expect.unreachable('none')] = sent
    const at = times.get(first.id) ?? expect.unreachable('no time')
    const range = ['--from', new Date(at).toISOString(), '--to', new Date(at + 1).toISOString()]
    for (const [which, mine] of [
      [['--study', `${first.study},st_none`], ({ study }) => study === first.study],
      [range, ({ id }) => times.get(id) === at],
    ] satisfies [string[], (one: Delivered) => boolean][]) {
      const before = await delivered()
      const wanted = before.filter(mine)
      expect(wanted.length).toBeLessThan(before.length)
      for (const { receipt } of wanted) rmSync(join(share, receipt))
      const counted = await on('reports', 'resend', ...which, '--dry-run')
      expect(counted.stdout).toBe(`${wanted.length} would be sent again: ${wanted.length} to share\n`)
      expect(await deliveries()).toEqual(before)
      const again = await on('reports', 'resend', ...which, '--destination', 'share')
      expect(again.stdout).toBe(`${wanted.length} to be sent again: ${wanted.length} to share\n`)
      await until('they are there again', () => wanted.every(({ receipt }) => existsSync(join(share, receipt))))
      const resends = (items: Delivered[]) => Object.fromEntries(items.map(one => [one.id, one.resends]))
      const expected = before.map(one => ({ ...one, resends: one.resends + (mine(one) ? 1 : 0) }))
      expect(resends(await deliveries())).toEqual(resends(expected))
    }
    const past = await on('reports', 'resend', '--to', '2020-01-01T00:00:00Z')
    expect(past.stdout).toContain('Nothing to send again.')
    const nowhere = await on('reports', 'resend', '--study', first.study, '--destination', 'share,moon')
    expect(nowhere.stderr).toContain('There is no such destination.')
  })
})

describe('raylog reports resend, of what has a newer version', { timeout: 120_000 }, () => {
  let ehr: Receiver
  let raylog: Raylog
  const on = (...args: string[]) => command(['--data', raylog.data, 'reports', ...args])

  beforeAll(async () => {
    ehr = await startEhr()
    raylog = await startRaylog({ set: ['logLevel=warn', ...toEhr(ehr)] })
  }, 120_000)
  afterAll(async () => {
    await raylog?.[Symbol.asyncDispose]()
    await ehr?.[Symbol.asyncDispose]()
  })

  it('is refused where the newest alone is kept, and told which to send instead; that one goes, and has both receipts', async () => {
    const [older, newer] = await sendRevised(raylog, 3)
    const instead = `Send ${newer.report} to ehr instead.`
    const words = `Revision 1 of the fhir report (${older.report}) is outdated at ehr: revision 2 is there. ${instead}`
    for (const asked of [[older.id], [older.report], [older.id, '--dry-run']]) {
      const refused = await on('resend', ...asked)
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining(`Nothing was sent. ${words}`)])
      expect(refused.stderr).toContain('raylog reports resend ID --destination NAME')
    }
    expect(await raylog.json(`/api/v1/deliveries/${older.id}`)).toEqual(older)
    const sent = await on('resend', newer.report, '--destination', 'ehr')
    expect(sent.stdout).toBe('1 to be sent again: 1 to ehr\n')
    await until('it is there again, and so it is listed', async () =>
      /fhir r2 +ehr +sent, HTTP 200.*, sent before at 20\S+Z: HTTP 200/.test((await on('list')).stdout),
    )
    expect(ehr.received).toHaveLength(3)
  })
})
