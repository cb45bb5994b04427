import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { audit } from '../consumers/audit/stage.ts'
import { type Audited, auditEntry } from '../schemas/audit.ts'
import { topics } from '../schemas/topics.ts'
import { type Started, startGateway } from '../tests/gateway/kit.ts'
import { openForTest } from '../tests/harness/stage.ts'

let gateway: Started
beforeAll(async () => {
  gateway = await startGateway()
})
afterAll(() => gateway[Symbol.asyncDispose]())

const rejected: Audited = {
  ...{ action: 'association-rejected', actor: 'EVIL', object: 'RAYLOG', outcome: 'failure', address: '10.0.0.9' },
  detail: { reason: 'calling AE title is not that of a peer' },
}
const received: Audited = {
  ...{ action: 'instances-received', actor: 'CT1', object: 'st_1', outcome: 'success', address: '10.0.0.5' },
  detail: { study: '1.2.3', patient: 'pt_1' },
}

describe('the audit', () => {
  it('is kept by its stage, once however often it comes, and listed by what and who and when', async () => {
    const stage = await openForTest(audit, gateway.ports)
    const entries = Array.from({ length: 5 }, (_, n) => auditEntry(n % 2 ? received : rejected, 1_000 + n, String(n)))
    for (const entry of [...entries, ...entries]) await stage.hand(topics.audit, entry)
    await stage.close()
    const list = async (query: string) => {
      const answer = await gateway.ask(`/api/v1/audit?${query}`)
      return (await answer.json()) as { items: { id: string; at: number }[]; next: string | null }
    }
    const times = async (query: string) => (await list(query)).items.map(({ at }) => at)
    expect(await times('')).toEqual([1_004, 1_003, 1_002, 1_001, 1_000])
    expect(await times('outcome=failure')).toEqual([1_004, 1_002, 1_000])
    expect(await times('patient=pt_1&from=1002')).toEqual([1_003])
    expect(await times('actor=CT1&study=1.2.3&to=1003')).toEqual([1_001])
    const first = await list('limit=3')
    expect((await list(`limit=3&cursor=${first.next}`)).items.map(({ at }) => at)).toEqual([1_001, 1_000])
    expect((await gateway.ask('/api/v1/audit?outcome=perhaps')).status).toBe(400)
  })
})
